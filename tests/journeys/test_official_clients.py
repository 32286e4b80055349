"""The official clients, versions 8 and 9, unmodified, with certificates verified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import elasticsearch as client9
import elasticsearch8 as client8
import pytest
from elasticsearch.helpers import bulk as bulk9
from elasticsearch.helpers import scan as scan9
from elasticsearch8.helpers import bulk as bulk8
from elasticsearch8.helpers import scan as scan8

from hanse.cli.local_cluster import LocalNode

CLIENTS = {"8": (client8, bulk8, scan8), "9": (client9, bulk9, scan9)}


@pytest.fixture(scope="module", params=["8", "9"])
def library(request: pytest.FixtureRequest) -> Any:
    return CLIENTS[request.param]


@pytest.fixture(scope="module")
def es(library: Any, node: LocalNode) -> Iterator[Any]:
    client = library[0].Elasticsearch(
        node.url, ca_certs=str(node.ca_file), basic_auth=("elastic", node.password), request_timeout=60
    )
    yield client
    client.close()


@pytest.fixture
def index(es: Any, library: Any) -> Iterator[str]:
    name = "books"
    es.options(ignore_status=404).indices.delete(index=name)
    es.indices.create(
        index=name,
        mappings={
            "properties": {
                "title": {"type": "text"},
                "author": {"type": "keyword"},
                "year": {"type": "integer"},
                "published": {"type": "date"},
            }
        },
        settings={"number_of_replicas": 0, "number_of_shards": 2},
    )
    library[1](
        es,
        [
            {"_index": name, "_id": "1", "title": "The old man and the sea", "author": "Hemingway", "year": 1952},
            {"_index": name, "_id": "2", "title": "The sea wolf", "author": "London", "year": 1904},
            {"_index": name, "_id": "3", "title": "Buddenbrooks", "author": "Mann", "year": 1901},
        ],
        refresh=True,
    )
    yield name
    es.indices.delete(index=name)


def test_info_is_what_clients_check(es: Any) -> None:
    info = es.info()
    assert info["tagline"] == "You Know, for Search"
    assert info["version"]["number"].startswith("9.")
    assert es.ping()


def test_a_wrong_password_is_an_authentication_error(library: Any, node: LocalNode) -> None:
    client = library[0].Elasticsearch(node.url, ca_certs=str(node.ca_file), basic_auth=("elastic", "wrong"))
    with pytest.raises(library[0].AuthenticationException, match="unable to authenticate user"):
        client.info()
    client.close()


def test_search_sort_and_aggregate(es: Any, index: str) -> None:
    found = es.search(
        index=index,
        query={"match": {"title": "sea"}},
        sort=[{"year": "asc"}],
        aggs={"authors": {"terms": {"field": "author"}}, "years": {"stats": {"field": "year"}}},
    )
    assert [hit["_id"] for hit in found["hits"]["hits"]] == ["2", "1"]
    assert found["hits"]["total"] == {"value": 2, "relation": "eq"}
    assert {b["key"]: b["doc_count"] for b in found["aggregations"]["authors"]["buckets"]} == {
        "Hemingway": 1,
        "London": 1,
    }
    assert found["aggregations"]["years"]["min"] == 1904


def test_documents_live_and_die(es: Any, index: str) -> None:
    made = es.index(index=index, id="9", document={"title": "Effi Briest", "year": 1895})
    assert (made["result"], made["_version"]) == ("created", 1)
    assert es.get(index=index, id="9")["_source"]["year"] == 1895
    changed = es.update(index=index, id="9", doc={"year": 1896})
    assert changed["result"] == "updated"
    assert es.update(index=index, id="9", doc={"year": 1896})["result"] == "noop"
    stale = {"if_seq_no": made["_seq_no"], "if_primary_term": made["_primary_term"]}
    with pytest.raises(Exception, match="version_conflict_engine_exception"):
        es.index(index=index, id="9", document={}, **stale)
    assert es.delete(index=index, id="9")["result"] == "deleted"
    assert not es.exists(index=index, id="9")


def test_create_conflicts(es: Any, index: str, library: Any) -> None:
    with pytest.raises(library[0].ConflictError, match="document already exists"):
        es.create(index=index, id="1", document={"title": "again"})


def test_many_gets_and_searches(es: Any, index: str) -> None:
    docs = es.mget(index=index, ids=["1", "nope"])["docs"]
    assert [doc["found"] for doc in docs] == [True, False]
    responses = es.msearch(
        searches=[
            {"index": index},
            {"query": {"match_all": {}}, "size": 0},
            {"index": "nope"},
            {"query": {"match_all": {}}},
        ]
    )["responses"]
    assert responses[0]["hits"]["total"]["value"] == 3
    assert responses[1]["error"]["type"] == "index_not_found_exception"
    assert es.count(index=index)["count"] == 3


def test_scan_scrolls_through_everything(es: Any, index: str, library: Any) -> None:
    assert {hit["_id"] for hit in library[2](es, index=index, size=2)} == {"1", "2", "3"}


def test_point_in_time_pages_with_search_after(es: Any, index: str) -> None:
    pit = es.open_point_in_time(index=index, keep_alive="1m")["id"]
    es.index(index=index, id="later", document={"year": 3000}, refresh=True)
    seen: list[str] = []
    after = None
    while True:
        page = es.search(pit={"id": pit, "keep_alive": "1m"}, size=2, sort=[{"year": "asc"}], search_after=after)
        hits = page["hits"]["hits"]
        if not hits:
            break
        seen += [hit["_id"] for hit in hits]
        after = hits[-1]["sort"]
    assert seen == ["3", "2", "1"]
    es.close_point_in_time(id=pit)


def test_mappings_settings_aliases(es: Any, index: str) -> None:
    es.indices.put_mapping(index=index, properties={"pages": {"type": "long"}})
    assert es.indices.get_mapping(index=index)[index]["mappings"]["properties"]["pages"] == {"type": "long"}
    es.indices.put_settings(index=index, settings={"index": {"refresh_interval": "5s"}})
    assert es.indices.get_settings(index=index)[index]["settings"]["index"]["refresh_interval"] == "5s"
    es.indices.put_alias(index=index, name="shelf")
    assert es.search(index="shelf", size=0)["hits"]["total"]["value"] == 3
    assert es.indices.exists_alias(name="shelf")
    es.indices.delete_alias(index=index, name="shelf")
    assert not es.indices.exists_alias(name="shelf")


def test_highlight_fields_and_source_filter(es: Any, index: str) -> None:
    hit = es.search(
        index=index,
        query={"match": {"title": "buddenbrooks"}},
        highlight={"fields": {"title": {}}},
        fields=["author"],
        source=["year"],
    )["hits"]["hits"][0]
    assert hit["highlight"]["title"] == ["<em>Buddenbrooks</em>"]
    assert hit["fields"]["author"] == ["Mann"]
    assert hit["_source"] == {"year": 1901}


def test_field_caps_and_cat(es: Any, index: str) -> None:
    caps = es.field_caps(index=index, fields="*")["fields"]
    assert caps["author"]["keyword"]["aggregatable"] is True
    assert caps["title"]["text"]["aggregatable"] is False
    rows = es.cat.indices(index=index, format="json")
    assert rows[0]["docs.count"] == "3"
    assert "books" in str(es.cat.indices(index=index))
    assert es.cluster.health()["status"] in ("green", "yellow")


def test_missing_things_are_not_found(es: Any, library: Any) -> None:
    with pytest.raises(library[0].NotFoundError, match="no such index"):
        es.search(index="nowhere")
    with pytest.raises(library[0].BadRequestError, match="unknown query"):
        es.search(query={"no_such_query": {}})


def test_security_api(es: Any) -> None:
    es.security.put_role(name="reader", indices=[{"names": ["books"], "privileges": ["read"]}])
    es.security.put_user(username="joe", password="secret-1", roles=["reader"])
    assert es.security.get_user(username="joe")["joe"]["roles"] == ["reader"]
    joe = es.options(basic_auth=("joe", "secret-1"))
    assert joe.security.authenticate()["username"] == "joe"
    with pytest.raises(Exception, match=r"action \[indices:admin/create\] is unauthorized for user \[joe\]"):
        joe.indices.create(index="mine")
    es.security.delete_user(username="joe")
    es.security.delete_role(name="reader")
