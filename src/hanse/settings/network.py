"""Which addresses a node binds to and which it tells others, from `network.*`, `http.*` and `transport.*`.

Tests: tests/settings/test_network.py.
"""

from __future__ import annotations

import ipaddress
import socket

from hanse.errors import SettingsError
from hanse.settings import node_settings as declared
from hanse.settings.registry import Setting, Settings

LOCAL = "127.0.0.1"
_HTTP = (declared.HTTP_BIND_HOST, declared.HTTP_HOST, declared.NETWORK_BIND_HOST, declared.NETWORK_HOST)
_TRANSPORT = (declared.TRANSPORT_BIND_HOST, declared.TRANSPORT_HOST, declared.NETWORK_BIND_HOST, declared.NETWORK_HOST)
_HTTP_TOLD = (declared.HTTP_PUBLISH_HOST, declared.HTTP_HOST, declared.NETWORK_PUBLISH_HOST, declared.NETWORK_HOST)
_TRANSPORT_TOLD = (
    declared.TRANSPORT_PUBLISH_HOST,
    declared.TRANSPORT_HOST,
    declared.NETWORK_PUBLISH_HOST,
    declared.NETWORK_HOST,
)


def http_bind_host(settings: Settings) -> str:
    """The address the HTTP port binds to. The first one, where several are set."""
    return _resolve(*_first(settings, _HTTP))


def transport_bind_host(settings: Settings) -> str:
    return _resolve(*_first(settings, _TRANSPORT))


def http_publish_host(settings: Settings) -> str:
    """The address that clients are told: never a wildcard."""
    return _reachable(*_first(settings, _HTTP_TOLD))


def transport_publish_host(settings: Settings) -> str:
    return _reachable(*_first(settings, _TRANSPORT_TOLD))


def is_loopback(address: str) -> bool:
    """True when nobody from elsewhere can reach this bound address."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _first(settings: Settings, choices: tuple[Setting[tuple[str, ...]], ...]) -> tuple[str, str]:
    for setting in choices:
        values = settings.read(setting)
        if values:
            return values[0], setting.key
    return "_local_", declared.NETWORK_HOST.key


def _resolve(host: str, setting: str) -> str:
    if host.startswith("_") and host.endswith("_"):
        return _special(host, setting)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"failed to resolve host [{host}] in setting [{setting}]") from error
    return str(found[0][4][0])


def _special(name: str, setting: str) -> str:
    if name in ("_local_", "_local:ipv4_"):
        return LOCAL
    if name == "_local:ipv6_":
        return "::1"
    if name in ("_site_", "_site:ipv4_", "_global_", "_global:ipv4_"):
        return _own_address()
    raise SettingsError(f"[{name}] in setting [{setting}] is not known; give an address, [_local_] or [_site_]")


def _reachable(host: str, setting: str) -> str:
    address = _resolve(host, setting)
    return _own_address() if ipaddress.ip_address(address.partition("%")[0]).is_unspecified else address


def _own_address() -> str:
    """The address this machine uses towards others; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return LOCAL
