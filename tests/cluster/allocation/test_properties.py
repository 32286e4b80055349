"""Random sequences of events: what must hold after each of them, and that a cluster left alone becomes green."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hanse.cluster.allocation.commands import commanded
from hanse.cluster.allocation.deciders import nearness
from hanse.cluster.allocation.draft import Draft
from hanse.cluster.allocation.events import failed, started, stepping_down, with_member, without_member
from hanse.cluster.allocation.reroute import next_wakeup_ms, reroute
from hanse.cluster.requests import RerouteCommand
from hanse.cluster.routing import ShardCopy, ShardRouting
from hanse.cluster.state import ClusterState, IndexMetadata, NodeMetadata
from hanse.errors import IllegalArgumentError

replaced = msgspec.structs.replace
NODES = ("a", "b", "c", "d", "e")
DATA_NODES = frozenset("abcd")
INDICES = ("herring", "cod", "salt")
names = st.sampled_from(INDICES)
nodes = st.sampled_from(NODES)


def member(name: str, start: int) -> NodeMetadata:
    roles = ("data", "master") if name in DATA_NODES else ("master",)
    attributes = {"zone": name, "rack": "east" if name in "ab" else "west"}
    return NodeMetadata(
        name, name, f"127.0.0.1:93{start:03}", "127.0.0.1:9200", roles, attributes, ephemeral_id=f"{name}{start}"
    )


class Cluster(RuleBasedStateMachine):
    """Commits as ClusterService does: a change, then the routing that follows, then one version more."""

    @initialize()
    def begin(self) -> None:
        """Three nodes and an index that has begun, so that few events make something interesting."""
        self.state = ClusterState("lübeck", "uuid")
        self.now_ms = 1_000_000
        self.starts = 0
        self.uuids = 0
        self.ignorant: dict[tuple[str, int], set[str]] = {}
        """By index uuid and shard: nodes that led, and that need not know that they do no more."""
        for node in ("a", "b", "c"):
            self.join(node)
        self.create("herring", 2, 1)
        self.settle()

    def commit(self, changed: ClusterState) -> None:
        before = self.state
        new = reroute(before, changed, self.now_ms)
        assert reroute(before, changed, self.now_ms) == new
        if new is before:
            return
        self.check_step(before, new)
        self.state = replaced(new, version=before.version + 1)
        assert reroute(self.state, self.state, self.now_ms) is self.state
        again = reroute(replaced(self.state, nodes={}), self.state, self.now_ms)
        assert again.routing == self.state.routing, "rerouting once more finds nothing to do"

    def check_step(self, before: ClusterState, new: ClusterState) -> None:
        for name, shards in before.routing.items():
            index = new.indices.get(name)
            if index is None or index.uuid != before.indices[name].uuid:
                continue
            for number, old in enumerate(shards):
                now = new.routing[name][number]
                if old.in_sync:
                    assert now.in_sync, "the last node that has the data stays known"
                if not now.active_primary:
                    assert set(old.in_sync) <= set(now.in_sync), "no copy is given up while there is no primary"
                self.check_term(before.indices[name], index, number, old, now)
                self.check_superseded(index, number, old, now)
                self.check_share(new, index, old, now)

    def check_share(self, state: ClusterState, index: IndexMetadata, old: ShardRouting, now: ShardRouting) -> None:
        """No copy comes to a value of an awareness attribute that has its share; a primary is opened where it was."""
        known = {copy.allocation_id for copy in old.copies}
        draft = Draft(state, self.now_ms)
        for copy in now.copies:
            if copy.allocation_id not in known and not (copy.is_primary and old.in_sync):
                for attribute in draft.awareness:
                    found = nearness(draft, now, copy)
                    assert found <= attribute.most(index.number_of_replicas + 1), (copy, now)

    def check_term(
        self, before: IndexMetadata, index: IndexMetadata, number: int, old: ShardRouting, now: ShardRouting
    ) -> None:
        terms = before.primary_terms[number], index.primary_terms[number]
        assert terms[0] <= terms[1]
        if now.primary is None or (old.primary and old.primary.allocation_id == now.primary.allocation_id):
            return
        if old.in_sync:
            assert terms[0] < terms[1], "a new primary begins a new term"
            assert now.primary.node in old.in_sync or (
                (source := old.on(now.primary.node)) is not None and source.is_target
            ), "a primary comes from in_sync, or took the place of one"

    def check_superseded(self, index: IndexMetadata, number: int, old: ShardRouting, now: ShardRouting) -> None:
        ignorant = self.ignorant.setdefault((index.uuid, number), set())
        if old.primary is not None and old.primary.node not in self.knowing:
            ignorant.add(old.primary.node)
        if now.primary is not None:
            ignorant.discard(now.primary.node)
        assert ignorant <= set(now.superseded), "who led and may not know better is not forgotten"

    knowing: frozenset[str] = frozenset()
    """Nodes that know the state that is being committed, or are no more."""

    @contextmanager
    def known_to(self, node: str) -> Iterator[None]:
        for ignorant in self.ignorant.values():
            ignorant.discard(node)
        self.knowing = frozenset({node})
        yield
        self.knowing = frozenset()

    @rule(node=nodes)
    def join(self, node: str) -> None:
        """Also a restart that nobody noticed."""
        self.starts += 1
        with self.known_to(node):
            self.commit(with_member(self.state, member(node, self.starts), self.now_ms))

    @rule(node=nodes, is_over=st.booleans())
    def leave(self, node: str, is_over: bool) -> None:
        if len(self.state.nodes) > 1:
            with self.known_to(node) if is_over else nullcontext():
                self.commit(without_member(self.state, node, "disconnected", self.now_ms, is_over=is_over))

    @rule(node=nodes, stops=st.booleans())
    def step_down(self, node: str, stops: bool) -> None:
        self.commit(stepping_down(self.state, node))
        if stops:
            self.leave(node, is_over=True)

    @rule(name=names, shards=st.integers(1, 3), replicas=st.integers(0, 3))
    def create(self, name: str, shards: int, replicas: int) -> None:
        if name in self.state.indices:
            return
        self.uuids += 1
        index = IndexMetadata(
            name,
            f"u{self.uuids}",
            {},
            number_of_shards=shards,
            number_of_replicas=replicas,
            primary_terms=(1,) * shards,
        )
        self.commit(self.state.with_index(index))

    @rule(name=names)
    def delete(self, name: str) -> None:
        if name in self.state.indices:
            self.commit(self.state.without_index(name))

    def change(self, name: str, **values: object) -> None:
        if name in self.state.indices:
            self.commit(self.state.with_index(replaced(self.state.indices[name], **values)))

    @rule(name=names, replicas=st.integers(0, 3))
    def change_replicas(self, name: str, replicas: int) -> None:
        self.change(name, number_of_replicas=replicas)

    @rule(name=names, is_open=st.booleans())
    def open_or_close(self, name: str, is_open: bool) -> None:
        self.change(name, state="open" if is_open else "close")

    @rule(name=names, node=st.none() | nodes)
    def exclude(self, name: str, node: str | None) -> None:
        self.change(name, settings={} if node is None else {"index.routing.allocation.exclude.zone": node})

    @rule(enable=st.sampled_from(["all", "primaries", "new_primaries", "none"]))
    def enable(self, enable: str) -> None:
        self.commit(replaced(self.state, transient={"cluster.routing.allocation.enable": enable}))

    @rule(attributes=st.sampled_from(["", "rack"]), forced=st.sampled_from(["", "west,north"]))
    def be_aware(self, attributes: str, forced: str) -> None:
        given = {"attributes": attributes, "force.rack.values": forced}
        prefix = "cluster.routing.allocation.awareness"
        self.commit(
            replaced(self.state, persistent={f"{prefix}.{key}": value for key, value in given.items() if value})
        )

    @rule(seconds=st.integers(1, 90))
    def time_passes(self, seconds: int) -> None:
        self.now_ms += seconds * 1000
        self.commit(self.state)
        wakeup = next_wakeup_ms(self.state)
        assert wakeup is None or wakeup > self.now_ms

    def initializing(self) -> list[tuple[str, int, str]]:
        return [
            (self.state.indices[name].uuid, number, copy.allocation_id)
            for name, shards in self.state.routing.items()
            if self.state.indices[name].is_open
            for number, shard in enumerate(shards)
            for copy in shard.copies
            if not copy.is_active
        ]

    @precondition(lambda self: self.initializing())
    @rule(data=st.data())
    def start_one(self, data: st.DataObject) -> None:
        report = data.draw(st.sampled_from(self.initializing()))
        self.commit(started(self.state, [report], self.now_ms))

    @rule()
    def settle(self) -> None:
        for _ in range(5):
            self.start_all()

    def start_all(self) -> None:
        self.commit(started(self.state, self.initializing(), self.now_ms))

    @precondition(lambda self: any(self.copies()))
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        name, number, copy = data.draw(st.sampled_from(self.copies()))
        uuid = self.state.indices[name].uuid
        self.commit(failed(self.state, uuid, number, copy.allocation_id, "the disk is full", self.now_ms))

    def copies(self) -> list[tuple[str, int, ShardCopy]]:
        return [
            (name, number, copy)
            for name, shards in self.state.routing.items()
            for number, shard in enumerate(shards)
            for copy in shard.copies
        ]

    @precondition(lambda self: any(self.copies()))
    @rule(data=st.data(), kind=st.sampled_from(["move", "cancel"]), to_node=nodes)
    def command(self, data: st.DataObject, kind: str, to_node: str) -> None:
        name, number, copy = data.draw(st.sampled_from(self.copies()))
        command = RerouteCommand(
            kind, name, number, node=copy.node, from_node=copy.node, to_node=to_node, allow_primary=True
        )
        with suppress(IllegalArgumentError):
            self.commit(commanded(self.state, [command], self.now_ms)[0])

    @rule()
    def stale_reports_change_nothing(self) -> None:
        state = started(self.state, [("nobody", 0, "1.1")], self.now_ms)
        assert failed(state, "nobody", 0, "1.1", "", self.now_ms) is self.state

    @invariant()
    def shards_are_sound(self) -> None:
        assert set(self.state.routing) == set(self.state.indices)
        for name, shards in self.state.routing.items():
            index = self.state.indices[name]
            assert len(shards) == index.number_of_shards
            ids = [copy.allocation_id for shard in shards for copy in shard.copies]
            assert len(ids) == len(set(ids))
            for shard in shards:
                self.check_shard(index, shard)

    def check_shard(self, index: IndexMetadata, shard: ShardRouting) -> None:
        where = [copy.node for copy in shard.copies]
        assert len(where) == len(set(where)), "a node has one copy of a shard"
        assert set(where) <= DATA_NODES & set(self.state.nodes)
        primaries = [entry for entry in (*shard.copies, *shard.unassigned) if entry.is_primary]
        assert len(primaries) == 1, "one primary, here or awaited"
        settled = [copy for copy in shard.copies if not copy.is_target]
        assert len(settled) + len(shard.unassigned) == 1 + index.number_of_replicas
        if shard.active_primary is None and index.is_open:
            assert all(copy.is_primary for copy in shard.copies)
        for copy in shard.active():
            assert copy.node in shard.in_sync
        for copy in shard.copies:
            if copy.relocating_node is not None:
                other = shard.on(copy.relocating_node)
                assert other is not None
                assert other.relocating_node == copy.node
                assert {copy.state, other.state} == {"RELOCATING", "INITIALIZING"}

    @rule(attributes=st.sampled_from(["", "rack"]))
    def left_alone_it_becomes_green(self, attributes: str) -> None:
        kept = self.state, self.now_ms, {key: set(nodes) for key, nodes in self.ignorant.items()}
        self.be_aware(attributes, "")
        for node in NODES:
            if node not in self.state.nodes:
                self.join(node)
        self.enable("all")
        for name in INDICES:
            self.change(name, settings={}, state="open")
        self.now_ms += 120_000
        self.commit(self.state)
        self.retry_failed()
        for _ in range(200):
            if not self.initializing():
                break
            self.start_all()
        assert not self.initializing()
        for shards in self.state.routing.values():
            for shard in shards:
                assert not shard.unassigned
        if attributes:
            self.check_spread()
        else:
            self.check_balance()
        self.state, self.now_ms, self.ignorant = kept

    def check_spread(self) -> None:
        if any(copy.failed_moves for _, _, copy in self.copies()):
            return
        for name, shards in self.state.routing.items():
            for shard in shards:
                draft = Draft(self.state, self.now_ms)
                most = draft.awareness[0].most(self.state.indices[name].number_of_replicas + 1)
                assert all(nearness(draft, shard, copy) <= most for copy in shard.copies), shard

    def retry_failed(self) -> None:
        routing = {
            name: tuple(
                replaced(shard, unassigned=tuple(replaced(info, failed_allocations=0) for info in shard.unassigned))
                for shard in shards
            )
            for name, shards in self.state.routing.items()
        }
        self.commit(replaced(self.state, routing=routing))

    def check_balance(self) -> None:
        if any(copy.failed_moves for _, _, copy in self.copies()):
            return
        counts = dict.fromkeys(DATA_NODES, 0)
        for _, _, copy in self.copies():
            counts[copy.node] += 1
        assert max(counts.values()) - min(counts.values()) <= 2, counts


TestCluster = Cluster.TestCase
TestCluster.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_a_replica_does_not_wait_for_a_node_that_is_about_to_be_forgotten() -> None:
    """Found by the above: nothing came back to the shard before the next change of the state."""
    cluster = Cluster()
    cluster.begin()
    cluster.join("a")
    cluster.create("cod", 2, 2)
    primary = cluster.state.routing["herring"][0].primary
    assert primary is not None
    uuid = cluster.state.index("herring").uuid
    cluster.commit(failed(cluster.state, uuid, 0, primary.allocation_id, "the disk is full", cluster.now_ms))
    cluster.left_alone_it_becomes_green("")
