"""Several whole nodes on one event loop that are one cluster: mutual TLS between them, one nats-server behind them.

A node can leave in order, vanish as a process that was killed does, and start again on its data.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from hanse.cluster.routing import ShardCopy, ShardRouting
from hanse.cluster.state import ClusterState
from hanse.errors import HanseError
from hanse.index.administration import requests as administration
from hanse.index.administration.requests import CreateIndex
from hanse.index.document_requests import BULK, BulkItem, BulkRequest, BulkResult, Refresh
from hanse.index.shard import Shard
from hanse.index.writing import WriteOp, WriteResult
from hanse.node import Node, read_settings
from hanse.tls.authority import CertificateAuthority
from hanse.transport.actions import Action, Origin
from hanse.transport.identity import Identity, RealmRef
from tests.nats_servers import NatsServer
from tests.two_clusters import until

ROOT = Identity("root", ("superuser",), RealmRef("default_native", "native"))
HASHING = {"xpack.security.authc.password_hashing.algorithm": "bcrypt4"}
TRANSPORT = "xpack.security.transport.ssl"


class Member:
    """One node of the group; `start` after `stop` or `vanish` is a new process on the same data."""

    def __init__(
        self, folder: Path, name: str, settings: dict[str, Any], authority: CertificateAuthority, trusted: bytes
    ) -> None:
        self.name = name
        self.config = folder / name
        self.config.mkdir(parents=True)
        certificate, key = authority.issue(name, dns=["localhost"], ips=["127.0.0.1"])
        for file, content in (("ca.crt", trusted), ("node.crt", certificate), ("node.key", key)):
            (self.config / file).write_bytes(content)
        self._settings = {**settings, "node.name": name, "path.data": str(self.config / "data")}
        self.is_up = False

    async def start(self) -> None:
        self.node = Node(self.config, read_settings(self.config, self._settings), elastic_password="secret-of-elastic")
        await self.node.start()
        self.is_up = True

    async def stop(self) -> None:
        self.is_up = False
        await self.node.close()

    async def vanish(self) -> None:
        """Ends without a word to the others."""
        self.node._closers.remove(self.node.membership.leave)
        await self.node.membership._tasks.close()
        await self.stop()

    @property
    def id(self) -> str:
        return self.node._node_id

    @property
    def state(self) -> ClusterState:
        return self.node.cluster.state

    async def run(self, action: Action[Any, Any], request: Any) -> Any:
        return await self.node.gate.run(action, request, ROOT, Origin())

    def copy(self, index: str, number: int = 0) -> ShardCopy | None:
        """What the state says of this node's copy."""
        return routing(self.state, index, number).on(self.id)

    def shard(self, index: str, number: int = 0) -> Shard:
        return self.node.indices.get(index).shard(number)

    def serves(self, index: str, number: int = 0) -> bool:
        service = self.node.indices._services.get(index)
        return service is not None and any(shard.number == number for shard in service.shards)

    async def create(self, index: str, *, shards: int = 1, replicas: int = 1, **settings: Any) -> None:
        """Returns when every copy serves."""
        given = {"number_of_shards": shards, "number_of_replicas": replicas, **settings}
        body = {"settings": {key.replace("__", "."): value for key, value in given.items()}}
        await self.run(administration.CREATE, CreateIndex((index,), body, active_shards="all"))

    async def write(
        self, index: str, *ids: str, delete: bool = False, refresh: Refresh = "false", **source: Any
    ) -> list[WriteResult]:
        """Writes through this node, wherever the primary is. Raises the first failure."""
        raw = b"" if delete else orjson.dumps(source or {"title": "x"})
        ops = [WriteOp("delete" if delete else "index", id, raw) for id in ids]
        answer: BulkResult = await self.run(BULK, BulkRequest([BulkItem(index, op) for op in ops], refresh))
        for item in answer.items:
            if item.error is not None:
                raise item.error
        return [item.result for item in answer.items if item.result is not None]


def routing(state: ClusterState, index: str, number: int = 0) -> ShardRouting:
    shards = state.routing.get(index, ())
    return shards[number] if number < len(shards) else ShardRouting()


class Group:
    """All nodes by number, from 0; those that are up are one cluster."""

    def __init__(self, folder: Path, nats: NatsServer, settings: dict[str, Any]) -> None:
        self.authority = CertificateAuthority.create("authority of the group")
        self.strange = CertificateAuthority.create("authority of another cluster")
        """Trusted for TLS by every node, as that of a remote cluster is."""
        self._folder = folder
        self.members: list[Member] = []
        self.settings: dict[str, Any] = {
            "cluster.name": f"group-{secrets.token_hex(6)}",
            "http.port": "0",
            "transport.port": "0",
            "xpack.security.enabled": "true",
            "hanse.cluster.engine": "jetstream",
            "hanse.nats.mode": "external",
            "hanse.nats.servers": nats.url.removeprefix("nats://"),
            "hanse.nats.monitors": nats.monitor,
            f"{TRANSPORT}.enabled": "true",
            f"{TRANSPORT}.certificate": "node.crt",
            f"{TRANSPORT}.key": "node.key",
            f"{TRANSPORT}.certificate_authorities": "ca.crt",
            **HASHING,
            **settings,
        }

    def __getitem__(self, number: int) -> Member:
        return self.members[number]

    def made(self, *, authority: CertificateAuthority | None = None, **settings: str) -> Member:
        """One more node, not started."""
        own = {**self.settings, **{key.replace("__", "."): value for key, value in settings.items()}}
        trusted = self.authority.certificate_pem + self.strange.certificate_pem
        member = Member(self._folder, f"node-{len(self.members)}", own, authority or self.authority, trusted)
        self.members.append(member)
        return member

    async def add(self, **settings: str) -> Member:
        member = self.made(**settings)
        await member.start()
        return member

    @property
    def up(self) -> list[Member]:
        return [member for member in self.members if member.is_up]

    async def agree(self) -> None:
        """Waits until those that are up, and nobody else, are members in everybody's eyes."""
        ids = {member.id for member in self.up}
        await until(lambda: all(set(member.state.nodes) == ids for member in self.up))

    async def all_serve(self, index: str, copies: int, number: int = 0) -> None:
        """Waits until that many copies are active in everybody's eyes, and offered on their nodes."""

        def holds() -> bool:
            active = [copy.node for copy in routing(self.up[0].state, index, number).active()]
            known = [{copy.node for copy in routing(member.state, index, number).active()} for member in self.up]
            serving = {member.id for member in self.up if member.serves(index, number)}
            return len(active) == copies and serving >= set(active) and all(one == set(active) for one in known)

        await until(holds)

    def by_id(self, node_id: str) -> Member:
        return next(member for member in self.up if member.id == node_id)

    def primary(self, index: str, number: int = 0) -> Member:
        primary = routing(self.up[0].state, index, number).active_primary
        assert primary is not None
        return self.by_id(primary.node)

    def replicas(self, index: str, number: int = 0) -> list[Member]:
        copies = routing(self.up[0].state, index, number).copies
        return [self.by_id(copy.node) for copy in copies if not copy.is_primary]

    async def level(self, index: str, number: int = 0) -> None:
        """Waits until every copy stands where the primary does in the log."""

        def positions() -> set[int]:
            nodes = [copy.node for copy in routing(self.up[0].state, index, number).copies]
            return {self.by_id(node).shard(index, number).logged.position for node in nodes}

        await until(lambda: len(positions()) == 1)


@asynccontextmanager
async def node_group(folder: Path, nats: NatsServer, nodes: int = 3, **settings: str) -> AsyncIterator[Group]:
    """`settings` are those of every node, with __ for dots."""
    group = Group(folder, nats, {key.replace("__", "."): value for key, value in settings.items()})
    try:
        for _ in range(nodes):
            await group.add()
        await group.agree()
        yield group
    finally:
        for member in group.up:
            await member.stop()


def contents(shard: Shard) -> dict[str, tuple[int, int, int, bool, bytes]]:
    """What a copy's store holds: id to seq_no, term, version, whether deleted, source; tombstones too."""
    found = shard.store.operations(-1, shard.max_seq_no, 10**9, 10**12)[0]
    return {op.id: (op.seq_no, op.primary_term, op.version, op.deleted, op.source) for op in found}


async def refused(work: Awaitable[Any], kind: type[HanseError]) -> HanseError:
    with pytest.raises(kind) as caught:
        await work
    return caught.value


async def eventually(work: Callable[[], Awaitable[Any]]) -> Any:
    """Tries again while the answer is one that asks for that (503)."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await work()
            except HanseError as error:
                if error.status != 503:
                    raise
            await asyncio.sleep(0.02)


__all__ = ["Group", "Member", "contents", "eventually", "node_group", "refused", "routing", "until"]
