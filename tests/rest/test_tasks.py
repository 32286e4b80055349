from __future__ import annotations

import pytest
from tests.rest.conftest import Client


@pytest.mark.parametrize("group", ["nodes", "none", "parents"])
def test_a_listing_holds_itself(client: Client, group: str) -> None:
    answer = client.call("GET", f"/_tasks?actions=*tasks*&group_by={group}").json
    assert "cluster:monitor/tasks/lists" in str(answer)


def test_by_node(client: Client) -> None:
    (node,) = client.call("GET", "/_tasks").json["nodes"].values()
    assert node["name"] == "crane"
    assert all(task["node"] in key for key, task in node["tasks"].items())


def test_a_task_that_is_not_there(client: Client) -> None:
    assert client.call("GET", "/_tasks/none:1").status == 404
    assert client.call("GET", "/_tasks/nonsense").status == 400


def test_cancel_nothing(client: Client) -> None:
    assert client.call("POST", "/_tasks/_cancel?actions=none*").json["nodes"] == {}
