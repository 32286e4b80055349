"""The settings of the engine."""

from __future__ import annotations

import pytest

from hanse.cluster.jetstream.settings import LOG_SIZE, ROUTES, SERVERS
from hanse.errors import IllegalArgumentError
from hanse.settings.registry import Settings


@pytest.mark.parametrize("value", ["host", "host:", ":6222", "host:x", "host:0", "host:70000"])
def test_places_are_hosts_with_ports(value: str) -> None:
    with pytest.raises(IllegalArgumentError, match="expected host:port"):
        Settings({"hanse.nats.routes": [value]}).read(ROUTES)


def test_lists_of_places() -> None:
    assert Settings({"hanse.nats.servers": "a:1,[::1]:2"}).read(SERVERS) == ("a:1", "[::1]:2")
    assert Settings({"hanse.nats.log_size": "512mb"}).read(LOG_SIZE) == 512 * 2**20


def test_a_log_must_hold_the_longest_batch() -> None:
    with pytest.raises(IllegalArgumentError, match="must hold the longest batch"):
        Settings({"hanse.nats.log_size": "1mb"}).read(LOG_SIZE)
