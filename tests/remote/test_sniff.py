"""Transcripts of sniff mode: an event, and the commands it leads to."""

from __future__ import annotations

from typing import Any

from hanse.cluster.state import NodeMetadata
from hanse.remote.settings import RemoteConfig
from hanse.remote.sniff import SniffStrategy, is_eligible
from hanse.remote.strategy import (
    Command,
    Demanded,
    Dial,
    DialFailed,
    Dialled,
    Drop,
    FailureKind,
    GaveUp,
    Keep,
    ListNodes,
    Lost,
    NodesFailed,
    NodesListed,
    Say,
    Started,
    Stopped,
    WakeAfter,
    Woke,
)
from hanse.transport.hello import Hello

from .conftest import BERGEN


def hello(name: str, cluster: str = "luebeck", roles: tuple[str, ...] = ("data", "master"), **attributes: str) -> Hello:
    return Hello(cluster, f"uuid-{cluster}", name, name, f"e-{name}", "9.1.0", f"{name}:9300", roles, attributes)


def node(name: str, roles: tuple[str, ...] = ("data", "master"), **attributes: str) -> NodeMetadata:
    return NodeMetadata(name, name, f"{name}:9300", "", roles, attributes)


def sniff(**config: Any) -> SniffStrategy:
    return SniffStrategy(RemoteConfig("l", **{"seeds": ("a:9300",), **config}), BERGEN, jitter=lambda: 1.0)


def acts(commands: list[Command]) -> list[Command]:
    return [command for command in commands if not isinstance(command, Say)]


def said(commands: list[Command]) -> list[str]:
    return [command.sentence for command in commands if isinstance(command, Say)]


def connected(strategy: SniffStrategy, *names: str) -> SniffStrategy:
    """Goes through a first round that ends with these nodes."""
    strategy.handle(Started())
    strategy.handle(Dialled(1, hello(names[0])))
    strategy.handle(NodesListed(1, tuple(node(name) for name in names)))
    for link, name in enumerate(names[1:], 2):
        strategy.handle(Dialled(link, hello(name)))
    return strategy


def test_the_first_seed_is_kept_and_further_nodes_are_dialled() -> None:
    strategy = sniff()
    assert strategy.handle(Started()) == [Dial(1, "a:9300")]
    assert strategy.handle(Dialled(1, hello("a"))) == [ListNodes(1)]
    listed = strategy.handle(NodesListed(1, tuple(node(name) for name in "abcd")))
    assert acts(listed) == [Keep(1), Dial(2, "b:9300"), Dial(3, "c:9300")]
    assert said(listed) == ["remote cluster connected"]
    assert strategy.handle(Dialled(2, hello("b"))) == [Keep(2)]
    assert strategy.handle(Dialled(3, hello("c"))) == [Keep(3)]
    assert repr(strategy) == "<remote cluster [l] sniff, idle, 3 of 3>"


def test_a_one_node_cluster_is_looked_at_again_now_and_then() -> None:
    strategy = sniff()
    strategy.handle(Started())
    strategy.handle(Dialled(1, hello("a")))
    assert acts(strategy.handle(NodesListed(1, (node("a"),)))) == [Keep(1), WakeAfter(30.0)]
    assert strategy.handle(Woke()) == [ListNodes(1)]
    assert strategy.handle(NodesListed(1, (node("a"), node("b")))) == [Dial(2, "b:9300")]
    assert strategy.handle(Dialled(2, hello("b"))) == [Keep(2), WakeAfter(30.0)]


def test_a_dedicated_master_is_asked_but_never_a_gateway() -> None:
    strategy = sniff()
    strategy.handle(Started())
    strategy.handle(Dialled(1, hello("m", roles=("master",))))
    assert strategy.handle(NodesListed(1, (node("m", ("master",)), node("b")))) == [Dial(2, "b:9300")]
    assert acts(strategy.handle(Dialled(2, hello("b")))) == [Keep(2), Drop(1), WakeAfter(30.0)]


def test_a_cluster_of_masters_only_is_an_error_that_says_so() -> None:
    strategy = sniff()
    strategy.handle(Started())
    strategy.handle(Dialled(1, hello("m", roles=("master",))))
    dropped, say, gave_up, wake = strategy.handle(NodesListed(1, (node("m", ("master",)),)))
    assert (dropped, wake) == (Drop(1), WakeAfter(0.1))
    assert isinstance(say, Say)
    assert isinstance(gave_up, GaveUp)
    assert gave_up.kind is FailureKind.NO_SEED
    assert gave_up.sentence == (
        "no seed node left for cluster: [l]. Unable to open any connections to remote cluster [l]: no node of it is "
        "more than a dedicated master; name a data or ingest node as seed"
    )


def test_only_nodes_with_the_demanded_attribute_become_gateways() -> None:
    strategy = sniff(node_attribute="gateway")
    strategy.handle(Started())
    strategy.handle(Dialled(1, hello("a")))
    nodes = (node("a"), node("b", gateway="true"), node("c", gateway="false"))
    assert strategy.handle(NodesListed(1, nodes)) == [Dial(2, "b:9300")]


def test_eligible_nodes() -> None:
    assert is_eligible(("master", "data_hot"), {}, "")
    assert is_eligible(("master", "ingest"), {}, "")
    assert is_eligible(("remote_cluster_client",), {}, "")
    assert is_eligible((), {}, "")
    assert not is_eligible(("master", "ml"), {}, "")
    assert not is_eligible(("data",), {}, "gateway")


def test_seeds_are_tried_in_turn() -> None:
    strategy = sniff(seeds=("a:9300", "b:9300"))
    strategy.handle(Started())
    assert strategy.handle(DialFailed(1, "connection refused")) == [Dial(2, "b:9300")]
    assert strategy.handle(Dialled(2, hello("b"))) == [ListNodes(2)]


def test_when_every_seed_fails_the_reason_names_alias_address_and_check() -> None:
    strategy = sniff(seeds=("a:9300", "b:9300"))
    strategy.handle(Started())
    strategy.handle(DialFailed(1, "refused"))
    say, gave_up, wake = strategy.handle(DialFailed(2, "certificate expired"))
    sentence = "unable to connect to remote cluster [l]: seed [a:9300]: refused; seed [b:9300]: certificate expired"
    assert gave_up == GaveUp(FailureKind.CONNECT, sentence)
    assert say == Say("warning", "remote cluster could not be connected", {"cluster": "l", "reason": sentence})
    assert wake == WakeAfter(0.1)


def test_delays_grow_to_a_limit_and_the_log_calms_down() -> None:
    strategy = sniff()
    strategy.handle(Started())
    delays, levels = [], []
    for link in range(1, 9):
        say, _, wake = strategy.handle(DialFailed(link, "refused"))
        assert isinstance(say, Say)
        assert isinstance(wake, WakeAfter)
        delays.append(wake.delay_s)
        levels.append(say.level)
        assert strategy.handle(Woke()) == [Dial(link + 1, "a:9300")]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert levels == ["warning"] + ["info"] * 7


def test_jitter_shortens_the_delay_by_up_to_a_half() -> None:
    strategy = SniffStrategy(RemoteConfig("l", seeds=("a:9300",)), BERGEN, jitter=lambda: 0.0)
    strategy.handle(Started())
    assert strategy.handle(DialFailed(1, "refused"))[-1] == WakeAfter(0.05)


def test_a_node_that_refuses_is_skipped_for_the_next_one() -> None:
    strategy = sniff(node_connections=2)
    strategy.handle(Started())
    strategy.handle(Dialled(1, hello("a")))
    strategy.handle(NodesListed(1, tuple(node(name) for name in "abc")))
    refused = strategy.handle(DialFailed(2, "version"))
    assert acts(refused) == [Dial(3, "c:9300")]
    assert said(refused) == ["gateway node of remote cluster skipped"]
    assert strategy.handle(Dialled(3, hello("c"))) == [Keep(3)]


def test_a_seed_that_will_not_list_its_nodes_is_dropped_for_the_next_one() -> None:
    strategy = sniff(seeds=("a:9300", "b:9300"))
    strategy.handle(Started())
    strategy.handle(Dialled(1, hello("a")))
    assert strategy.handle(NodesFailed(1, "action is unauthorized")) == [Drop(1), Dial(2, "b:9300")]
    *_, gave_up, _ = strategy.handle(DialFailed(2, "refused"))
    assert isinstance(gave_up, GaveUp)
    assert "seed [a:9300]: fetching nodes failed: action is unauthorized" in gave_up.sentence


def test_the_name_of_the_first_cluster_is_pinned() -> None:
    strategy = connected(sniff(node_connections=1), "a")
    strategy.handle(Lost(1, "reset"))
    strategy.handle(Woke())
    dropped, _, gave_up, _ = strategy.handle(Dialled(2, hello("a", cluster="visby")))
    assert dropped == Drop(2)
    assert isinstance(gave_up, GaveUp)
    assert "unexpected remote cluster name visby, expected remote cluster name [luebeck]" in gave_up.sentence


def test_another_node_at_a_known_address_is_not_taken_for_it() -> None:
    strategy = sniff(node_connections=2)
    strategy.handle(Started())
    strategy.handle(Dialled(1, hello("a")))
    strategy.handle(NodesListed(1, (node("a"), node("b"))))
    answered = strategy.handle(Dialled(2, hello("z")))
    assert acts(answered) == [Drop(2), WakeAfter(30.0)]


def test_a_lost_gateway_is_replaced_by_asking_another_one() -> None:
    strategy = connected(sniff(node_connections=2), "a", "b")
    lost = strategy.handle(Lost(1, "reset"))
    assert acts(lost) == [WakeAfter(0.1)]
    assert said(lost) == ["connection to remote cluster lost"]
    assert strategy.handle(Demanded()) == []
    assert strategy.handle(Woke()) == [ListNodes(2)]
    assert strategy.handle(NodesListed(2, (node("a"), node("b")))) == [Dial(3, "a:9300")]


def test_a_demand_does_not_wait_for_the_timer() -> None:
    strategy = connected(sniff(node_connections=1), "a")
    strategy.handle(Lost(1, "reset"))
    assert strategy.handle(Demanded()) == [Dial(2, "a:9300")]
    assert strategy.handle(Demanded()) == []
    assert strategy.handle(Woke()) == []


def test_a_gateway_lost_while_it_is_asked_leads_back_to_the_seeds() -> None:
    strategy = connected(sniff(node_connections=2), "a")
    strategy.handle(Woke())
    strategy.handle(Lost(1, "reset"))
    assert strategy.handle(NodesFailed(1, "reset")) == [Dial(2, "a:9300")]


def test_a_remote_that_is_this_cluster_works_and_is_pointed_out() -> None:
    strategy = sniff(node_connections=1)
    strategy.handle(Started())
    strategy.handle(Dialled(1, BERGEN))
    listed = strategy.handle(NodesListed(1, ()))
    assert acts(listed) == [Keep(1)]
    assert said(listed) == ["remote cluster connected", "remote cluster is this cluster itself"]


def test_through_a_proxy_the_nodes_host_is_announced() -> None:
    strategy = sniff(proxy="gate:443")
    assert strategy.handle(Started()) == [Dial(1, "gate:443", server_name="a")]
    strategy.handle(Dialled(1, hello("a")))
    listed = strategy.handle(NodesListed(1, (node("a"), node("b"))))
    assert acts(listed) == [Keep(1), Dial(2, "gate:443", server_name="b")]


def test_after_the_stop_nothing_is_kept() -> None:
    strategy = connected(sniff(node_connections=2), "a", "b")
    assert strategy.handle(Stopped()) == [Drop(1), Drop(2)]
    assert strategy.handle(Woke()) == []
    assert strategy.handle(Dialled(9, hello("a"))) == [Drop(9)]
    assert strategy.handle(DialFailed(10, "refused")) == []


def test_a_stop_while_a_seed_is_asked_drops_its_link() -> None:
    strategy = sniff()
    strategy.handle(Started())
    strategy.handle(Dialled(1, hello("a")))
    assert strategy.handle(Stopped()) == [Drop(1)]
