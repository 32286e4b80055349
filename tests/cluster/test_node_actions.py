from __future__ import annotations

from typing import Any

import pytest
from tests.one_node import Asking

from hanse.cluster import requests
from hanse.cluster.broadcast import Broadcast
from hanse.cluster.node_actions import NodeActions
from hanse.cluster.requests import ReadNodes
from hanse.cluster.updates import ClusterService
from hanse.node import registry_of_settings
from hanse.settings.registry import Settings

OWN = Settings({"node.name": "crane", "xpack.security.http.ssl.keystore.password": "secret", "node.attr.zone": "a"})


@pytest.fixture
def asking(cluster: ClusterService) -> Asking:
    made = Asking(cluster)
    NodeActions(
        Broadcast(cluster),
        OWN,
        registry_of_settings(),
        version="9.2.0",
        gauges={"indices": lambda: {"docs": {"count": 3}}},
    ).register(made.registry)
    return made


async def only_node(asking: Asking, action: Any, *metrics: str) -> Any:
    answer = await asking.run(action, ReadNodes(metrics=metrics))
    assert list(answer["nodes"]) == ["n1"]
    return answer["nodes"]["n1"]


@pytest.mark.parametrize(("names", "found"), [((), True), (("_master",), True), (("cr*",), True), (("x",), False)])
async def test_which_nodes(asking: Asking, names: tuple[str, ...], found: bool) -> None:
    for action in (requests.NODES_INFO, requests.NODES_STATS, requests.RELOAD_SECURE_SETTINGS):
        answer = await asking.run(action, ReadNodes(names))
        assert list(answer["nodes"]) == (["n1"] if found else [])
        assert answer["_nodes"] == {"total": int(found), "successful": int(found), "failed": 0}
        assert answer["cluster_name"] == "harbour"


async def test_metrics_choose_sections_of_a_node(asking: Asking) -> None:
    node = await only_node(asking, requests.NODES_INFO, "http", "settings")
    assert node["http"]["publish_address"] == "127.0.0.1:9200"
    assert node["settings"]["node"] == {"name": "crane", "attr": {"zone": "a"}}
    assert "secret" not in str(node)
    assert "jvm" not in node
    assert (node["version"], node["attributes"]) == ("9.2.0", {"zone": "a"})


async def test_who_wants_no_section_learns_which_nodes_there_are(asking: Asking) -> None:
    node = await only_node(asking, requests.NODES_INFO, "_none")
    assert (node["name"], node["ip"]) == ("crane", "127.0.0.1")
    assert "os" not in node


async def test_gauges_of_other_rooms_are_sections(asking: Asking) -> None:
    every = await only_node(asking, requests.NODES_STATS)
    assert every["indices"] == {"docs": {"count": 3}}
    assert every["fs"]["total"]["total_in_bytes"] > every["fs"]["total"]["available_in_bytes"] > 0
    assert every["process"]["open_file_descriptors"] > 0
    only = await only_node(asking, requests.NODES_STATS, "jvm")
    assert "jvm" in only
    assert not {"indices", "fs", "os"} & set(only)
