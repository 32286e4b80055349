from __future__ import annotations

from tests.rest.conftest import NDJSON, Client


def test_each_search_has_its_own_outcome(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}/_doc/1?refresh=true", {"a": 1})
    answer = client.bulk(
        {"index": index},
        {"query": {"match_all": {}}},
        {"index": "nowhere"},
        {},
        {},
        {"query": {"nope": {}}},
        path=f"/{index}/_msearch",
    ).json
    first, second, third = answer["responses"]
    assert isinstance(answer["took"], int)
    assert (first["status"], first["hits"]["total"]["value"]) == (200, 1)
    assert (second["status"], second["error"]["root_cause"][0]["reason"]) == (404, "no such index [nowhere]")
    assert (third["status"], third["error"]["type"]) == (400, "parsing_exception")


def test_totals_as_integers(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}/_doc/1?refresh=true", {"a": 1})
    answer = client.bulk({}, {}, path=f"/{index}/_msearch?rest_total_hits_as_int=true").json
    assert answer["responses"][0]["hits"]["total"] == 1


def test_refusals(client: Client) -> None:
    assert client.call("POST", "/_msearch", b"", kind=NDJSON).reason == "request body is required"
    assert client.call("POST", "/_msearch", b"{}\n{}", kind=NDJSON).status == 400
    assert client.bulk({"nope": 1}, {}, path="/_msearch").status == 400
