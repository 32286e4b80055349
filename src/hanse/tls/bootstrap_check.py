"""The check before a node opens itself to others: security without transport TLS is security in name only.

Tests: tests/tls/test_bootstrap_check.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import structlog

from hanse.errors import SettingsError
from hanse.settings.node_settings import DISCOVERY_TYPE, SECURITY_ENABLED
from hanse.settings.registry import Settings

log = structlog.get_logger(__name__)

_SENTENCE = (
    "Transport SSL must be enabled if security is enabled. Please set [xpack.security.transport.ssl.enabled] to [true] "
    "or disable security by setting [xpack.security.enabled] to [false]"
)


def check_transport_tls(settings: Settings, bound_addresses: Iterable[str], *, transport_tls: bool) -> None:
    """Raises SettingsError with Elasticsearch's line when a node that others can reach lacks transport TLS.

    On loopback, or with `discovery.type: single-node`, it is only a warning, as in Elasticsearch.
    """
    if transport_tls or not settings.read(SECURITY_ENABLED):
        return
    reachable = not all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in bound_addresses)
    if reachable and settings.read(DISCOVERY_TYPE) != "single-node":
        raise SettingsError(f"bootstrap check failure [1] of [1]: {_SENTENCE}")
    log.warning(_SENTENCE)
