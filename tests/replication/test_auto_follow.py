from __future__ import annotations

from typing import Any, cast

import pytest
from tests.replication.following import caught_up
from tests.two_clusters import Cluster, until

from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import HanseError
from hanse.index.administration import requests as administration
from hanse.index.administration.requests import ByNames, CreateIndex, PutTemplate, Rollover
from hanse.replication import auto_follow, requests
from hanse.replication.auto_follow import STATE_KEY, AutoFollow, checked_pattern, matches
from hanse.replication.requests import AutoFollowPattern

Pair = tuple[Cluster, Cluster]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_follow, "LOOK_EVERY_S", 0.02)


async def put(here: Cluster, name: str = "logs", *patterns: str, **more: Any) -> None:
    body = {"remote_cluster": "there", "leader_index_patterns": list(patterns or ("logs-*",)), **more}
    await here.run(requests.PUT_AUTO_FOLLOW, AutoFollowPattern(name, body))


async def patterns(here: Cluster, name: str = "") -> list[dict[str, Any]]:
    answer = await here.run(requests.GET_AUTO_FOLLOW, AutoFollowPattern(name))
    found: list[dict[str, Any]] = answer["patterns"]
    return found


def known(here: Cluster, name: str) -> bool:
    return name in here.node.cluster.state.indices


async def test_new_indices_are_followed_and_old_ones_are_not(pair: Pair) -> None:
    here, there = pair
    await there.create("logs-old")
    await put(here, follow_index_pattern="{{leader_index}}-copy", settings={"number_of_replicas": 0})
    await there.create("logs-new")
    await there.create("other")
    await there.write("logs-new", "1", n=1)
    await until(lambda: known(here, "logs-new-copy"))
    await here.node.indices.ready("logs-new-copy")
    await caught_up(here, there, "logs-new-copy", "logs-new")
    assert sorted(here.node.cluster.state.indices) == ["logs-new-copy"]
    assert here.node.cluster.state.indices["logs-new-copy"].number_of_replicas == 0
    await until(lambda: here.node.auto_follow.stats()["number_of_successful_follow_indices"] == 1)
    assert here.node.auto_follow.stats()["auto_followed_clusters"][0]["cluster_name"] == "there"


async def test_a_data_stream_is_followed_by_its_name_with_every_new_backing_index(pair: Pair) -> None:
    here, there = pair
    template = PutTemplate("logs", {"index_patterns": ["logs-*"], "data_stream": {}})
    await there.run(administration.PUT_INDEX_TEMPLATE, template)
    await put(here)
    await there.run(administration.CREATE_DATA_STREAM, CreateIndex(("logs-app",)))
    rolled = await there.run(administration.ROLLOVER, Rollover(("logs-app",)))
    await until(lambda: known(here, rolled["old_index"]) and known(here, rolled["new_index"]))
    (stream,) = (await here.run(administration.GET_DATA_STREAM, ByNames(("logs-app",))))["data_streams"]
    assert (stream["generation"], stream["replicated"], len(stream["indices"])) == (2, True, 2)


async def test_a_paused_pattern_catches_up_when_resumed(pair: Pair) -> None:
    here, there = pair
    await put(here)
    await here.run(requests.ACTIVATE_AUTO_FOLLOW, AutoFollowPattern("logs", {"active": False}))
    assert (await patterns(here))[0]["pattern"]["active"] is False
    await there.create("logs-1")
    await here.run(requests.ACTIVATE_AUTO_FOLLOW, AutoFollowPattern("logs", {"active": True}))
    await until(lambda: known(here, "logs-1"))


async def test_a_pattern_is_shown_without_what_is_kept_beside_it(pair: Pair) -> None:
    here, _ = pair
    await put(here, "a", "x*", max_read_request_operation_count=5)
    (entry,) = await patterns(here, "a")
    assert entry["pattern"] == {
        "remote_cluster": "there",
        "leader_index_patterns": ["x*"],
        "leader_index_exclusion_patterns": [],
        "max_read_request_operation_count": 5,
        "active": True,
    }
    await here.run(requests.DELETE_AUTO_FOLLOW, AutoFollowPattern("a"))
    assert await patterns(here) == []


async def test_two_patterns_on_one_index_follow_nothing_and_say_so(pair: Pair) -> None:
    here, there = pair
    await put(here, "one", "logs-*")
    await put(here, "two", "logs-1*")
    await there.create("logs-1")
    await until(lambda: here.node.auto_follow.stats()["recent_auto_follow_errors"])
    (error, *_) = here.node.auto_follow.stats()["recent_auto_follow_errors"]
    assert "matches with other patterns" in error["auto_follow_exception"]["reason"]
    assert not known(here, "logs-1")
    await here.run(requests.DELETE_AUTO_FOLLOW, AutoFollowPattern("two"))
    await until(lambda: known(here, "logs-1"))


async def test_a_follow_that_fails_is_counted_and_tried_again(pair: Pair) -> None:
    here, there = pair
    await here.create("logs-1")
    await put(here)
    await there.create("logs-1")
    await until(lambda: here.node.auto_follow.stats()["number_of_failed_follow_indices"] > 1)
    reason = here.node.auto_follow.stats()["recent_auto_follow_errors"][0]["auto_follow_exception"]["reason"]
    assert "an open index with same name already exists" in reason


async def test_a_lost_remote_is_counted(pair: Pair) -> None:
    here, there = pair
    await put(here)
    await there.node.close()
    await until(lambda: here.node.auto_follow.stats()["number_of_failed_remote_cluster_state_requests"] > 0)


@pytest.mark.parametrize(
    "action", [requests.GET_AUTO_FOLLOW, requests.DELETE_AUTO_FOLLOW, requests.ACTIVATE_AUTO_FOLLOW]
)
async def test_a_pattern_that_is_not_there(pair: Pair, action: Any) -> None:
    with pytest.raises(HanseError, match=r"auto-follow pattern \[none\] is missing") as raised:
        await pair[0].run(action, AutoFollowPattern("none", {"active": True}))
    assert raised.value.status == 404


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("p", {"remote_cluster": None}, "[remote_cluster] is missing"),
        ("p", {"leader_index_patterns": []}, "[leader_index_patterns] is missing"),
        ("p", {"colour": 1}, "unknown field [colour]"),
        ("p", {"max_write_buffer_count": 0}, "max_write_buffer_count must be larger than 0"),
        ("_p", {}, "[_p] must not start with a '_'"),
        ("p,q", {}, "must not contain a ','"),
        ("P", {}, "must be lower cased"),
    ],
)
def test_patterns_that_are_refused(name: str, change: dict[str, Any], reason: str) -> None:
    body = {"remote_cluster": "there", "leader_index_patterns": ["x*"], **change}
    with pytest.raises(HanseError) as raised:
        checked_pattern(name, body)
    assert reason in raised.value.reason


@pytest.mark.parametrize(
    ("index", "fits"), [("logs-1", True), ("logs-test-1", False), ("other", False), (".logs-1", False)]
)
def test_matching(index: str, fits: bool) -> None:
    pattern = {"leader_index_patterns": ["logs-*", ".*"], "leader_index_exclusion_patterns": ["logs-test*"]}
    assert matches(pattern, index) is fits


def test_one_node_alone_looks_for_new_leaders() -> None:
    patterns = {"logs": {"active": True}, "asleep": {"active": False}}
    nodes = {id: NodeMetadata(id, id, "", "") for id in ("n1", "n2")}
    state = ClusterState("here", "uuid", customs={STATE_KEY: patterns}, nodes=nodes, master_node="n1")
    cluster = ClusterService(cast(Any, None), state)
    watched = [
        AutoFollow(cluster, cast(Any, None), cast(Any, None), lambda id=id: id)._watched() for id in ("n1", "n2")
    ]
    assert [list(one) for one in watched] == [["logs"], []]
