"""Trust in one step as actions: invite, accept, confirm, show, cancel, remove; and the inviter's side of the exchange.

The caller's own rights decide who may (`manage_security`); the accepting node comes with the invitation's API key,
which may do nothing but go on with that one exchange. Tests: tests/security/trust/test_actions.py.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from hanse import clock
from hanse.errors import HanseError, IllegalArgumentError, SecurityError, StatusError
from hanse.security import requests as security
from hanse.security.audit import Audit
from hanse.security.peers import parse_peer
from hanse.security.requests import Answer, ByNames
from hanse.security.trust import protocol, requests
from hanse.security.trust.authentication_string import Card, Way, new_nonce
from hanse.security.trust.exchanges import Exchanges
from hanse.security.trust.protocol import ACCEPTOR, CLAIMED, FAILED, INVITED, INVITER, Asked, Compared, Ended, Exchange
from hanse.security.trust.token import TrustToken
from hanse.security.trust.trusted import Links, TrustedClusters, authority_of, check_way
from hanse.settings.units import parse_time_s
from hanse.tls.identity import fingerprint
from hanse.transport.actions import ActionRegistry, Call, Empty

VALID_FOR = "30m"
VALID_FOR_S_MAX = 24 * 3600
LATER_MS = 60_000
"""So much longer the accepting side waits: it is the inviter, by its clock, who says that a token has expired."""
_ALIAS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_WAY = ("seeds", "proxy_address", "server_name")
_ANY = {"any": [{"issuer_fingerprint_sha256": "0" * 64}]}


class TrustActions:
    """Handlers over the exchanges of this cluster."""

    def __init__(
        self,
        exchanges: Exchanges,
        trusted: TrustedClusters,
        links: Links,
        audit: Audit,
        *,
        now_ms: Callable[[], int] = clock.now_ms,
    ) -> None:
        self._exchanges = exchanges
        self._trusted = trusted
        self._links = links
        self._audit = audit
        self._now_ms = now_ms

    def register(self, registry: ActionRegistry) -> None:
        registry.register(requests.INVITE, self.invite)
        registry.register(requests.ACCEPT, self.accept)
        registry.register(requests.CONFIRM, self.confirm)
        registry.register(requests.EXCHANGE, self.exchange)
        registry.register(requests.GET_PENDING, self.get_pending)
        registry.register(requests.CANCEL, self.cancel)
        registry.register(requests.GET_TRUSTED, self.get_trusted)
        registry.register(requests.DELETE_TRUSTED, self.delete_trusted)

    # The inviting side.

    async def invite(self, call: Call, request: requests.Invite) -> Answer:
        body = _known(request.body, {"alias", "limits", "expiration", "addresses", *_WAY})
        alias, limits = self._named(body)
        lifetime_s = _lifetime_s(body)
        card = self._links.card(_way(body))
        addresses, shown = self._links.https(_addresses(body, "addresses"))
        created = self._now_ms()
        id, expires = secrets.token_hex(8), created + int(lifetime_s * 1000)
        key_id, secret = await self._key(call, id, lifetime_s)
        token = TrustToken(id, card, addresses, shown, f"{key_id}:{secret}", expires, expires - created)
        await self._exchanges.begin(
            Exchange(
                id, INVITER, INVITED, alias, limits, card, token.binding, new_nonce(), created, expires, key=key_id
            )
        )
        self._changed(call, "invite_cluster", alias)
        return Answer({"id": id, "token": token.encode(), "expires_ms": expires, "authority": _shown(card)})

    async def _key(self, call: Call, id: str, lifetime_s: float) -> tuple[str, str]:
        """What authenticates the accepting node: good for this exchange only, as long as the invitation."""
        body = {
            "name": f"trust_invitation_{id}",
            "expiration": f"{max(1, int(lifetime_s * 1000))}ms",
            "role_descriptors": {"trust_exchange": {"cluster": [requests.EXCHANGE_NAME]}},
        }
        created = cast(Answer, await call.run(security.CREATE_API_KEY, security.CreateApiKey(body)))
        return created.body["id"], created.body["api_key"]

    async def exchange(self, call: Call, request: requests.Turn) -> Answer:
        body = dict(request.body)
        id, step = body.pop("id", None), body.pop("step", None)
        self._check_key(call, id)
        if step not in protocol.STEPS:
            raise IllegalArgumentError(f"unknown step [{step}], expected one of [{', '.join(protocol.STEPS)}]")
        if step == "open":
            await self._check_opened(id, body)
        return Answer(await self._exchanges.handle(id, Asked(step, body)))

    def _check_key(self, call: Call, id: Any) -> None:
        """One answer for every stranger, whether the exchange exists or not."""
        key = (call.identity.api_key or {}).get("id")
        known = self._exchanges.all().get(id) if isinstance(id, str) else None
        is_bearer = known is not None and known.role == INVITER and key is not None and known.key == key
        # What a peer says over the transport of its users is believed, so it does not count here.
        if not is_bearer or call.origin.kind != "rest":
            raise SecurityError("only the API key of an invitation may go on with its exchange of trust")

    async def _check_opened(self, id: str, body: Mapping[str, Any]) -> None:
        read = protocol.read_card_and_nonce(body)
        if read is None:
            return  # the protocol refuses it
        try:
            self._trusted.check_card(read[0])
        except HanseError as error:
            await self._exchanges.handle(id, Ended(error.reason))
            raise

    # The accepting side.

    async def accept(self, call: Call, request: requests.Accept) -> Answer:
        body = _known(request.body, {"token", "alias", "limits", *_WAY})
        alias, limits = self._named(body)
        if not isinstance(body.get("token"), str):
            raise IllegalArgumentError("[token] is missing: the line that [hanse trust invite] printed")
        token = TrustToken.decode(body["token"])
        self._trusted.check_card(token.card)
        card = self._links.card(_way(body))
        known = self._exchanges.all().get(token.id)
        if known is not None and (known.phase != FAILED or known.undoing):
            raise StatusError("this token has been used here already; every invitation is good for one acceptance", 409)
        now = self._now_ms()
        exchange = Exchange(
            token.id,
            ACCEPTOR,
            CLAIMED,
            alias,
            limits,
            card,
            token.binding,
            new_nonce(),
            now,
            now + min(token.lifetime_ms, VALID_FOR_S_MAX * 1000) + LATER_MS,
            token.expires_ms,
            token.card,
            key=token.key,
            addresses=token.addresses,
            fingerprint=token.fingerprint,
        )
        await self._exchanges.begin(exchange)
        self._changed(call, "accept_cluster", alias)
        await self._exchanges.handle(exchange.id, protocol.Started())
        return Answer(_pending(self._exchanges.get(exchange.id)))

    # Both sides.

    def _named(self, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        alias = body.get("alias")
        if not isinstance(alias, str) or _ALIAS.fullmatch(alias) is None:
            raise IllegalArgumentError(
                "[alias], the name that the other cluster has here, must have 1 to 64 of [A-Z, a-z, 0-9, _, -] and not "
                "begin with [-]"
            )
        limits = body.get("limits", {})
        peer = parse_peer(alias, {"match": _ANY, "limits": limits})
        self._trusted.check_alias(alias)
        return alias, peer.body["limits"]

    async def confirm(self, call: Call, request: requests.Confirm) -> Answer:
        body = _known(request.body, {"id", "sas"})
        id, digits = body.get("id"), body.get("sas")
        if not isinstance(id, str) or not isinstance(digits, str):
            raise IllegalArgumentError("[id] and [sas], the short authentication string of the other side, are needed")
        self._changed(call, "confirm_cluster", self._exchanges.get(id).alias)
        await self._exchanges.handle(id, Compared(digits))
        return Answer(_pending(self._exchanges.get(id)))

    async def get_pending(self, call: Call, request: ByNames) -> Answer:
        found = [self._exchanges.get(id) for id in request.names] or list(self._exchanges.all().values())
        return Answer({exchange.id: _pending(exchange) for exchange in found})

    async def cancel(self, call: Call, request: ByNames) -> Answer:
        exchange = self._exchanges.get(request.only)
        await self._exchanges.handle(exchange.id, Ended("it was cancelled by an administrator"))
        self._changed(call, "cancel_cluster", exchange.alias)
        return Answer(_pending(self._exchanges.get(exchange.id)))

    async def get_trusted(self, call: Call, request: Empty) -> Answer:
        return Answer({alias: dict(entry) for alias, entry in self._trusted.all().items()})

    async def delete_trusted(self, call: Call, request: ByNames) -> Answer:
        await self._trusted.remove(request.only)
        self._changed(call, "distrust_cluster", request.only)
        return Answer({"found": True})

    def _changed(self, call: Call, event: str, name: str) -> None:
        if self._audit.enabled:
            self._audit.security_changed(event, call.identity, name)


def _known(body: Mapping[str, Any], known: set[str]) -> Mapping[str, Any]:
    for field in body:
        if field not in known:
            raise IllegalArgumentError(f"unexpected field [{field}], expected one of [{', '.join(sorted(known))}]")
    return body


def _lifetime_s(body: Mapping[str, Any]) -> float:
    text = body.get("expiration", VALID_FOR)
    lifetime_s = parse_time_s(str(text), "expiration")
    if not 0 < lifetime_s <= VALID_FOR_S_MAX:
        raise IllegalArgumentError(f"[expiration] [{text}] must be more than nothing and not more than one day")
    return lifetime_s


def _addresses(body: Mapping[str, Any], field: str) -> tuple[str, ...]:
    given = body.get(field, [])
    if not isinstance(given, list) or not all(isinstance(one, str) and ":" in one for one in given):
        raise IllegalArgumentError(f"[{field}] must be an array of addresses such as [node.example:9300]")
    return tuple(given)


def _way(body: Mapping[str, Any]) -> Way:
    """How the other side is to reach this one; empty where it goes by what the node publishes."""
    proxy_address, server_name = body.get("proxy_address", ""), body.get("server_name", "")
    for field, text in (("proxy_address", proxy_address), ("server_name", server_name)):
        if not isinstance(text, str):
            raise IllegalArgumentError(f"[{field}] must be a text")
    if proxy_address and ":" not in proxy_address:
        raise IllegalArgumentError("[proxy_address] must be an address such as [gate.example:9400]")
    way = Way(_addresses(body, "seeds"), proxy_address, server_name)
    if way != Way():
        check_way(way)
    return way


def _pending(exchange: Exchange) -> dict[str, Any]:
    """What people may see: neither secret nor nonce."""
    shown: dict[str, Any] = {
        "id": exchange.id,
        "role": exchange.role,
        "phase": exchange.phase,
        "alias": exchange.alias,
        "limits": exchange.limits,
        "expires_ms": exchange.expires_ms,
        "confirmed_here": exchange.confirmed_here,
        "confirmed_there": exchange.confirmed_there,
    }
    if exchange.string is not None and exchange.other is not None:
        shown |= {"sas": exchange.string, "other": _shown(exchange.other)}
    return shown | ({"reason": exchange.reason} if exchange.reason else {})


def _shown(card: Card) -> dict[str, Any]:
    authority = authority_of(card)
    return {
        "cluster_name": card.cluster_name,
        "cluster_uuid": card.cluster_uuid,
        "subject": authority.subject.rfc4514_string(),
        "fingerprint_sha256": fingerprint(authority),
        "not_after": authority.not_valid_after_utc.isoformat(),
        **{name: value for name, value in msgspec.to_builtins(card.way).items() if value},
    }
