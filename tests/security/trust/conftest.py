"""Two clusters in one process: real stores, gates, keys and exchanges; the wire between them is a function call."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization

from hanse.errors import HanseError, StatusError
from hanse.security.keys import authenticate_key
from hanse.security.trust import requests
from hanse.security.trust.authentication_string import Card, Way
from hanse.security.trust.exchanges import Exchanges
from hanse.security.trust.protocol import Exchange
from hanse.security.trust.setup import TrustByInvitation
from hanse.tls.authority import CertificateAuthority
from hanse.transport.actions import Origin
from tests.security.conftest import REST, Cluster, user

ADMIN = user("admin", "superuser")
FINGERPRINT = "ab" * 32


@dataclass
class Surroundings:
    """The node around the room, as far as the room may see it: settings and trust as they would be in force."""

    own: Card
    configured: dict[str, Way] = field(default_factory=dict)
    reloads: int = 0
    broken: set[str] = field(default_factory=set)

    def card(self, way: Way) -> Card:
        if way == Way():
            return self.own
        return msgspec.structs.replace(self.own, **msgspec.structs.asdict(way))

    def https(self, addresses: Sequence[str]) -> tuple[tuple[str, ...], str]:
        return tuple(addresses) or ("127.0.0.1:9200",), FINGERPRINT

    def way(self, alias: str) -> Way | None:
        return self.configured.get(alias)

    async def connect(self, alias: str, way: Way) -> None:
        self._fail("connect")
        self.configured[alias] = way

    async def disconnect(self, alias: str) -> None:
        self._fail("disconnect")
        del self.configured[alias]

    async def reload_trust(self) -> None:
        self._fail("reload")
        self.reloads += 1

    def _fail(self, what: str) -> None:
        if what in self.broken:
            raise StatusError(f"{what} is broken", 500)


@dataclass
class Side:
    """One cluster."""

    cluster: Cluster
    around: Surroundings
    room: TrustByInvitation
    clock: list[int]

    @property
    def exchanges(self) -> Exchanges:
        return self.room.exchanges

    async def run(self, action: Any, request: Any, *, identity: Any = ADMIN, origin: Origin = REST) -> dict[str, Any]:
        answer = await self.cluster.gate.run(action, request, identity, origin)
        body: dict[str, Any] = answer.body
        return body

    async def invite(self, alias: str = "munich", **more: Any) -> dict[str, Any]:
        return await self.run(requests.INVITE, requests.Invite({"alias": alias, **more}))

    async def accept(self, token: str, alias: str = "berlin", **more: Any) -> dict[str, Any]:
        return await self.run(requests.ACCEPT, requests.Accept({"token": token, "alias": alias, **more}))

    async def confirm(self, id: str, sas: str) -> dict[str, Any]:
        return await self.run(requests.CONFIRM, requests.Confirm({"id": id, "sas": sas}))

    def phase(self, id: str) -> str:
        return self.exchanges.get(id).phase

    @property
    def trusts_nobody(self) -> bool:
        entries = self.cluster.store.entries
        return not entries("trusted_authority") and not entries("remote_peer") and not self.around.configured


@dataclass
class Two:
    berlin: Side
    munich: Side
    wire: list[Any]
    """What goes over it; an error that stands first is what the caller gets instead."""

    async def compared(self, **more: Any) -> tuple[str, str]:
        """Id and digits of an exchange that waits for both people."""
        invited = await self.berlin.invite(**more)
        accepted = await self.munich.accept(invited["token"])
        return invited["id"], accepted["sas"]


def card(name: str, authority: CertificateAuthority | None = None) -> Card:
    made = authority or CertificateAuthority.create("CN=ca")
    der = made.certificate.public_bytes(serialization.Encoding.DER)
    return Card(name, f"uuid-{name}", base64.b64encode(der).decode(), (f"{name}:9300",))


@pytest.fixture
def two(make_cluster: Callable[..., Cluster]) -> Two:
    clock, wire = [1_790_000_000_000], []  # type: ignore[var-annotated]
    sides: dict[str, Side] = {}

    async def ask(exchange: Exchange, step: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """HTTPS to Berlin with the exchange's API key."""
        if wire and isinstance(wire[0], HanseError):
            raise wire.pop(0)
        wire.append(step)
        berlin = sides["berlin"]
        identity = await authenticate_key(berlin.cluster.realms, *exchange.key.split(":", 1))
        if identity is None:
            return 401, {"error": {"reason": "unable to authenticate"}}
        try:
            turn = requests.Turn({"id": exchange.id, "step": step, **body})
            return 200, await berlin.run(requests.EXCHANGE, turn, identity=identity)
        except HanseError as error:
            return error.status, {"error": {"reason": error.reason}}

    for name in ("berlin", "munich"):
        cluster = make_cluster()
        around = Surroundings(card(name))
        room = TrustByInvitation(
            cluster.store, cluster.gate.peers, around, cluster.audit, call=ask, now_ms=lambda: clock[0]
        )
        room.register(cluster.registry)
        sides[name] = Side(cluster, around, room, clock)
    return Two(sides["berlin"], sides["munich"], wire)
