from __future__ import annotations

import pytest
from tests.rest.conftest import Answer, Client


@pytest.fixture
def filled(client: Client, index: str) -> str:
    lines = [line for number in range(5) for line in ({"index": {"_id": str(number)}}, {"n": number})]
    client.bulk(*lines, path=f"/{index}/_bulk?refresh=true")
    return index


def test_scrolling(client: Client, filled: str) -> None:
    page = client.call("POST", f"/{filled}/_search?scroll=1m&size=2&sort=n").json
    seen = []
    while page["hits"]["hits"]:
        seen += [hit["_id"] for hit in page["hits"]["hits"]]
        page = client.call("POST", "/_search/scroll", {"scroll_id": page["_scroll_id"], "scroll": "1m"}).json
    assert seen == ["0", "1", "2", "3", "4"]
    cleared = client.call("DELETE", "/_search/scroll", {"scroll_id": [page["_scroll_id"]]})
    assert (cleared.status, cleared.json) == (200, {"succeeded": True, "num_freed": 1})
    assert client.call("GET", f"/_search/scroll?scroll_id={page['_scroll_id']}").status == 404


def test_scroll_ids_in_the_url(client: Client, filled: str) -> None:
    id = client.call("GET", f"/{filled}/_search?scroll=1m&size=2").json["_scroll_id"]
    assert len(client.call("GET", f"/_search/scroll/{id}?scroll=1m").json["hits"]["hits"]) == 2
    as_int = client.call("GET", f"/_search/scroll?scroll_id={id}&scroll=1m&rest_total_hits_as_int=true")
    assert as_int.json["hits"]["total"] == 5
    assert client.call("DELETE", f"/_search/scroll/{id}").json["num_freed"] == 1
    assert client.call("DELETE", f"/_search/scroll/{id}").status == 404


def test_points_in_time(client: Client, filled: str) -> None:
    opened = client.call("POST", f"/{filled}/_pit?keep_alive=1m").json
    assert opened["_shards"] == {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
    client.call("DELETE", f"/{filled}/_doc/0?refresh=true")
    found = client.call("POST", "/_search", {"pit": {"id": opened["id"]}, "size": 0}).json
    assert found["hits"]["total"]["value"] == 5
    beside = client.call("POST", f"/{filled}/_search", {"pit": {"id": opened["id"]}})
    assert beside.status == 400
    assert client.call("DELETE", "/_pit", {"id": opened["id"]}).json == {"succeeded": True, "num_freed": 1}
    assert client.call("POST", "/_search", {"pit": {"id": opened["id"]}}).status == 404


def test_refusals(client: Client, filled: str) -> None:
    assert client.call("POST", f"/{filled}/_pit").reason == "Validation Failed: 1: [keep_alive] is not specified;"
    assert client.call("POST", "/_search/scroll", {}).reason == "Validation Failed: 1: scrollId is missing;"
    assert client.call("DELETE", "/_search/scroll").reason == "Validation Failed: 1: no scroll ids specified;"
    assert client.call("POST", "/_search/scroll", {"scroll_id": "x", "y": 1}).status == 400
    assert client.call("DELETE", "/_pit", {}).status == 400


def test_no_context_may_live_longer_than_the_cluster_allows(client: Client, filled: str) -> None:
    def limit(default: str | None, most: str | None) -> Answer:
        wanted = {"search.default_keep_alive": default, "search.max_keep_alive": most}
        return client.call("PUT", "/_cluster/settings", {"persistent": wanted})

    too_long = (
        "Keep alive for request ({}) is too large. It must be less than ({}). This limit can be set by changing the "
        "[search.max_keep_alive] cluster level setting."
    )
    try:
        for path in (f"/{filled}/_search?scroll=2d", f"/{filled}/_pit?keep_alive=2d"):
            refused = client.call("POST", path)
            assert (refused.status, refused.reason) == (400, too_long.format("2d", "1d"))
        assert limit("1m", "1m").status == 200
        for path in (f"/{filled}/_search?scroll=2m", f"/{filled}/_pit?keep_alive=2m"):
            assert client.call("POST", path).reason == too_long.format("2m", "1m")
        page = client.call("POST", f"/{filled}/_search?scroll=1m&size=1").json
        assert client.call("POST", "/_search/scroll", {"scroll_id": page["_scroll_id"], "scroll": "3m"}).status == 400
        pit = client.call("POST", f"/{filled}/_pit?keep_alive=1m").json["id"]
        assert client.call("POST", "/_search", {"pit": {"id": pit, "keep_alive": "2m"}}).status == 400
        refused = limit("2m", "1m")
        assert (refused.status, refused.json["error"]["type"]) == (400, "illegal_argument_exception")
        assert refused.reason == (
            "Default keep alive setting for request [search.default_keep_alive](2m) should be smaller than max keep "
            "alive [search.max_keep_alive](1m)."
        )
    finally:
        assert limit(None, None).status == 200
