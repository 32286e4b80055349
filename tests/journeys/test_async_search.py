"""Async searches over the border, by an official client and by hand."""

from __future__ import annotations

import pytest
from elasticsearch import Elasticsearch, NotFoundError

from tests.journeys.world import Pair, ok

READER = ("late-reader", "secret-late-reader")


@pytest.fixture(scope="module", autouse=True)
def contents(pair: Pair) -> None:
    for node in (pair.local, pair.remote):
        ok(node, "PUT", "/herring/_doc/1?refresh=true", {"barrels": 3})
    rights = {"indices": [{"names": ["herring"], "privileges": ["read", "read_cross_cluster"]}]}
    ok(pair.remote, "PUT", "/_security/role/late", rights)
    ok(pair.local, "PUT", "/_security/role/late", rights)
    ok(pair.local, "PUT", "/_security/user/late-reader", {"password": READER[1], "roles": ["late"]})


def client(pair: Pair, user: tuple[str, str]) -> Elasticsearch:
    return Elasticsearch(pair.local.url, ca_certs=str(pair.local.ca_file), basic_auth=user)


def test_an_answer_of_two_clusters_is_kept_for_its_submitter_alone(pair: Pair) -> None:
    with client(pair, READER) as reader, client(pair, ("elastic", pair.local.password)) as elastic:
        submitted = reader.async_search.submit(
            index="herring,remote:herring", wait_for_completion_timeout="30s", keep_on_completion=True
        )
        assert submitted["response"]["hits"]["total"]["value"] == 2
        assert submitted["response"]["_clusters"]["successful"] == 2
        id = submitted["id"]
        assert reader.async_search.get(id=id)["response"]["hits"]["total"]["value"] == 2
        status = reader.async_search.status(id=id)
        assert (status["completion_status"], status["is_running"], "response" in status) == (200, False, False)
        assert status["_clusters"]["successful"] == 2
        with pytest.raises(NotFoundError):
            elastic.async_search.get(id=id)
        reader.async_search.delete(id=id)
        with pytest.raises(NotFoundError):
            reader.async_search.get(id=id)


def test_the_remote_refuses_in_an_async_search_as_in_any(pair: Pair) -> None:
    path = "/remote:salt/_async_search?wait_for_completion_timeout=30s"
    status, answer = pair.local.request("POST", path, user=READER)
    assert status == 403
    assert answer["error"]["type"] == "security_exception"
    status, answer = pair.local.request("POST", f"{path}&keep_on_completion=true", user=READER)
    assert (status, answer["is_partial"], answer["error"]["type"]) == (403, True, "security_exception")
    assert pair.local.request("GET", f"/_async_search/{answer['id']}", user=READER)[0] == 403
