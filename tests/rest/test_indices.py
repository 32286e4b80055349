from __future__ import annotations

from typing import Any

import pytest
from tests.rest.conftest import Answer, Client


def ok(answer: Any) -> Any:
    assert answer.status == 200, answer.body
    return answer.json


def test_create_and_get(client: Client, index: str) -> None:
    body = {
        "settings": {"number_of_replicas": 0},
        "mappings": {"properties": {"t": {"type": "text"}}},
        "aliases": {"gx": {}},
    }
    created = ok(client.call("PUT", f"/{index}", body))
    assert created == {"acknowledged": True, "shards_acknowledged": True, "index": index}
    shown = ok(client.call("GET", f"/{index}"))[index]
    assert set(shown) == {"aliases", "mappings", "settings"}
    assert shown["aliases"] == {"gx": {}}
    assert shown["settings"]["index"]["number_of_replicas"] == "0"
    assert list(ok(client.call("GET", "/gx"))) == [index]
    assert client.call("HEAD", f"/{index}").status == 200
    assert client.call("HEAD", "/nothing").status == 404
    assert client.call("PUT", f"/{index}").json["error"]["type"] == "resource_already_exists_exception"


def test_get_index_as_asked(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    assert list(ok(client.call("GET", f"/{index}?features=mappings"))[index]) == ["mappings"]
    flat = ok(client.call("GET", f"/{index}?flat_settings=true&include_defaults=true"))[index]
    assert flat["settings"]["index.number_of_shards"] == "1"
    assert flat["defaults"]["index.refresh_interval"] == "1s"
    human = ok(client.call("GET", f"/{index}?human=true"))[index]["settings"]["index"]
    assert human["creation_date_string"].endswith("Z")
    assert human["version"]["created_string"] == "9.9.0"


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("", ["codec", "creation_date", "number_of_replicas", "number_of_shards", "provided_name", "uuid", "version"]),
        ("/index.number*", ["number_of_replicas", "number_of_shards"]),
        (
            "/_all",
            ["codec", "creation_date", "number_of_replicas", "number_of_shards", "provided_name", "uuid", "version"],
        ),
    ],
)
def test_settings_by_name(client: Client, index: str, query: str, keys: list[str]) -> None:
    client.call("PUT", f"/{index}", {"settings": {"codec": "best_compression"}})
    assert sorted(ok(client.call("GET", f"/{index}/_settings{query}"))[index]["settings"]["index"]) == keys


def test_settings_nobody_has_leave_the_index_out(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    assert ok(client.call("GET", f"/{index}/_settings/index.priority")) == {}
    answer = ok(client.call("GET", f"/{index}/_settings/index.priority?include_defaults=true&flat_settings=true"))
    assert answer in ({}, {index: {"settings": {}, "defaults": {"index.priority": "1"}}})


def test_settings_change(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    ok(client.call("PUT", f"/{index}/_settings", {"index": {"priority": 4}}))
    ok(client.call("PUT", f"/{index}/_settings?preserve_existing=true", {"priority": 5}))
    assert ok(client.call("GET", f"/{index}/_settings"))[index]["settings"]["index"]["priority"] == "4"
    refused = client.call("PUT", f"/{index}/_settings", {"codec": "best_compression"})
    assert (refused.status, "non dynamic settings [[index.codec]]" in refused.reason) == (400, True)
    ok(client.call("PUT", f"/{index}/_settings?reopen=true", {"codec": "best_compression"}))
    assert client.call("PUT", f"/{index}/_settings").reason == "request body is required"


def test_mappings(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    ok(
        client.call(
            "PUT", f"/{index}/_mapping", {"properties": {"t": {"type": "text", "fields": {"raw": {"type": "keyword"}}}}}
        )
    )
    assert "t" in ok(client.call("GET", f"/{index}/_mapping"))[index]["mappings"]["properties"]
    fields = ok(client.call("GET", f"/{index}/_mapping/field/t*"))[index]["mappings"]
    assert sorted(fields) == ["t", "t.raw"]
    assert client.call("GET", "/nothing/_mapping").status == 404
    changed = client.call("PUT", f"/{index}/_mapping", {"properties": {"t": {"type": "long"}}})
    assert changed.reason == "mapper [t] cannot be changed from type [text] to [long]"


def test_alias_of_one_index(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    ok(client.call("PUT", f"/{index}/_alias/one", {"filter": {"term": {"k": "v"}}}))
    ok(client.call("POST", f"/{index}/_aliases/two"))
    assert ok(client.call("GET", f"/{index}/_alias")) == {
        index: {"aliases": {"one": {"filter": {"term": {"k": "v"}}}, "two": {}}}
    }
    assert client.call("HEAD", f"/{index}/_alias/one").status == 200
    assert client.call("HEAD", f"/{index}/_alias/one,none").status == 404
    ok(client.call("DELETE", f"/{index}/_alias/o*"))
    missing = client.call("GET", f"/{index}/_alias/one,two")
    assert (missing.status, missing.json) == (
        404,
        {"error": "alias [one] missing", "status": 404, index: {"aliases": {"two": {}}}},
    )
    assert client.call("GET", f"/{index}/_alias/x,one").json["error"] == "aliases [one,x] missing"
    gone = client.call("DELETE", f"/{index}/_alias/one")
    assert (gone.status, gone.reason, gone.json["error"]["resource.type"]) == (404, "aliases [one] missing", "aliases")


def test_alias_actions(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    add = {"add": {"index": index, "aliases": ["p", "q"], "is_write_index": True, "routing": 1}}
    ok(client.call("POST", "/_aliases", {"actions": [add, {"remove": {"index": index, "alias": "q"}}]}))
    assert ok(client.call("GET", "/_alias/p"))[index]["aliases"]["p"] == {
        "index_routing": "1",
        "search_routing": "1",
        "is_write_index": True,
    }


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "No action specified"),
        ({"acts": []}, "[aliases] unknown field [acts]"),
        ({"actions": [{"swap": {}}]}, "[alias_action] unknown field [swap]"),
        ({"actions": [{"add": 7}]}, "[add] must be an object"),
        ({"actions": {"add": {}}}, "[aliases] [actions] must be a list"),
        ({"actions": [{"add": {"alias": "a"}}]}, "One of [index] or [indices] is required"),
        ({"actions": [{"add": {"index": "i"}}]}, "One of [alias] or [aliases] is required"),
        ({"actions": [{"remove": {"index": "i", "aliases": []}}]}, "One of [alias] or [aliases] is required"),
        ({"actions": [{"add": {"index": "i", "alias": "a", "x": 1}}]}, "[add] unknown field [x]"),
        ({"actions": [{"add": {"index": "none-such", "alias": "a"}}]}, "no such index [none-such]"),
    ],
)
def test_alias_actions_that_are_refused(client: Client, body: dict[str, Any], reason: str) -> None:
    answer = client.call("POST", "/_aliases", body)
    assert answer.status in (400, 404)
    assert answer.reason == reason


def test_open_close_and_block(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    assert ok(client.call("POST", f"/{index}/_close"))["indices"] == {index: {"closed": True}}
    assert client.call("GET", f"/{index}/_stats").status in (200, 400)
    ok(client.call("POST", f"/{index}/_open"))
    assert ok(client.call("PUT", f"/{index}/_block/write"))["indices"] == [{"name": index, "blocked": True}]
    blocked = client.call("PUT", f"/{index}/_doc/1", {"n": 1})
    assert (blocked.status, blocked.reason) == (403, f"index [{index}] blocked by: [FORBIDDEN/8/index write (api)];")


def test_whole_index_calls(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}", {"settings": {"number_of_replicas": 0}})
    for path in ("_refresh", "_flush", "_forcemerge?max_num_segments=1", "_cache/clear?query=true"):
        assert ok(client.call("POST", f"/{index}/{path}"))["_shards"] == {"total": 1, "successful": 1, "failed": 0}
    forced = client.call("POST", f"/{index}/_flush?force=true&wait_if_ongoing=false")
    assert forced.reason == "Validation Failed: 1: wait_if_ongoing must be true for a force flush;"
    assert client.call("GET", f"/{index}/_forcemerge").status == 405


def test_statistics(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}/_doc/1?refresh=true", {"n": 1})
    answer = ok(client.call("GET", f"/{index}/_stats/docs,store?level=shards"))
    assert set(answer["_all"]["total"]) == {"docs", "store"}
    assert answer["indices"][index]["shards"]["0"][0]["docs"]["count"] == 1
    assert client.call("GET", "/_stats/fieldata").reason == (
        "request [/_stats/fieldata] contains unrecognized metric: [fieldata] -> did you mean [fielddata]?"
    )
    assert client.call("GET", f"/{index}/_segments").json["indices"][index]["shards"]["0"]
    assert client.call("GET", f"/{index}/_recovery").json[index]["shards"][0]["stage"] == "DONE"


def test_analyze(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    for path in ("/_analyze", f"/{index}/_analyze"):
        tokens = ok(client.call("GET", path, {"text": "One two"}))["tokens"]
        assert [token["token"] for token in tokens] == ["one", "two"]


def test_resolve(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}", {"aliases": {"rx": {}}, "settings": {"hidden": True}})
    answer = ok(client.call("GET", f"/_resolve/index/{index}"))
    assert answer["indices"] == [{"name": index, "attributes": ["hidden", "open"], "aliases": ["rx"]}]
    assert client.call("GET", "/_resolve/index/nothing").status == 404


@pytest.mark.parametrize("path", ["/_x", "/_alias_", "/a,_b"])
def test_names_with_an_underscore_are_no_indices(client: Client, path: str) -> None:
    answer = client.call("PUT", path)
    assert answer.status == 400
    assert "must not start with '_'" in answer.reason or "invalid_index_name" in str(answer.json)


def test_a_right_on_an_alias_rolls_it_over_but_chooses_no_name(client: Client, index: str) -> None:
    alias = f"{index}-alias"
    client.call("PUT", f"/{index}-1", {"aliases": {alias: {"is_write_index": True}}})
    client.call("PUT", "/_security/role/roller", {"indices": [{"names": [alias], "privileges": ["manage", "write"]}]})
    client.call("PUT", "/_security/user/roller", {"password": "long-enough", "roles": ["roller"]})

    def roll(path: str = "", body: Any = None) -> Answer:
        return client.call("POST", f"/{alias}/_rollover{path}", body, user="roller:long-enough")

    assert roll(f"/{index}-chosen").status == 403
    assert roll("", {"aliases": {"further": {}}}).status == 403
    assert roll("?dry_run=true").json["rolled_over"] is False
    assert roll().json["new_index"] == f"{index}-000002"
    written = client.call("PUT", f"/{alias}/_doc/1", {}, user="roller:long-enough")
    assert (written.status, written.json["_index"]) == (201, f"{index}-000002")
    for name in (f"{index}-1", f"{index}-000002"):
        client.call("DELETE", f"/{name}")
