"""Transcripts of proxy mode."""

from __future__ import annotations

from typing import Any

import pytest

from hanse.remote.proxy import ProxyStrategy, bulk_sockets
from hanse.remote.settings import RemoteConfig
from hanse.remote.strategy import (
    Demanded,
    Dial,
    DialFailed,
    Dialled,
    Drop,
    FailureKind,
    GaveUp,
    Keep,
    Lost,
    Say,
    Started,
    WakeAfter,
    Woke,
)
from hanse.transport.actions import Lane
from hanse.transport.hello import Hello

from .conftest import BERGEN


def hello(name: str, cluster: str = "luebeck") -> Hello:
    return Hello(cluster, f"uuid-{cluster}", name, name, f"e-{name}", "9.1.0", "10.0.0.1:9300", ("data",))


def proxy(**config: Any) -> ProxyStrategy:
    values = {"mode": "proxy", "proxy_address": "gate:9400", "proxy_socket_connections": 3, **config}
    return ProxyStrategy(RemoteConfig("l", **values), BERGEN, jitter=lambda: 1.0)


def test_one_socket_proves_the_address_then_the_others_follow() -> None:
    strategy = proxy(server_name="luebeck.example")
    assert strategy.handle(Started()) == [Dial(1, "gate:9400", "luebeck.example")]
    keep, say, *dials = strategy.handle(Dialled(1, hello("a")))
    assert (keep, say.sentence) == (Keep(1), "remote cluster connected")  # type: ignore[union-attr]
    assert dials == [
        Dial(2, "gate:9400", "luebeck.example", Lane.BULK),
        Dial(3, "gate:9400", "luebeck.example", Lane.INTERACTIVE),
    ]
    assert strategy.handle(Dialled(3, hello("b"))) == [Keep(3)]
    assert strategy.handle(Dialled(2, hello("a"))) == [Keep(2)]
    assert repr(strategy) == "<remote cluster [l] proxy, idle, 3 of 3>"


def test_fewer_than_wanted_are_accepted_and_filled_up_later() -> None:
    strategy = proxy()
    strategy.handle(Started())
    strategy.handle(Dialled(1, hello("a")))
    assert strategy.handle(Dialled(2, hello("a"))) == [Keep(2)]
    say, wake = strategy.handle(DialFailed(3, "refused"))
    assert say == Say("debug", "fewer proxy connections than wanted", {"cluster": "l", "open": 2, "wanted": 3})
    assert wake == WakeAfter(30.0)
    assert strategy.handle(Woke()) == [Dial(4, "gate:9400")]
    assert strategy.handle(Dialled(4, hello("a"))) == [Keep(4)]


def test_a_dead_address_costs_one_dial_a_round() -> None:
    strategy = proxy()
    strategy.handle(Started())
    _, gave_up, wake = strategy.handle(DialFailed(1, "connection refused"))
    assert gave_up == GaveUp(
        FailureKind.NO_SEED,
        "Unable to open any proxy connections to cluster [l] at address [gate:9400]: connection refused",
    )
    assert wake == WakeAfter(0.1)
    assert strategy.handle(Demanded()) == [Dial(2, "gate:9400")]


def test_a_socket_that_leads_to_another_cluster_is_dropped() -> None:
    strategy = proxy(proxy_socket_connections=2)
    strategy.handle(Started())
    strategy.handle(Dialled(1, hello("a")))
    dropped, *_ = strategy.handle(Dialled(2, hello("x", cluster="visby")))
    assert dropped == Drop(2)
    assert list(strategy.links) == [1]


def test_lost_sockets_are_opened_again() -> None:
    strategy = proxy(proxy_socket_connections=1)
    strategy.handle(Started())
    strategy.handle(Dialled(1, hello("a")))
    say, wake = strategy.handle(Lost(1, "reset"))
    assert isinstance(say, Say)
    assert (say.level, wake) == ("warning", WakeAfter(0.1))
    assert strategy.handle(Woke()) == [Dial(2, "gate:9400")]


def test_a_single_connection_lost_within_the_round_ends_it_with_the_reason() -> None:
    strategy = proxy(proxy_socket_connections=2)
    strategy.handle(Started())
    strategy.handle(Dialled(1, hello("a")))
    strategy.handle(Lost(1, "reset by peer"))
    _, gave_up, _ = strategy.handle(DialFailed(2, "refused"))
    assert gave_up == GaveUp(FailureKind.CONNECT, "unable to connect to remote cluster [l]: [gate:9400]: reset by peer")


@pytest.mark.parametrize(("sockets", "bulk"), [(1, 0), (2, 1), (3, 1), (6, 2), (18, 6)])
def test_a_third_of_the_sockets_is_for_bulk(sockets: int, bulk: int) -> None:
    assert bulk_sockets(sockets) == bulk
    strategy = proxy(proxy_socket_connections=sockets)
    strategy.handle(Started())
    for link in range(1, sockets + 1):
        strategy.handle(Dialled(link, hello("a")))
    assert sum(link.lane is Lane.BULK for link in strategy.links.values()) == bulk
