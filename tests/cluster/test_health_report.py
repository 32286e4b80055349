"""The report: the worst indicator decides, and each says what it means."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest
from tests.cluster.conftest import NOW_MS, initializing
from tests.one_node import Asking

from hanse.cluster.allocation import failed, reroute, started, with_member, without_member
from hanse.cluster.health_report import HealthReport, _joined
from hanse.cluster.requests import HEALTH_REPORT, ReadHealthReport
from hanse.cluster.state import ClusterState, IndexMetadata, NodeMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import ResourceNotFoundError

NODE = NodeMetadata("n1", "harbour-1", "127.0.0.1:9300", "127.0.0.1:9200")
CALL = cast(Any, None)
replaced = msgspec.structs.replace


def report_of(state: ClusterState, status: str = "green") -> HealthReport:
    service = ClusterService(cast(Any, None), state)
    return HealthReport(service, {"tides": lambda: {"status": status, "symptom": "s", "details": {"m": 2}}})


def state(*, replicas: int = 0, master: str | None = "n1") -> ClusterState:
    before = ClusterState("harbour", "uuid", nodes={"n1": NODE}, master_node=master)
    new = reroute(before, before.with_index(IndexMetadata("ships", "uuid", {}, number_of_replicas=replicas)), NOW_MS)
    return started(new, initializing(new), NOW_MS)


async def test_all_is_well() -> None:
    answer = await report_of(state()).report(CALL, ReadHealthReport())
    assert (answer["status"], answer["cluster_name"]) == ("green", "harbour")
    assert {name: entry["status"] for name, entry in answer["indicators"].items()} == {
        "master_is_stable": "green",
        "shards_availability": "green",
        "tides": "green",
    }
    assert answer["indicators"]["master_is_stable"]["details"]["current_master"] == {
        "node_id": "n1",
        "name": "harbour-1",
    }


async def test_the_worst_decides_and_says_what_mends_it() -> None:
    answer = await report_of(state(replicas=2)).report(CALL, ReadHealthReport())
    assert answer["status"] == "yellow"
    shards = answer["indicators"]["shards_availability"]
    assert shards["details"]["unassigned_replicas"] == 2
    assert "number_of_replicas" in shards["diagnosis"][0]["action"]
    answer = await report_of(state(replicas=2), "red").report(CALL, ReadHealthReport())
    assert answer["status"] == "red"
    answer = await report_of(state(master=None)).report(CALL, ReadHealthReport())
    assert answer["indicators"]["master_is_stable"]["status"] == "red"


async def test_one_indicator_and_without_details() -> None:
    answer = await report_of(state()).report(CALL, ReadHealthReport("tides", verbose=False))
    assert answer == {"cluster_name": "harbour", "indicators": {"tides": {"status": "green", "symptom": "s"}}}
    with pytest.raises(ResourceNotFoundError, match="Did not find indicator moon"):
        await report_of(state()).report(CALL, ReadHealthReport("moon"))


async def shards_of(state: ClusterState) -> tuple[str, str, dict[str, int], list[str]]:
    """Status, symptom, the counts that are not 0, and the names of the diagnoses."""
    answer = await report_of(state).report(CALL, ReadHealthReport("shards_availability"))
    found = answer["indicators"]["shards_availability"]
    names = [one["id"].rpartition(":")[2] for one in found.get("diagnosis", ())]
    return found["status"], found["symptom"], {k: v for k, v in found["details"].items() if v}, names


async def test_a_primary_that_is_lost_and_one_that_is_begun() -> None:
    lost = state()
    for _ in range(5):
        (copy,) = lost.routing["ships"][0].copies
        lost = reroute(lost, failed(lost, "uuid", 0, copy.allocation_id, "torn", NOW_MS), NOW_MS)
    assert await shards_of(lost) == (
        "red",
        "This cluster has 1 unavailable primary shard.",
        {"unassigned_primaries": 1},
        ["no_valid_copy"],
    )
    begun = reroute(lost, replaced(lost, indices={"boats": IndexMetadata("boats", "2", {})}), NOW_MS)
    assert (await shards_of(begun))[1:3] == (
        "This cluster has 1 creating primary shard, 1 unavailable replica shard.",
        {"creating_primaries": 1, "unassigned_replicas": 1},
    )


async def test_a_node_that_left_is_waited_for() -> None:
    two = state(replicas=1)
    two = reroute(two, with_member(two, replaced(NODE, id="n2", name="harbour-2"), NOW_MS), NOW_MS)
    two = started(two, initializing(two), NOW_MS)
    assert (await shards_of(two))[0] == "green"
    left = reroute(two, without_member(two, "n2", "node_left [n2]", NOW_MS), NOW_MS)
    status, _, details, names = await shards_of(left)
    assert (status, details) == ("yellow", {"started_primaries": 1, "unassigned_replicas": 1})
    assert names == ["delayed", "increase_node_capacity"]


async def test_an_indicator_of_every_node(cluster: ClusterService) -> None:
    """Tests with several nodes: tests/journeys/test_every_node.py."""
    asking = Asking(cluster)
    tides = {"status": "green", "symptom": "calm", "details": {"m": 2}}
    HealthReport(cluster, of_nodes={"tides": lambda: tides}).register(asking.registry)
    answer = await asking.run(HEALTH_REPORT, ReadHealthReport("tides"))
    assert answer["indicators"] == {"tides": tides}


def test_several_nodes_become_one_indicator() -> None:
    storm = {"status": "red", "symptom": "storm", "details": {"m": 9}, "diagnosis": [{"id": "d"}]}
    calm = {"status": "green", "symptom": "calm", "details": {"m": 2}}
    joined = _joined({"crane": calm, "heron": storm, "stork": storm})
    assert joined == {
        "status": "red",
        "symptom": "[heron] storm; [stork] storm",
        "details": {"nodes": {"crane": {"m": 2}, "heron": {"m": 9}, "stork": {"m": 9}}},
        "diagnosis": [{"id": "d"}],
    }
    assert _joined({"crane": calm, "heron": calm})["symptom"] == "calm"
