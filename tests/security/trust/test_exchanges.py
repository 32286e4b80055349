"""Exchanges that fail, come late, are cut off or restarted: all of it or nothing, on both sides."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from hanse.errors import HanseError, StatusError
from hanse.security import keys
from hanse.security.trust.exchanges import KIND
from hanse.security.trust.protocol import Asked
from hanse.security.trust.setup import TrustByInvitation
from hanse.tls.identity import PeerCertificate
from hanse.transport.actions import Origin
from tests.security.trust.conftest import Two

MINUTE_MS = 60_000
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


async def confirmed(two: Two) -> str:
    """Both people have; Munich has not asked again yet."""
    id, digits = await two.compared(limits={"search": [{"names": ["logs-*"]}]})
    await two.munich.confirm(id, digits)
    await two.berlin.confirm(id, digits)
    return id


async def test_both_sides_put_peer_authority_and_connection(two: Two) -> None:
    id = await confirmed(two)
    assert two.munich.trusts_nobody
    await two.munich.exchanges.tick(id)
    assert (two.berlin.phase(id), two.munich.phase(id)) == ("established", "established")
    assert two.wire == ["claim", "open", "compare", "compare", "finish"]
    for side, alias, other in ((two.berlin, "munich", two.munich), (two.munich, "berlin", two.berlin)):
        authority = side.cluster.store.entries("trusted_authority")[alias]
        peer = side.cluster.store.entries("remote_peer")[alias]
        assert authority["certificate"] == other.around.own.authority
        assert peer["match"] == {"any": [{"issuer_fingerprint_sha256": authority["fingerprint_sha256"]}]}
        assert side.around.configured == {alias: other.around.own.way}
        assert side.around.reloads == 1
    assert two.berlin.cluster.gate.peers.all()["munich"].body["limits"] == {"search": [{"names": ["logs-*"]}]}
    assert two.munich.cluster.gate.peers.all()["berlin"].body["limits"] == {}


@pytest.mark.parametrize("what", ["connect", "reload"])
async def test_the_inviter_cannot_establish(two: Two, what: str) -> None:
    id, digits = await two.compared()
    await two.munich.confirm(id, digits)
    two.berlin.around.broken = {what}
    with pytest.raises(HanseError, match=f"{what} is broken"):
        await two.berlin.confirm(id, digits)
    two.berlin.around.broken.clear()
    await two.berlin.exchanges.tick(id)
    with pytest.raises(HanseError, match=f"refused: .*{what} is broken"):
        await two.munich.exchanges.tick(id)
    assert two.berlin.trusts_nobody
    assert two.munich.trusts_nobody


async def test_the_acceptor_cannot_establish(two: Two) -> None:
    id = await confirmed(two)
    assert not two.berlin.trusts_nobody
    two.munich.around.broken = {"connect"}
    with pytest.raises(HanseError, match="connect is broken"):
        await two.munich.exchanges.tick(id)
    assert (two.berlin.phase(id), two.munich.phase(id)) == ("failed", "failed")
    assert two.berlin.trusts_nobody
    assert two.munich.trusts_nobody
    assert two.berlin.around.reloads >= 2


async def test_what_cannot_be_undone_is_tried_until_it_can(two: Two) -> None:
    id = await confirmed(two)
    two.berlin.around.broken = {"reload"}
    two.munich.around.broken = {"connect"}
    with pytest.raises(HanseError):
        await two.munich.exchanges.tick(id)
    assert two.berlin.cluster.store.entries("remote_peer"), "its ceiling stays as long as the authority may"
    two.berlin.clock[0] += 40 * MINUTE_MS
    await two.berlin.exchanges.tick(id)
    two.berlin.around.broken.clear()
    await two.berlin.exchanges.tick(id)
    assert two.berlin.trusts_nobody


async def test_the_acceptor_never_comes_back(two: Two) -> None:
    id = await confirmed(two)
    two.berlin.clock[0] += 31 * MINUTE_MS
    await two.berlin.exchanges.tick(id)
    assert two.berlin.exchanges.get(id).reason.startswith("it expired at [")
    assert two.berlin.trusts_nobody
    await two.munich.exchanges.tick(id)
    assert two.munich.trusts_nobody


async def test_the_network_fails_in_between(two: Two) -> None:
    id, digits = await two.compared()
    two.wire.insert(0, StatusError("no route", 503))
    assert (await two.munich.confirm(id, digits))["phase"] == "comparing"
    await two.berlin.confirm(id, digits)
    two.wire.insert(0, StatusError("no route", 503))
    await two.munich.exchanges.tick(id)
    assert two.munich.trusts_nobody
    await two.munich.exchanges.tick(id)
    assert (two.berlin.phase(id), two.munich.phase(id)) == ("established", "established")


async def test_the_network_fails_at_first_and_the_token_is_still_good(two: Two) -> None:
    token = (await two.berlin.invite())["token"]
    two.wire.insert(0, StatusError("no route", 503))
    with pytest.raises(StatusError, match="no route"):
        await two.munich.accept(token)
    assert (await two.munich.accept(token))["phase"] == "comparing"


async def test_two_claims_at_the_same_moment(two: Two) -> None:
    token = (await two.berlin.invite())["token"]
    exchange = two.berlin.exchanges
    id = next(iter(exchange.all()))
    claims = [exchange.handle(id, Asked("claim", {"commitment": "00"})) for _ in range(5)]
    answers = await asyncio.gather(*claims, return_exceptions=True)
    assert [isinstance(one, dict) for one in answers].count(True) == 1
    with pytest.raises(StatusError, match="used already"):
        await two.munich.accept(token)


async def test_a_restart_on_the_accepting_side(two: Two) -> None:
    id = await confirmed(two)
    munich = two.munich
    again = TrustByInvitation(
        munich.cluster.store,
        munich.cluster.gate.peers,
        munich.around,
        munich.cluster.audit,
        call=munich.exchanges._call,
        now_ms=lambda: munich.clock[0],
    )
    await again.exchanges.tick(id)
    assert (two.berlin.phase(id), munich.phase(id)) == ("established", "established")


async def test_nothing_is_kept_when_the_time_is_over(two: Two) -> None:
    id = await confirmed(two)
    await two.munich.exchanges.tick(id)
    two.berlin.clock[0] += 40 * MINUTE_MS
    for side in (two.berlin, two.munich):
        await side.exchanges.tick(id)
        assert side.cluster.store.entries(KIND) == {}
        assert side.cluster.store.entries(keys.KIND) == {}
        assert not side.trusts_nobody


async def test_an_accepted_authority_is_never_without_a_ceiling(two: Two) -> None:
    """Who deletes its peer, or lets it match something else, does not lift the ceiling."""
    id = await confirmed(two)
    await two.munich.exchanges.tick(id)
    peers, store = two.berlin.cluster.gate.peers, two.berlin.cluster.store
    authority = store.entries("trusted_authority")["munich"]
    visitor = PeerCertificate(
        "CN=n", "CN=ca", "1", (), (), MOMENT, MOMENT, "0" * 64, (), (((("2.5.4.3", "ca"),),),),
        proven_fingerprints=(authority["fingerprint_sha256"],),
    )  # fmt: skip
    origin = Origin("transport", "10.0.0.1:9300", visitor)
    ceiling = peers.ceiling(origin)
    assert ceiling is not None
    assert (ceiling.label, ceiling.refusal) == ("munich", "")
    await store.change("remote_peer", lambda _: {"munich": None})
    ceiling = peers.ceiling(origin)
    assert ceiling is not None
    assert "accepted by invitation as [munich]" in ceiling.refusal
    assert not ceiling.permission.allows_somewhere("indices:data/read/search")
    unproven = peers.ceiling(
        Origin("transport", "", msgspec.structs.replace(visitor, proven_issuers=(), proven_fingerprints=()))
    )
    assert unproven is not None
    assert "was not verified on this connection" in unproven.refusal
    await store.change("trusted_authority", lambda _: {"munich": None})
    assert peers.ceiling(origin) is None
