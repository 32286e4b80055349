"""Half-configured security: refused where others can reach the node, a warning elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from hanse.errors import SettingsError
from hanse.settings.registry import Settings
from hanse.tls.bootstrap_check import run_bootstrap_checks
from hanse.tls.contexts import TlsContexts
from hanse.tls.ssl_settings import HTTP

from .conftest import Place

TRANSPORT_LINE = (
    "Transport SSL must be enabled if security is enabled. Please set [xpack.security.transport.ssl.enabled] to [true] "
    "or disable security by setting [xpack.security.enabled] to [false]"
)
PKI_LINE = (
    "a PKI realm is enabled but cannot be used as neither HTTP or Transport have SSL and client authentication enabled"
)


def check(
    addresses: list[str],
    values: dict[str, Any] | None = None,
    transport: TlsContexts | None = None,
    http: TlsContexts | None = None,
    has_pki_realm: bool = False,
) -> list[str]:
    """What is warned of. Raises SettingsError."""
    with structlog.testing.capture_logs() as logs:
        run_bootstrap_checks(
            Settings(values or {}), addresses, transport=transport, http=http, has_pki_realm=has_pki_realm
        )
    return [entry["event"] for entry in logs if entry["log_level"] == "warning"]


def test_a_node_that_others_can_reach_does_not_start_without_transport_tls() -> None:
    with pytest.raises(SettingsError) as raised:
        check(["127.0.0.1", "192.0.2.7"])
    assert raised.value.reason.splitlines() == [
        "[1] bootstrap checks failed. You must address the points described in the following [1] lines before starting "
        "Elasticsearch.",
        f"bootstrap check failure [1] of [1]: {TRANSPORT_LINE}",
    ]


def test_failures_are_counted_and_numbered() -> None:
    with pytest.raises(SettingsError) as raised:
        check(["::"], has_pki_realm=True)
    assert raised.value.reason.splitlines() == [
        "[2] bootstrap checks failed. You must address the points described in the following [2] lines before starting "
        "Elasticsearch.",
        f"bootstrap check failure [1] of [2]: {TRANSPORT_LINE}",
        f"bootstrap check failure [2] of [2]: {PKI_LINE}",
    ]


@pytest.mark.parametrize(
    ("values", "address"), [({}, "127.0.0.1"), ({}, "::1"), ({"discovery.type": "single-node"}, "0.0.0.0")]
)
def test_on_loopback_and_alone_it_is_a_warning(values: dict[str, str], address: str) -> None:
    assert check([address], values) == [TRANSPORT_LINE]
    assert check([address], values, has_pki_realm=True) == [TRANSPORT_LINE, PKI_LINE]


def test_with_tls_or_without_security_there_is_nothing_to_say(place: Place) -> None:
    transport = place.node("berlin", "ca")
    assert check(["0.0.0.0"], transport=transport) == []
    assert check(["0.0.0.0"], {"xpack.security.enabled": "false"}, has_pki_realm=True) == []


def test_a_pki_realm_needs_a_port_that_asks_for_certificates(place: Place) -> None:
    silent = place.node("berlin", "ca", client_authentication="none")
    with pytest.raises(SettingsError, match="neither HTTP or Transport have SSL and client authentication"):
        check(["0.0.0.0"], transport=silent, http=place.node("berlin", "ca", prefix=HTTP), has_pki_realm=True)
    asking = place.node("berlin", "ca", prefix=HTTP, client_authentication="optional")
    assert check(["0.0.0.0"], transport=silent, http=asking, has_pki_realm=True) == []
