"""What trust by invitation needs of this node: its card, its addresses, the remote cluster settings and its TLS.

Satisfies security's `Links`. Tests: tests/remote/test_trust_links.py, tests/journeys/test_trust_in_one_step.py.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from cryptography.hazmat.primitives import serialization

from hanse.cluster.requests import UPDATE_SETTINGS, UpdateSettings
from hanse.errors import IllegalArgumentError, StatusError
from hanse.remote.settings import PREFIX, PROXY, SNIFF, aliases_of, read_config
from hanse.security.trust.authentication_string import Card, Way
from hanse.settings.registry import Settings
from hanse.tls.contexts import TlsContexts
from hanse.tls.identity import fingerprint, own_authorities
from hanse.tls.reload import Reloaded
from hanse.tls.ssl_settings import HTTP, TRANSPORT
from hanse.transport.actions import Action
from hanse.transport.hello import Hello
from hanse.transport.identity import SYSTEM, Identity

Run = Callable[[Action[Any, Any], Any, Identity], Awaitable[Any]]


class TrustLinks:
    """`http_address` is known when the node serves; `settings` are those in force."""

    def __init__(
        self,
        own: Callable[[], Hello],
        *,
        transport_tls: TlsContexts | None,
        http_tls: TlsContexts | None,
        http_address: Callable[[], str],
        settings: Callable[[], Settings],
        reload: Callable[[], Awaitable[list[Reloaded]]],
        run: Run,
    ) -> None:
        self._own = own
        self._transport_tls = transport_tls
        self._http_tls = http_tls
        self._http_address = http_address
        self._settings = settings
        self._reload = reload
        self._run = run

    def card(self, way: Way) -> Card:
        """Its authority is the trust anchor of this node's own transport certificate."""
        contexts = self._verifying()
        found = own_authorities(contexts.identity, contexts.trusted)
        if not found:
            raise IllegalArgumentError(
                f"the authority of this node's own transport certificate is not among those it trusts; add it to "
                f"[{TRANSPORT}.certificate_authorities] or to the truststore, so that it can be handed on"
            )
        own = self._own()
        authority = base64.b64encode(found[0].public_bytes(serialization.Encoding.DER)).decode()
        if way == Way():
            way = Way((own.address,))
        return Card(own.cluster_name, own.cluster_uuid, authority, way.seeds, way.proxy_address, way.server_name)

    def _verifying(self) -> TlsContexts:
        """Raises IllegalArgumentError when an authority that is trusted would change nothing here."""
        contexts = self._transport_tls
        if contexts is None:
            raise IllegalArgumentError(f"[{TRANSPORT}.enabled] must be [true]: without TLS nobody can be trusted")
        for name, value, wanted in (
            ("verification_mode", contexts.verification_mode, ("full", "certificate")),
            ("client_authentication", contexts.client_authentication, ("required",)),
        ):
            if value not in wanted:
                raise IllegalArgumentError(
                    f"[{TRANSPORT}.{name}] is [{value}], so this node does not look whom it talks to; trust needs "
                    f"[{wanted[0]}]"
                )
        return contexts

    def https(self, addresses: Sequence[str]) -> tuple[tuple[str, ...], str]:
        contexts = self._http_tls
        if contexts is None:
            raise IllegalArgumentError(
                f"[{HTTP}.enabled] must be [true]: an invitation is accepted over HTTPS, whose certificate it names"
            )
        return tuple(addresses) or (self._http_address(),), fingerprint(contexts.identity[0])

    def way(self, alias: str) -> Way | None:
        settings = self._settings()
        if alias not in aliases_of(settings):
            return None
        config = read_config(settings, alias)
        if config.mode == SNIFF:
            return Way(config.seeds)
        return Way((), config.proxy_address, config.server_name)

    async def connect(self, alias: str, way: Way) -> None:
        if way.proxy_address:
            values: dict[str, Any] = {"mode": PROXY, "proxy_address": way.proxy_address}
            if way.server_name:
                values["server_name"] = way.server_name
        else:
            values = {"seeds": list(way.seeds)}
        await self._set({f"{PREFIX}{alias}.{name}": value for name, value in values.items()})

    async def disconnect(self, alias: str) -> None:
        await self._set({f"{PREFIX}{alias}.*": None})

    async def _set(self, persistent: dict[str, Any]) -> None:
        await self._run(UPDATE_SETTINGS, UpdateSettings(persistent=persistent), SYSTEM)

    async def reload_trust(self) -> None:
        prefix = self._verifying().prefix
        for outcome in await self._reload():
            if outcome.prefix == prefix and outcome.problem is not None:
                raise StatusError(
                    f"the transport's TLS files cannot be read, so its trust stays as it is: {outcome.problem}", 500
                )
