"""A cluster state that grows by events, as ClusterService commits them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from tests.cluster.conftest import initializing

from hanse.cluster.allocation.events import started, with_member, without_member
from hanse.cluster.allocation.reroute import reroute
from hanse.cluster.routing import ShardCopy, ShardRouting
from hanse.cluster.state import ClusterState, IndexMetadata, NodeMetadata

replaced = msgspec.structs.replace


class Harbour:
    """`now_ms` stands still unless a test moves it; `commit` adds the routing that follows and one version."""

    def __init__(self) -> None:
        self.state = ClusterState("harbour", "uuid")
        self.now_ms = 1_000_000
        self._starts = 0

    def commit(self, changed: ClusterState) -> None:
        new = reroute(self.state, changed, self.now_ms)
        if new is not self.state:
            self.state = replaced(new, version=self.state.version + 1)

    def apply(self, change: Callable[[ClusterState], ClusterState]) -> None:
        self.commit(change(self.state))

    def join(self, *names: str, roles: tuple[str, ...] = ("data", "master"), **attributes: str) -> None:
        for name in names:
            self._starts += 1
            node = NodeMetadata(
                name, name, f"10.0.0.{self._starts}:9300", "", roles, attributes, ephemeral_id=str(self._starts)
            )
            self.commit(with_member(self.state, node, self.now_ms))

    def leave(self, name: str) -> None:
        self.commit(without_member(self.state, name, f"node_left [{name}]", self.now_ms))

    def create(self, name: str, shards: int = 1, replicas: int = 0, start: bool = True, **settings: str) -> None:
        keys = {key.replace("__", "."): value for key, value in settings.items()}
        index = IndexMetadata(
            name,
            f"{name}-uuid",
            {f"index.{key}": value for key, value in keys.items()},
            number_of_shards=shards,
            number_of_replicas=replicas,
            primary_terms=(1,) * shards,
        )
        self.commit(self.state.with_index(index))
        if start:
            self.start()

    def change(self, name: str, **values: object) -> None:
        self.commit(self.state.with_index(replaced(self.state.index(name), **values)))

    def cluster_setting(self, key: str, value: str) -> None:
        self.commit(replaced(self.state, persistent={**self.state.persistent, key: value}))

    def start(self) -> None:
        """Everything that opens or fills up gets there, and what follows from it too."""
        while reports := initializing(self.state):
            self.commit(started(self.state, reports, self.now_ms))

    def shard(self, name: str = "herring", number: int = 0) -> ShardRouting:
        return self.state.routing[name][number]

    def primary(self, name: str = "herring", number: int = 0) -> ShardCopy:
        found = self.shard(name, number).primary
        assert found is not None
        return found

    def term(self, name: str = "herring", number: int = 0) -> int:
        return self.state.index(name).primary_terms[number]

    def told(self, name: str = "herring", number: int = 0) -> list[str]:
        """The shard in one line a copy: node, P or R, state, and where it moves or comes from."""
        shard = self.shard(name, number)
        copies = [
            " ".join(filter(None, (c.node, "P" if c.is_primary else "R", c.state, c.relocating_node)))
            for c in sorted(shard.copies, key=lambda copy: copy.node)
        ]
        return copies + [f"- {'P' if info.is_primary else 'R'} {info.reason}" for info in shard.unassigned]


@pytest.fixture
def harbour() -> Harbour:
    return Harbour()
