"""The checks before a node opens itself to others: security that is only half configured is security in name only.

Tests: tests/tls/test_bootstrap_check.py.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from hanse.errors import SettingsError
from hanse.settings.network import is_loopback
from hanse.settings.node_settings import DISCOVERY_TYPE, SECURITY_ENABLED
from hanse.settings.registry import Settings
from hanse.tls.contexts import TlsContexts

log = structlog.get_logger(__name__)

_TRANSPORT = (
    "Transport SSL must be enabled if security is enabled. Please set [xpack.security.transport.ssl.enabled] to [true] "
    "or disable security by setting [xpack.security.enabled] to [false]"
)
_PKI = (
    "a PKI realm is enabled but cannot be used as neither HTTP or Transport have SSL and client authentication enabled"
)


def run_bootstrap_checks(
    settings: Settings,
    addresses: Iterable[str],
    *,
    transport: TlsContexts | None,
    http: TlsContexts | None,
    has_pki_realm: bool,
) -> None:
    """Raises SettingsError with Elasticsearch's lines when a node that others can reach is not fit for it.

    `addresses` are those it binds to and those it tells others. On loopback, or with `discovery.type: single-node`,
    what does not hold is only a warning, as in Elasticsearch.
    """
    if not settings.read(SECURITY_ENABLED):
        return
    failures = [] if transport is not None else [_TRANSPORT]
    if has_pki_realm and not any(_asks_for_certificates(contexts) for contexts in (http, transport)):
        failures.append(_PKI)
    is_reachable = not all(is_loopback(address) for address in addresses)
    if failures and is_reachable and settings.read(DISCOVERY_TYPE) != "single-node":
        raise SettingsError(_report(failures))
    for sentence in failures:
        log.warning(sentence)


def _asks_for_certificates(contexts: TlsContexts | None) -> bool:
    return contexts is not None and contexts.client_authentication in ("required", "optional")


def _report(failures: list[str]) -> str:
    count = len(failures)
    lines = [f"bootstrap check failure [{at}] of [{count}]: {sentence}" for at, sentence in enumerate(failures, 1)]
    return "\n".join(
        [
            f"[{count}] bootstrap checks failed. You must address the points described in the following [{count}] "
            f"lines before starting Elasticsearch.",
            *lines,
        ]
    )
