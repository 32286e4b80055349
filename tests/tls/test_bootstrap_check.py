"""Security without transport TLS: refused where others can reach the node, a warning elsewhere."""

from __future__ import annotations

import pytest
import structlog

from hanse.errors import SettingsError
from hanse.settings.registry import Settings
from hanse.tls.bootstrap_check import check_transport_tls


def test_a_node_that_others_can_reach_does_not_start_without_transport_tls() -> None:
    with pytest.raises(SettingsError) as raised:
        check_transport_tls(Settings(), ["127.0.0.1", "192.0.2.7"], transport_tls=False)
    assert raised.value.reason.startswith("bootstrap check failure [1] of [1]: Transport SSL must be enabled if ")


@pytest.mark.parametrize(
    ("values", "address"), [({}, "127.0.0.1"), ({}, "::1"), ({"discovery.type": "single-node"}, "0.0.0.0")]
)
def test_on_loopback_and_alone_it_is_a_warning(values: dict[str, str], address: str) -> None:
    with structlog.testing.capture_logs() as logs:
        check_transport_tls(Settings(values), [address], transport_tls=False)
    assert [entry["log_level"] for entry in logs] == ["warning"]


def test_with_tls_or_without_security_there_is_nothing_to_say() -> None:
    with structlog.testing.capture_logs() as logs:
        check_transport_tls(Settings(), ["0.0.0.0"], transport_tls=True)
        check_transport_tls(Settings({"xpack.security.enabled": "false"}), ["0.0.0.0"], transport_tls=False)
    assert logs == []
