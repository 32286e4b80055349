"""Who may invite, accept and confirm; what is refused and with which status; what is shown and what never is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hanse.errors import HanseError, SecurityError
from hanse.security import keys
from hanse.security.audit import Audit
from hanse.security.requests import ByNames
from hanse.security.trust import requests
from hanse.security.trust.authentication_string import Way
from hanse.security.trust.token import TrustToken
from hanse.transport.actions import Empty
from tests.security.conftest import PEER, REST, user
from tests.security.trust.conftest import Two, card


async def refused(awaitable: Any) -> tuple[int, str]:
    with pytest.raises(HanseError) as raised:
        await awaitable
    return raised.value.status, raised.value.reason


class TestWhoMay:
    @pytest.mark.parametrize(
        ("action", "request_"),
        [
            (requests.INVITE, requests.Invite({"alias": "munich"})),
            (requests.ACCEPT, requests.Accept({})),
            (requests.CONFIRM, requests.Confirm({})),
            (requests.EXCHANGE, requests.Turn({})),
            (requests.GET_PENDING, ByNames()),
            (requests.CANCEL, ByNames(("x",))),
            (requests.GET_TRUSTED, Empty()),
            (requests.DELETE_TRUSTED, ByNames(("x",))),
        ],
    )
    async def test_manage_is_not_enough(self, two: Two, action: Any, request_: Any) -> None:
        await two.berlin.cluster.add_role("operator", cluster=["manage", "monitor"])
        with pytest.raises(SecurityError, match="is unauthorized"):
            await two.berlin.run(action, request_, identity=user("op", "operator"))

    async def test_manage_security_is(self, two: Two) -> None:
        await two.berlin.cluster.add_role("guard", cluster=["manage_security"])
        invite = requests.Invite({"alias": "munich"})
        assert (await two.berlin.run(requests.INVITE, invite, identity=user("g", "guard")))["token"]

    async def test_only_the_invitation_s_own_key_may_exchange(self, two: Two) -> None:
        first, second = await two.berlin.invite("a"), await two.berlin.invite("b")
        turn = requests.Turn({"id": first["id"], "step": "claim", "commitment": "00"})
        assert (await refused(two.berlin.run(requests.EXCHANGE, turn)))[0] == 403
        token = TrustToken.decode(second["token"])
        other = await keys.authenticate_key(two.berlin.cluster.realms, *token.key.split(":"))
        assert other is not None
        assert (await refused(two.berlin.run(requests.EXCHANGE, turn, identity=other)))[0] == 403
        own = requests.Turn({"id": second["id"], "step": "claim", "commitment": "00"})
        over_transport = two.berlin.run(requests.EXCHANGE, own, identity=other, origin=PEER)
        assert (await refused(over_transport))[0] == 403
        assert (await two.berlin.run(requests.EXCHANGE, own, identity=other))["phase"] == "claimed"

    async def test_the_key_may_do_nothing_else(self, two: Two) -> None:
        token = TrustToken.decode((await two.berlin.invite())["token"])
        bearer = await keys.authenticate_key(two.berlin.cluster.realms, *token.key.split(":"))
        for action, request_ in (
            (requests.INVITE, requests.Invite({"alias": "x"})),
            (requests.CONFIRM, requests.Confirm({"id": token.id, "sas": "0"})),
            (requests.GET_PENDING, ByNames()),
        ):
            assert (await refused(two.berlin.cluster.gate.run(action, request_, bearer, REST)))[0] == 403


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({}, "[alias], the name that the other cluster has here"),
            ({"alias": "a.b"}, "[alias], the name"),
            ({"alias": "a", "limit": {}}, "unexpected field [limit]"),
            ({"alias": "a", "limits": {"find": []}}, "unexpected field [limits.find]"),
            ({"alias": "a", "expiration": "0"}, "more than nothing"),
            ({"alias": "a", "expiration": "2d"}, "not more than one day"),
            ({"alias": "a", "expiration": "soon"}, "unit is missing"),
            ({"alias": "a", "seeds": "host:9300"}, "[seeds] must be an array"),
            ({"alias": "a", "proxy_address": "gate"}, "[proxy_address] must be an address"),
            ({"alias": "a", "proxy_address": 5}, "[proxy_address] must be a text"),
            ({"alias": "a", "proxy_address": "g:1", "seeds": ["h:1"]}, "either [seeds] or [proxy_address]"),
            ({"alias": "a", "seeds": ["h:1"], "server_name": "x"}, "without [proxy_address] there is none"),
        ],
    )
    async def test_malformed_invitations(self, two: Two, body: dict[str, Any], words: str) -> None:
        status, reason = await refused(two.berlin.run(requests.INVITE, requests.Invite(body)))
        assert (status, words in reason) == (400, True), reason

    async def test_names_that_are_taken(self, two: Two) -> None:
        two.berlin.around.configured["munich"] = Way(("m:9300",))
        status, reason = await refused(two.berlin.invite())
        assert (status, "[munich] is already the name of a remote cluster here" in reason) == (409, True)
        two.berlin.around.configured.clear()
        token = (await two.berlin.invite())["token"]
        await two.munich.cluster.store.change("remote_peer", lambda _: {"berlin": {"match": {"any": [{"san": "b"}]}}})
        status, reason = await refused(two.munich.accept(token))
        assert (status, "name of a remote peer here" in reason) == (409, True)

    async def test_a_name_that_is_taken_meanwhile(self, two: Two) -> None:
        id, digits = await two.compared()
        peer = {"match": {"any": [{"san": "m"}]}}
        await two.berlin.cluster.store.change("remote_peer", lambda _: {"munich": peer})
        await two.munich.confirm(id, digits)
        status, reason = await refused(two.berlin.confirm(id, digits))
        assert (status, "has been put meanwhile" in reason) == (409, True)
        assert two.berlin.cluster.store.entries("remote_peer") == {"munich": peer}
        assert not two.berlin.cluster.store.entries("trusted_authority")

    async def test_the_same_cluster(self, two: Two) -> None:
        status, reason = await refused(two.berlin.accept((await two.berlin.invite())["token"]))
        assert (status, "this very cluster" in reason) == (400, True)

    async def test_the_same_authority(self, two: Two) -> None:
        two.munich.around.own = msgspec.structs.replace(
            two.munich.around.own, authority=two.berlin.around.own.authority
        )
        status, reason = await refused(two.munich.accept((await two.berlin.invite())["token"]))
        assert (status, "come from the same authority" in reason) == (400, True)

    async def test_an_authority_that_is_trusted_already(self, two: Two) -> None:
        id, digits = await two.compared()
        await two.munich.confirm(id, digits)
        await two.berlin.confirm(id, digits)
        await two.munich.exchanges.tick(id)
        status, reason = await refused(two.munich.accept((await two.berlin.invite("again"))["token"], "again"))
        assert (status, "is trusted already, as [berlin]" in reason) == (409, True)

    async def test_a_card_that_the_inviter_cannot_take(self, two: Two) -> None:
        two.munich.around.own = msgspec.structs.replace(two.munich.around.own, authority="QUJD")
        token = (await two.berlin.invite())["token"]
        two.munich.around.own = msgspec.structs.replace(card("munich"), cluster_name="mu\x1bnich")
        status, reason = await refused(two.munich.accept(token))
        assert (status, "short printable texts" in reason) == (400, True)
        assert two.berlin.phase(TrustToken.decode(token).id) == "failed"

    @pytest.mark.parametrize("token", [None, "", "hanse_trust_1_", "nonsense"])
    async def test_what_is_no_token(self, two: Two, token: Any) -> None:
        assert (await refused(two.munich.accept(token)))[0] == 400

    async def test_an_expired_token_and_clocks_that_differ(self, two: Two) -> None:
        invited = await two.berlin.invite(expiration="1ms")
        await two.berlin.cluster.store.change(keys.KIND, lambda stored: dict.fromkeys(stored))
        status, reason = await refused(two.munich.accept(invited["token"]))
        assert (status, "it was withdrawn, or the clocks differ" in reason) == (401, True)
        two.munich.clock[0] += 1000
        status, reason = await refused(two.munich.accept(invited["token"]))
        assert (status, "by the inviter's clock. Ask for a new one" in reason) == (401, True)

    async def test_an_unknown_exchange(self, two: Two) -> None:
        assert (await refused(two.berlin.confirm("nothing", "0")))[0] == 404


class TestWhatIsShown:
    async def test_no_secret(self, two: Two) -> None:
        invited = await two.berlin.invite()
        secret = TrustToken.decode(invited["token"]).key.split(":")[1]
        await two.munich.accept(invited["token"])
        for side in (two.berlin, two.munich):
            exchange = side.exchanges.get(invited["id"])
            shown = json.dumps(await side.run(requests.GET_PENDING, ByNames()))
            assert not any(hidden in shown for hidden in (secret, exchange.own_nonce, exchange.binding))
        assert secret not in json.dumps(two.berlin.cluster.store.entries("trust_exchange"))

    async def test_what_people_compare(self, two: Two) -> None:
        id, digits = await two.compared()
        here = (await two.berlin.run(requests.GET_PENDING, ByNames((id,))))[id]
        there = (await two.munich.run(requests.GET_PENDING, ByNames((id,))))[id]
        assert here["sas"] == there["sas"] == digits
        assert (here["other"]["cluster_name"], there["other"]["cluster_name"]) == ("munich", "berlin")
        assert (here["role"], there["role"]) == ("inviter", "acceptor")

    async def test_cancelling_and_removing(self, two: Two) -> None:
        id, digits = await two.compared()
        assert (await two.berlin.run(requests.CANCEL, ByNames((id,))))["phase"] == "failed"
        assert (await refused(two.munich.confirm(id, digits)))[0] == 409
        id, digits = await two.compared()
        await two.munich.confirm(id, digits)
        await two.berlin.confirm(id, digits)
        await two.munich.exchanges.tick(id)
        shown = await two.berlin.run(requests.GET_TRUSTED, Empty())
        assert shown["munich"]["subject"] == "CN=ca"
        await two.berlin.run(requests.DELETE_TRUSTED, ByNames(("munich",)))
        assert two.berlin.trusts_nobody
        assert (await refused(two.berlin.run(requests.DELETE_TRUSTED, ByNames(("munich",)))))[0] == 404

    async def test_an_authority_that_cannot_be_put_out_of_use_stays_shown_under_its_ceiling(self, two: Two) -> None:
        id, digits = await two.compared()
        await two.munich.confirm(id, digits)
        await two.berlin.confirm(id, digits)
        two.berlin.around.broken = {"reload"}
        assert (await refused(two.berlin.run(requests.DELETE_TRUSTED, ByNames(("munich",)))))[0] == 500
        assert list(await two.berlin.run(requests.GET_TRUSTED, Empty())) == ["munich"]
        assert two.berlin.cluster.store.entries("remote_peer")

    async def test_the_audit_trail_names_who_did_what(self, two: Two, tmp_path: Path) -> None:
        audit = Audit(tmp_path / "audit.json", include=("security_config_change",))
        two.berlin.room._actions._audit = audit
        id, digits = await two.compared()
        await refused(two.berlin.confirm(id, "0000-0000-0000"))
        await two.berlin.invite("again")
        audit.close()
        events = [json.loads(line) for line in (tmp_path / "audit.json").read_text().splitlines()]
        told = [(event["event.action"], event["user.name"], event["entry.name"]) for event in events]
        assert told == [
            ("invite_cluster", "admin", "munich"),
            ("confirm_cluster", "admin", "munich"),
            ("invite_cluster", "admin", "again"),
        ]
        assert digits not in json.dumps(events)
