"""Clusters of real transport servers with mutual TLS on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec
import pytest
import trustme

from hanse.cluster.state import NodeMetadata
from hanse.remote import nodes
from hanse.settings.registry import Settings
from hanse.tls.contexts import TlsContexts
from hanse.transport.actions import Action, ActionRegistry, Call, Empty, Lane, Origin, Scope, Targets
from hanse.transport.hello import Hello
from hanse.transport.identity import Identity
from hanse.transport.server import TransportServer

PREFIX = "xpack.security.transport.ssl"


class WhoAmI(msgspec.Struct):
    node: str
    user: str


WHO = Action("cluster:monitor/who", Empty, WhoAmI, Scope.CLUSTER)
WHO_BULK = Action("cluster:monitor/who/bulk", Empty, WhoAmI, Scope.CLUSTER, lane=Lane.BULK)
WRITE = Action("indices:data/write/x", Empty, WhoAmI, Scope.CLUSTER)

BERGEN = Hello("bergen", "uuid-bergen", "local-id", "local", "local-e", "9.1.0", "127.0.0.1:9300", ("data",))
ROLES = ("data", "ingest", "master", "remote_cluster_client")


@pytest.fixture(scope="session")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> TlsContexts:
    folder = tmp_path_factory.mktemp("certs")
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    certificate = authority.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.ECDSA)
    (folder / "node.key").write_bytes(certificate.private_key_pem.bytes())
    (folder / "node.crt").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    (folder / "ca.crt").write_bytes(authority.cert_pem.bytes())
    names = {"key": "node.key", "certificate": "node.crt", "certificate_authorities": "ca.crt", "enabled": "true"}
    values = {f"{PREFIX}.{name}": value for name, value in names.items()}
    return TlsContexts.from_settings(Settings(values), PREFIX, Path(folder))


class Node:
    """One node: a transport server that serves its cluster's node list and says who it is."""

    def __init__(self, name: str, cluster: Cluster, roles: Sequence[str]) -> None:
        self.name = name
        self.roles = tuple(roles)
        self.sockets: dict[str, set[str]] = {}
        self.port = 0
        self.on_call: Callable[[], None] | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._cluster = cluster
        self._registry = ActionRegistry()
        nodes.register(self._registry, lambda: [node.metadata for node in cluster.nodes])
        for action in (WHO, WHO_BULK, WRITE):
            self._registry.register(action, self._who)
        self.server = TransportServer(self.hello, self._run, cluster.contexts)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def metadata(self) -> NodeMetadata:
        return NodeMetadata(f"id-{self.name}", self.name, self.address, "", self.roles)

    def hello(self) -> Hello:
        name = self._cluster.name
        return Hello(
            name, f"uuid-{name}", f"id-{self.name}", self.name, f"e-{self.name}", "9.1.0", self.address, self.roles
        )

    async def start(self) -> Node:
        self.server = TransportServer(self.hello, self._run, self._cluster.contexts)
        _, self.port = await self.server.start("127.0.0.1", self.port)
        return self

    async def stop(self) -> None:
        await self.server.close()

    async def _who(self, call: Call, request: Empty) -> WhoAmI:
        if self.on_call is not None:
            self.on_call()
        await self.gate.wait()
        return WhoAmI(self.name, call.identity.username)

    async def _run(self, action_name: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        self.sockets.setdefault(action_name, set()).add(origin.address)
        action = self._registry.action(action_name)
        assert action is not None
        call = Call(action, identity, origin, Targets(), self._no_sub_actions)
        return msgspec.msgpack.encode(
            await self._registry.handler(action)(call, msgspec.msgpack.decode(payload, type=action.request))
        )

    async def _no_sub_actions(self, action: object, request: object) -> None:
        raise AssertionError


class Cluster:
    def __init__(self, name: str, contexts: TlsContexts) -> None:
        self.name = name
        self.contexts = contexts
        self.nodes: list[Node] = []

    async def add(self, name: str, roles: Sequence[str] = ROLES) -> Node:
        node = Node(name, self, roles)
        self.nodes.append(node)
        return await node.start()


@pytest.fixture
async def luebeck(contexts: TlsContexts) -> AsyncIterator[Cluster]:
    cluster = Cluster("luebeck", contexts)
    yield cluster
    for node in cluster.nodes:
        await node.stop()


async def until(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds; the test's time-out is the limit."""
    while not condition():
        await asyncio.sleep(0.002)
