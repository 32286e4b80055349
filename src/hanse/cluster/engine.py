"""Which engine keeps the cluster state and the shards' logs, chosen by one setting.

The JetStream engine is imported only when it is chosen: NATS' client takes 173 ms to import.
Tests: tests/cluster/test_engine.py, tests/journeys/test_jetstream.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.jetstream.settings import NATS_SETTINGS
from hanse.cluster.log import CommitLog
from hanse.cluster.store import StateStore
from hanse.cluster.voting import OnlyVoter, Voters
from hanse.settings.registry import Scope, Settings, choice
from hanse.tls.contexts import TlsContexts

EMBEDDED_STATE = "state.sqlite"
ENGINE = choice(
    "hanse.cluster.engine",
    "embedded",
    ("embedded", "jetstream"),
    Scope.STATIC,
    "embedded: this node's own files, a cluster of one node; jetstream: NATS JetStream, see docs/cluster.md",
)
ENGINE_SETTINGS = [ENGINE, *NATS_SETTINGS]
"""What the registry of a node declares for this room's engines."""


class Engine(Protocol):
    """The two seams, and who votes on what they keep, as one thing that is opened and closed."""

    @property
    def state_store(self) -> StateStore: ...

    @property
    def voters(self) -> Voters: ...

    def commit_log(self, index_uuid: str, shard: int) -> CommitLog | None:
        """Where a shard's batches go before its store; None when the store itself is the log."""
        ...

    async def forget(self, index_uuid: str, shards: int) -> None:
        """The index was deleted: its logs may go. Never called for any other reason."""
        ...

    async def close(self) -> None: ...


class Surroundings(NamedTuple):
    """What an engine needs of its node."""

    settings: Settings
    secure: Mapping[str, str]
    config_dir: Path
    data_path: Path
    logs_path: Path
    transport_tls: TlsContexts | None


class EmbeddedEngine:
    """State in one SQLite file; each shard's document store is its log."""

    def __init__(self, data_path: Path) -> None:
        self.state_store = SqliteStateStore(data_path / EMBEDDED_STATE)
        self.voters = OnlyVoter()

    def commit_log(self, index_uuid: str, shard: int) -> CommitLog | None:
        return None

    async def forget(self, index_uuid: str, shards: int) -> None:
        """The log went with the store."""

    async def close(self) -> None:
        await self.state_store.close()


async def open_engine(around: Surroundings) -> Engine:
    """Raises SettingsError when the engine cannot be used as it is configured."""
    if around.settings.read(ENGINE) == "embedded":
        return EmbeddedEngine(around.data_path)
    from hanse.cluster.jetstream.engine import open_jetstream

    return await open_jetstream(around)
