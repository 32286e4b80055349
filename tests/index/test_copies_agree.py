"""Writes while primaries change, copies fail and nodes die: in the end all copies hold the same, and what was promised.

Every example is an index of its own on the same three nodes; clients write through the first, which never ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.nats_servers import NatsServer
from tests.node_group import Group, contents, node_group, routing

from hanse import clock
from hanse.cluster import allocation
from hanse.cluster.state import ClusterState
from hanse.errors import HanseError
from hanse.index.shard import WriteResult

IDS = 6
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["write", "write", "write", "delete", "step down", "fail", "take out", "vanish", "stop", "start"]
        ),
        st.integers(0, 5),
    ),
    max_size=25,
)


class Acknowledged(NamedTuple):
    id: str
    deleted: bool
    value: int
    result: WriteResult


class Run:
    """One example: what happens to one index, and what its clients were told."""

    def __init__(self, group: Group, name: str) -> None:
        self.group = group
        self.name = name
        self.acknowledged: list[Acknowledged] = []
        self.unknown: set[int] = set()
        self._value = 0
        self._clients: list[asyncio.Task[None]] = []

    async def go(self, events: list[tuple[str, int]]) -> None:
        await self.group[0].create(self.name, replicas=2, index__unassigned__node_left__delayed_timeout="0s")
        for event, number in events:
            await self._happens(event, number)
            await asyncio.sleep(0.001 * number)
        for member in self.group.members:
            if not member.is_up:
                await member.start()
        await asyncio.gather(*self._clients)
        await self.group.all_serve(self.name, 3)
        await self.group.level(self.name)

    async def _happens(self, event: str, number: int) -> None:
        member = self.group[1 + number % 2]
        if event in ("write", "delete"):
            self._value += 1
            write = self._write(str(number % IDS), self._value, delete=event == "delete")
            self._clients.append(asyncio.ensure_future(write))
        elif event == "start":
            if not member.is_up:
                await member.start()
        elif event in ("stop", "vanish"):
            if member.is_up:
                await (member.stop() if event == "stop" else member.vanish())
        else:
            await self.group[0].node.cluster.update(event, lambda state: self._changed(state, event, number))

    def _changed(self, state: ClusterState, event: str, number: int) -> ClusterState:
        shard = routing(state, self.name)
        primary = shard.active_primary
        if event == "step down" and primary is not None:
            return allocation.stepping_down(state, primary.node, clock.now_ms())
        if event == "take out":
            return allocation.without_member(state, self.group[1 + number % 2].id, "a test", clock.now_ms())
        if event == "fail" and shard.copies:
            copy = shard.copies[number % len(shard.copies)]
            uuid = state.indices[self.name].uuid
            return allocation.failed(state, uuid, 0, copy.allocation_id, "a test", clock.now_ms())
        return state

    async def _write(self, id: str, value: int, *, delete: bool) -> None:
        try:
            (result,) = await self.group[0].write(self.name, id, delete=delete, value=value)
        except HanseError as error:
            if error.status != 503:
                raise
            self.unknown.add(value)
        else:
            self.acknowledged.append(Acknowledged(id, delete, value, result))

    def check(self) -> None:
        shards = [member.shard(self.name) for member in self.group.members]
        held = [contents(shard) for shard in shards]
        assert held[0] == held[1] == held[2]
        assert len({shard.logged for shard in shards}) == 1
        assert len({(shard.max_seq_no, shard.checkpoint, shard.history_uuid) for shard in shards}) == 1
        assert len({shard.stats()["docs"]["count"] for shard in shards}) == 1
        given_out = [told.result.seq_no for told in self.acknowledged]
        assert len(set(given_out)) == len(given_out), "a seq_no is given once"
        for id in {told.id for told in self.acknowledged}:
            self._check_document(id, held[0][id])

    def _check_document(self, id: str, held: tuple[int, int, int, bool, bytes]) -> None:
        told = sorted((one for one in self.acknowledged if one.id == id), key=lambda one: one.result.seq_no)
        versions = [one.result.version for one in told]
        assert versions == sorted(set(versions)), "versions rise with seq_nos"
        last = told[-1]
        seq_no, term, version, deleted, source = held
        if seq_no == last.result.seq_no:
            assert (term, version, deleted) == (last.result.primary_term, last.result.version, last.deleted)
            assert deleted or orjson.loads(source)["value"] == last.value
        else:
            assert seq_no > last.result.seq_no, "an acknowledged write is not undone"
            assert self.unknown, "only what nobody was told of can have come later"
            assert deleted or orjson.loads(source)["value"] in self.unknown


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def group(runner: asyncio.Runner, nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    folder: Path = tmp_path_factory.mktemp("group")
    stack = AsyncExitStack()
    opened = node_group(folder, nats_server, cluster__fault_detection__follower_check__interval="100ms")
    yield runner.run(stack.enter_async_context(opened))
    runner.run(stack.aclose())


def test_copies_agree_whatever_happened(runner: asyncio.Runner, group: Group) -> None:
    count = 0

    @settings(
        max_examples=12,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(EVENTS)
    def lived_through(events: list[tuple[str, int]]) -> None:
        nonlocal count
        count += 1
        run = Run(group, f"run-{count}")
        runner.run(run.go(events))
        run.check()

    lived_through()
