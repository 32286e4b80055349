"""Which address is bound, and which is told."""

from __future__ import annotations

import ipaddress

import pytest

from hanse.errors import SettingsError
from hanse.settings.network import (
    http_bind_host,
    http_publish_host,
    is_loopback,
    transport_bind_host,
    transport_publish_host,
)
from hanse.settings.registry import Settings


def test_the_default_is_loopback() -> None:
    for host in (http_bind_host, http_publish_host, transport_bind_host, transport_publish_host):
        assert host(Settings()) == "127.0.0.1"
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("berlin.example")


def test_the_nearer_setting_wins() -> None:
    settings = Settings({"network.host": "127.0.0.2", "http.host": "127.0.0.3", "transport.bind_host": "127.0.0.4"})
    assert http_bind_host(settings) == "127.0.0.3"
    assert http_publish_host(settings) == "127.0.0.3"
    assert transport_bind_host(settings) == "127.0.0.4"
    assert transport_publish_host(settings) == "127.0.0.2"


def test_a_wildcard_is_bound_and_never_told() -> None:
    settings = Settings({"network.host": "0.0.0.0"})
    assert http_bind_host(settings) == "0.0.0.0"
    assert not ipaddress.ip_address(http_publish_host(settings)).is_unspecified
    assert not ipaddress.ip_address(transport_publish_host(settings)).is_unspecified


def test_names_and_special_words() -> None:
    assert is_loopback(http_bind_host(Settings({"network.host": "localhost"})))
    assert http_bind_host(Settings({"network.host": "_local_"})) == "127.0.0.1"
    assert http_bind_host(Settings({"network.host": "_local:ipv6_"})) == "::1"
    assert ipaddress.ip_address(http_bind_host(Settings({"network.host": "_site_"})))
    for bad in ("_eth7_", "no-such-host.invalid"):
        with pytest.raises(SettingsError, match=r"\[network\.host\]"):
            http_bind_host(Settings({"network.host": bad}))
