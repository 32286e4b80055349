"""The clusters that are trusted by invitation: remote peer, authority and connection, put together and taken apart.

Order is the promise here: the ceiling stands before its authority is trusted, and stays until the authority is gone and
its connections are cut. Authorities live in the security store and survive a restart; only the transport's TLS contexts
take them, never HTTP's. Tests: tests/security/trust/test_exchanges.py.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from cryptography import x509

from hanse import clock
from hanse.errors import HanseError, IllegalArgumentError, ResourceNotFoundError, StatusError
from hanse.security.ceilings import ACCEPTED as KIND
from hanse.security.ceilings import RemotePeers
from hanse.security.peers import KIND as PEER
from hanse.security.store import Changes, Entries, SecurityStore
from hanse.security.trust.authentication_string import Card, Way
from hanse.security.trust.protocol import Exchange
from hanse.tls.identity import fingerprint

log = structlog.get_logger(__name__)

_TEXT = re.compile(r"[^\s].{0,254}")


class Links(Protocol):
    """What this room needs of the node around it."""

    def card(self, way: Way) -> Card:
        """This cluster's; the way to it is what the node publishes where it is empty.

        Raises IllegalArgumentError when its transport cannot prove who is who.
        """
        ...

    def https(self, addresses: Sequence[str]) -> tuple[tuple[str, ...], str]:
        """Where it is called over HTTPS, and the fingerprint of the certificate it shows there."""
        ...

    def way(self, alias: str) -> Way | None:
        """To a configured remote cluster; None for an alias that nobody configured."""
        ...

    async def connect(self, alias: str, way: Way) -> None: ...

    async def disconnect(self, alias: str) -> None: ...

    async def reload_trust(self) -> None:
        """Makes the transport trust what `authorities` holds now, and cuts whom nobody vouches for any more.

        Raises HanseError when it goes on as before.
        """
        ...


def authorities(store: SecurityStore) -> tuple[x509.Certificate, ...]:
    """Every authority that was accepted; what the transport trusts beside its files."""
    return tuple(_certificate(entry["certificate"]) for entry in store.entries(KIND).values())


def authority_of(card: Card) -> x509.Certificate:
    """Raises IllegalArgumentError for what is no certificate."""
    try:
        return _certificate(card.authority)
    except (ValueError, binascii.Error) as error:
        raise IllegalArgumentError(
            f"the authority of cluster [{card.cluster_name}] is no certificate that can be read"
        ) from error


def check_way(way: Way) -> None:
    """Raises IllegalArgumentError unless it is one way: seeds, or a proxy with or without a server name."""
    if bool(way.seeds) is bool(way.proxy_address):
        raise IllegalArgumentError("either [seeds] or [proxy_address] has to say how a cluster is reached")
    if way.server_name and not way.proxy_address:
        raise IllegalArgumentError("[server_name] is announced to a proxy; without [proxy_address] there is none")


def _certificate(text: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(text, validate=True))


def _now() -> datetime:
    return datetime.now(UTC)


class TrustedClusters:
    """Puts and removes; knows by which exchange a cluster came."""

    def __init__(
        self, store: SecurityStore, peers: RemotePeers, links: Links, *, now: Callable[[], datetime] = _now
    ) -> None:
        self._store = store
        self._peers = peers
        self._links = links
        self._now = now

    def all(self) -> Mapping[str, dict[str, Any]]:
        return self._store.entries(KIND)

    def check_alias(self, alias: str) -> None:
        """Raises StatusError 409 when the name is taken by anything that would be put."""
        for what, taken in (
            ("a cluster trusted by invitation", alias in self.all()),
            ("a remote peer", alias in self._peers.all()),
            ("a remote cluster", self._links.way(alias) is not None),
        ):
            if taken:
                raise StatusError(f"[{alias}] is already the name of {what} here; choose another or remove it", 409)

    def check_card(self, card: Card) -> None:
        """Raises HanseError unless this is another cluster, with an authority of its own that is valid now."""
        own = self._links.card(Way())
        way = [text for text in (*card.seeds, card.proxy_address, card.server_name) if text]
        texts = (card.cluster_name, card.cluster_uuid, *way)
        if not all(_TEXT.fullmatch(text) and text.isprintable() for text in texts):
            raise IllegalArgumentError("a cluster's name, uuid and addresses must be short printable texts")
        check_way(card.way)
        if card.cluster_uuid == own.cluster_uuid:
            raise IllegalArgumentError(f"[{card.cluster_name}] is this very cluster: it cannot invite itself")
        authority = authority_of(card)
        found = fingerprint(authority)
        if found == fingerprint(authority_of(own)):
            raise IllegalArgumentError(
                f"the certificates of [{card.cluster_name}] and of this cluster come from the same authority, so they "
                f"trust each other already; define a remote peer by [san] or [subject] and set [cluster.remote.*]"
            )
        for alias, entry in self.all().items():
            if entry["fingerprint_sha256"] == found:
                raise StatusError(f"the authority of [{card.cluster_name}] is trusted already, as [{alias}]", 409)
        self._check_dates(card, authority)

    def _check_dates(self, card: Card, authority: x509.Certificate) -> None:
        now = self._now()
        if not authority.not_valid_before_utc <= now <= authority.not_valid_after_utc:
            raise IllegalArgumentError(
                f"the authority of [{card.cluster_name}] is valid from [{authority.not_valid_before_utc.isoformat()}] "
                f"to [{authority.not_valid_after_utc.isoformat()}], and it is [{now.isoformat(timespec='seconds')}] "
                f"here; renew it, or set the clocks of both clusters right"
            )

    async def establish(self, exchange: Exchange) -> None:
        """May be called again for what a crash has left half-way. What a failure leaves is for `undo`."""
        card = exchange.other
        assert card is not None
        await self._store.change(PEER, lambda stored: _put_peer(exchange, stored))
        await self._store.change(KIND, lambda stored: _put_authority(exchange, card, stored))
        await self._links.reload_trust()
        await self._connect(exchange, card)
        log.info("a cluster is trusted by invitation", alias=exchange.alias, cluster=card.cluster_name)

    async def _connect(self, exchange: Exchange, card: Card) -> None:
        known = self._links.way(exchange.alias)
        if known is not None and known != card.way:
            raise StatusError(f"the remote cluster [{exchange.alias}] has been configured meanwhile", 409)
        await self._links.connect(exchange.alias, card.way)

    async def undo(self, exchange: Exchange) -> None:
        """Removes what this exchange has put, and nothing else. May be called again after it has failed."""
        alias, card = exchange.alias, exchange.other
        assert card is not None
        entry = self.all().get(alias)
        if entry is not None and entry["exchange"] != exchange.id:
            return
        if entry is not None:  # the connection is put after it
            if self._links.way(alias) == card.way:
                await self._links.disconnect(alias)
            await self._store.change(KIND, lambda stored: {alias: None})
        await self._links.reload_trust()
        body = peer_body(exchange)
        await self._store.change(PEER, lambda stored: {alias: None} if stored.get(alias) == body else {})

    async def remove(self, alias: str) -> None:
        """Ends trust in a cluster: its connections are cut. Raises ResourceNotFoundError."""
        entry = self.all().get(alias)
        if entry is None:
            raise ResourceNotFoundError(f"no cluster is trusted by invitation as [{alias}]")
        if self._links.way(alias) is not None:
            await self._links.disconnect(alias)
        await self._store.change(KIND, lambda stored: {alias: None})
        try:
            await self._links.reload_trust()
        except HanseError:
            # It is still trusted, so it is still shown, and its ceiling stays.
            await self._store.change(KIND, lambda stored: {alias: entry})
            raise
        await self._store.change(PEER, lambda stored: {alias: None} if alias in stored else {})
        log.info("a cluster is trusted no more", alias=alias, cluster=entry["cluster_name"])


def peer_body(exchange: Exchange) -> dict[str, Any]:
    """The remote peer of the other side: whatever its authority vouches for, and only that authority."""
    assert exchange.other is not None
    match = {"any": [{"issuer_fingerprint_sha256": fingerprint(authority_of(exchange.other))}]}
    return {"match": match, "enabled": True, "limits": exchange.limits}


def _put_peer(exchange: Exchange, stored: Entries) -> Changes:
    body = peer_body(exchange)
    if stored.get(exchange.alias, body) != body:
        raise StatusError(f"a remote peer [{exchange.alias}] has been put meanwhile", 409)
    return {exchange.alias: body}


def _put_authority(exchange: Exchange, card: Card, stored: Entries) -> Changes:
    if exchange.alias in stored and stored[exchange.alias]["exchange"] != exchange.id:
        raise StatusError(f"[{exchange.alias}] has been trusted meanwhile by another invitation", 409)
    certificate = authority_of(card)
    return {
        exchange.alias: {
            "exchange": exchange.id,
            "cluster_name": card.cluster_name,
            "cluster_uuid": card.cluster_uuid,
            "certificate": card.authority,
            "subject": certificate.subject.rfc4514_string(),
            "fingerprint_sha256": fingerprint(certificate),
            "not_after": certificate.not_valid_after_utc.isoformat(),
            "since_ms": clock.now_ms(),
        }
    }
