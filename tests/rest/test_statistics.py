from __future__ import annotations

from typing import Any

import pytest
from tests.rest.conftest import Client

from hanse.errors import IllegalArgumentError
from hanse.rest.statistics import check_level, chosen_statistics, node_statistics

BOTH = {"docs": {"count": 1}, "merges": {"total": 0}}
ANSWER: dict[str, Any] = {
    "_shards": {"total": 1, "successful": 1, "failed": 0},
    "_all": {"primaries": BOTH, "total": BOTH},
    "indices": {
        "a": {
            "uuid": "u",
            "health": "green",
            "status": "open",
            "primaries": BOTH,
            "total": BOTH,
            "shards": {"0": [{"routing": {"primary": True}, "seq_no": {}, **BOTH}]},
        }
    },
}


@pytest.mark.parametrize(
    ("metrics", "sections"),
    [((), ["docs", "merges"]), (("_all",), ["docs", "merges"]), (("merge",), ["merges"]), (("warmer",), [])],
)
def test_metrics_choose_sections(metrics: tuple[str, ...], sections: list[str]) -> None:
    shown = chosen_statistics(ANSWER, metrics, "indices", path="/_stats")
    assert list(shown["_all"]["total"]) == list(shown["indices"]["a"]["primaries"]) == sections
    assert shown["_shards"]["total"] == 1


def test_levels() -> None:
    assert "indices" not in chosen_statistics(ANSWER, (), "cluster", path="/_stats")
    assert "shards" not in chosen_statistics(ANSWER, (), "indices", path="/_stats")["indices"]["a"]
    (copy,) = chosen_statistics(ANSWER, ("docs",), "shards", path="/_stats")["indices"]["a"]["shards"]["0"]
    assert set(copy) == {"routing", "docs"}


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        (("doc",), "request [/_stats] contains unrecognized metric: [doc] -> did you mean [docs]?"),
        (("zzzzzz",), "request [/_stats] contains unrecognized metric: [zzzzzz]"),
        (("_all", "docs"), "request [/_stats] contains _all and individual metrics [_all,docs]"),
    ],
)
def test_metrics_that_are_refused(metrics: tuple[str, ...], reason: str) -> None:
    with pytest.raises(IllegalArgumentError) as raised:
        chosen_statistics(ANSWER, metrics, "indices", path="/_stats")
    assert raised.value.reason == reason


def test_levels_that_are_refused() -> None:
    with pytest.raises(IllegalArgumentError, match=r"one of \[node\] or \[indices\] or \[shards\] but was \[rack\]"):
        check_level("rack", whole="node")


@pytest.mark.parametrize(("level", "extra"), [("node", []), ("indices", ["indices"]), ("shards", ["shards"])])
def test_of_one_node(level: str, extra: list[str]) -> None:
    stats = {**BOTH, "indices": {"a": BOTH}}
    assert list(node_statistics(stats, ("docs",), level)) == ["docs", *extra]


def test_searches_are_counted_by_the_groups_they_name(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}/_doc/1?refresh=true", {"x": 1})
    client.call("POST", f"/{index}/_search", {"stats": ["bar", "baz"]})
    client.call("POST", f"/{index}/_search", {"stats": ["bar"], "size": 0})

    def groups(asked: str, metric: str = "") -> Any:
        stats = client.call("GET", f"/{index}/_stats{metric}{asked}").json["indices"][index]
        return stats["total"]["search"].get("groups")

    assert groups("") is None
    assert groups("?groups=none") is None
    both = groups("?groups=*", "/search")
    assert {name: (counted["query_total"], counted["fetch_total"]) for name, counted in both.items()} == {
        "bar": (2, 1),
        "baz": (1, 1),
    }
    assert list(groups("?groups=*r")) == ["bar"]
    nodes = client.call("GET", "/_nodes/stats/indices").json["nodes"]
    assert all("groups" not in node["indices"]["search"] for node in nodes.values())
