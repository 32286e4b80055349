"""What the gate costs per request: `python bench/gate.py`. Prints microseconds for a repeated search by one user.

The handler does nothing, so the figure is the gate's own cost: authentication with a verified password, resolving and
authorizing through the decision cache, the task registry, and building the call.
"""

from __future__ import annotations

import asyncio
import base64
import time

import msgspec
from tests.shared_engine import SharedState

from hanse.cluster.names import ClusterNames
from hanse.cluster.security_entries import ClusterSecurityStore
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.security.authentication import HttpCredentials
from hanse.security.gate import Gate
from hanse.security.passwords import hash_now
from hanse.security.realms.chain import RealmChain
from hanse.security.role_store import RoleStore
from hanse.security.roles import parse_role, stored_role
from hanse.settings.registry import Settings
from hanse.transport.actions import Action, ActionRegistry, Call, IndicesOptions, Origin, Scope

ROUNDS = 20_000
INDICES = 1_000


class Request(msgspec.Struct, frozen=True):
    indices: tuple[str, ...]
    options: IndicesOptions = IndicesOptions()


SEARCH = Action("indices:data/read/search", Request, int, Scope.INDEX, crosses=True)
ORIGIN = Origin("rest", "127.0.0.1:50000")


class Volatile(SharedState):
    """Takes every state and keeps none: a commit costs nothing."""

    async def commit(self, old: ClusterState, new: ClusterState) -> None: ...


async def handler(call: Call, request: Request) -> int:
    return len(call.targets.local)


async def measure() -> None:
    indices = {f"logs-{n:04d}": IndexMetadata(f"logs-{n:04d}", "u", {}) for n in range(INDICES)}
    service = ClusterService(Volatile(), ClusterState("bench", "u", indices=indices))
    store = ClusterSecurityStore(service)
    await store.put_role(
        "reader", stored_role(parse_role("reader", {"indices": [{"names": ["logs-*"], "privileges": ["read"]}]}))
    )
    await store.put_user("joe", {"roles": ["reader"], "password": hash_now("joes-password", "bcrypt"), "enabled": True})
    registry = ActionRegistry()
    registry.register(SEARCH, handler)
    realms = RealmChain.from_settings(Settings(), store)
    names = ClusterNames(lambda: service.state)
    gate = Gate(registry=registry, catalogue=names, realms=realms, roles=RoleStore(store))
    header = "Basic " + base64.b64encode(b"joe:joes-password").decode()
    credentials = HttpCredentials(header, uri="/logs-0001/_search")

    started = time.perf_counter()
    identity = await gate.authenticate(credentials)
    print(f"first login (bcrypt, cost 10)          {(time.perf_counter() - started) * 1e3:10.1f} ms")
    started = time.perf_counter()
    await gate.run(SEARCH, Request(("logs-*",)), identity, ORIGIN)
    print(f"first decision, wildcard on {INDICES} indices {(time.perf_counter() - started) * 1e3:8.2f} ms")

    started = time.perf_counter()
    for _ in range(ROUNDS):
        await gate.authenticate(credentials)
    report("repeated authentication", started)
    for label, request in (
        ("repeated search, one name", Request(("logs-0001",))),
        (f"repeated search, wildcard on {INDICES}", Request(("logs-*",))),
    ):
        started = time.perf_counter()
        for _ in range(ROUNDS):
            await gate.run(SEARCH, request, identity, ORIGIN)
        report(label, started)
    started = time.perf_counter()
    for _ in range(ROUNDS):
        await gate.run(SEARCH, Request(("logs-0001",)), await gate.authenticate(credentials), ORIGIN)
    report("authentication and search together", started)
    realms.close()


def report(label: str, started: float) -> None:
    print(f"{label:38} {(time.perf_counter() - started) / ROUNDS * 1e6:10.2f} us")


if __name__ == "__main__":
    asyncio.run(measure())
