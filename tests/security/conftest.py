"""A small cluster for the gate: real registry, roles, realms and cluster state; only the disk is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from hanse.cluster.names import ClusterNames
from hanse.cluster.security_entries import ClusterSecurityStore
from hanse.cluster.state import AliasMetadata, ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.security.actions import register
from hanse.security.audit import OFF, Audit
from hanse.security.every_node import only
from hanse.security.gate import Gate
from hanse.security.passwords import PasswordHasher
from hanse.security.realms.chain import RealmChain
from hanse.security.realms.native import NativeRealm
from hanse.security.realms.reserved import ReservedRealm
from hanse.security.role_store import RoleStore
from hanse.security.verified import VerifiedCredentials
from hanse.transport.actions import Action, ActionRegistry, Call, IndicesOptions, Origin, Scope
from hanse.transport.identity import Identity

REST = Origin("rest", "127.0.0.1:5000")
PEER = Origin("transport", "10.0.0.9:9300")
NOW_MS = 1_790_000_000_000


class VolatileStateStore:
    """A StateStore that forgets: nothing here is about durability."""

    async def load(self) -> ClusterState | None:
        return None

    async def commit(self, old: ClusterState, new: ClusterState) -> None:
        return None

    async def close(self) -> None:
        return None


class Names(msgspec.Struct, frozen=True):
    """An index request like any room's."""

    indices: tuple[str, ...] = ()
    options: IndicesOptions = IndicesOptions()


SEARCH = Action("indices:data/read/search", Names, list[str], Scope.INDEX, crosses=True)
GET = Action("indices:data/read/get", Names, list[str], Scope.INDEX)
STATS = Action("indices:monitor/stats", Names, list[str], Scope.INDEX)
CREATE = Action("indices:admin/create", Names, list[str], Scope.INDEX, creates=True)
WRITE = Action("indices:data/write/index", Names, list[str], Scope.INDEX, creates=True)
UPDATE = Action("indices:data/write/update", Names, list[str], Scope.INDEX)
BULK = Action("indices:data/write/bulk", Names, list[str], Scope.COMPOSITE)
HEALTH = Action("cluster:monitor/health", Names, list[str], Scope.CLUSTER)
STATE = Action("cluster:monitor/state", Names, list[str], Scope.CLUSTER)
SETTINGS = Action("cluster:admin/settings/update", Names, list[str], Scope.CLUSTER)
NODES = Action("cluster:internal/remote_cluster/nodes", Names, list[str], Scope.INTERNAL)


@dataclass
class Cluster:
    """What a test looks at."""

    service: ClusterService
    registry: ActionRegistry
    store: ClusterSecurityStore
    names: ClusterNames
    realms: RealmChain
    roles: RoleStore
    gate: Gate
    audit: Audit
    calls: list[Call] = field(default_factory=list)

    async def add_role(self, name: str, **body: Any) -> None:
        from hanse.security.roles import parse_role, stored_role

        await self.store.put_role(name, stored_role(parse_role(name, body)))

    async def add_reader(self, name: str, *patterns: str, privileges: tuple[str, ...] = ("read",)) -> None:
        await self.add_role(name, indices=[{"names": list(patterns), "privileges": list(privileges)}])

    async def add_user(self, name: str, password: str, *roles: str) -> None:
        await self.store.put_user(
            name, {"roles": list(roles), "password": await self.realms.verified.hasher.hash(password), "enabled": True}
        )

    async def run(self, action: Action[Any, Any], identity: Identity, *indices: str, **options: Any) -> Any:
        origin = options.pop("origin", REST)
        return await self.gate.run(action, Names(indices, IndicesOptions(**options)), identity, origin)


def user(name: str, *roles: str, **fields: Any) -> Identity:
    from hanse.transport.identity import RealmRef

    return Identity(name, roles, RealmRef("default_native", "native"), **fields)


def index(name: str, *, state: str = "open", hidden: bool = False, **aliases: AliasMetadata) -> IndexMetadata:
    settings: dict[str, Any] = {"index.hidden": "true"} if hidden else {}
    return IndexMetadata(name, f"uuid-{name}", settings, aliases=aliases, state=state)


def state_with(*indices: IndexMetadata) -> ClusterState:
    return ClusterState("harbour", "uuid", indices={one.name: one for one in indices})


@pytest.fixture
def hasher() -> Iterator[PasswordHasher]:
    made = PasswordHasher("bcrypt4")
    yield made
    made.close()


@pytest.fixture
def make_cluster(hasher: PasswordHasher) -> Callable[..., Cluster]:
    def make(*indices: IndexMetadata, remotes: tuple[str, ...] = (), audit: Audit = OFF, **options: Any) -> Cluster:
        service = ClusterService(VolatileStateStore(), state_with(*indices))
        store = ClusterSecurityStore(service)
        names = ClusterNames(lambda: service.state)
        realms = RealmChain([ReservedRealm(store), NativeRealm(store)], VerifiedCredentials(hasher), store=store)
        roles = RoleStore(store)
        registry = ActionRegistry()
        gate = Gate(
            registry=registry,
            catalogue=names,
            realms=realms,
            roles=roles,
            remote_aliases=lambda: remotes,
            audit=audit,
            node_name="node-1",
            node_id=lambda: "n1",
            now_ms=lambda: NOW_MS,
            **options,
        )
        cluster = Cluster(service, registry, store, names, realms, roles, gate, audit)

        async def handler(call: Call, request: Names) -> list[str]:
            cluster.calls.append(call)
            return list(call.targets.names)

        for action in (SEARCH, GET, STATS, CREATE, WRITE, UPDATE, BULK, HEALTH, STATE, SETTINGS, NODES):
            registry.register(action, handler)
        register(
            registry,
            store=store,
            realms=realms,
            roles=roles,
            audit=audit,
            running=gate.running,
            peers=gate.peers,
            ask_nodes=only(lambda: "n1"),
        )
        return cluster

    return make
