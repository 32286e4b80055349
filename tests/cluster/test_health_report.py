"""The report: the worst indicator decides, and each says what it means."""

from __future__ import annotations

from typing import Any, cast

import pytest

from hanse.cluster.health_report import HealthReport
from hanse.cluster.requests import ReadHealthReport
from hanse.cluster.state import ClusterState, IndexMetadata, NodeMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import ResourceNotFoundError

NODE = NodeMetadata("n1", "harbour-1", "127.0.0.1:9300", "127.0.0.1:9200")
CALL = cast(Any, None)


def report_of(state: ClusterState, status: str = "green") -> HealthReport:
    service = ClusterService(cast(Any, None), state)
    return HealthReport(service, {"tides": lambda: {"status": status, "symptom": "s", "details": {"m": 2}}})


def state(*, replicas: int = 0, master: str | None = "n1") -> ClusterState:
    index = IndexMetadata("ships", "uuid", {}, number_of_replicas=replicas)
    return ClusterState("harbour", "uuid", indices={"ships": index}, nodes={"n1": NODE}, master_node=master)


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
