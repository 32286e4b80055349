"""Searches over local shards: rights, routing, aliases, totals, failures, threads."""

from __future__ import annotations

from typing import Any

import pytest
from tests.search.searching import NOW_MS, Library

from hanse.errors import SearchPhaseExecutionError
from hanse.search import coordinate
from hanse.search.coordinate import reduce_phases
from hanse.transport.actions import Access, FieldRule

DOCUMENTS: list[dict[str, Any]] = [
    {"team": "red", "secret": "x1", "public": "one two", "user": {"name": "kim", "ssn": "1"}},
    {"team": "blue", "secret": "x2", "public": "two", "user": {"name": "lee", "ssn": "2"}},
    {"team": "red", "secret": "x3", "public": "three", "user": {"name": "max", "ssn": "3"}},
]
RED = {"term": {"team.keyword": "red"}}
BLUE = {"term": {"team.keyword": "blue"}}


@pytest.fixture
async def filled(books: Library) -> Library:
    await books.add("b", DOCUMENTS)
    return books


async def test_document_level_security_filters_everything(filled: Library) -> None:
    filled.access["b"] = Access(documents=((RED,),))
    answer = await filled.search("b", {"aggs": {"t": {"terms": {"field": "team.keyword"}}}})
    assert answer["hits"]["total"]["value"] == 2
    assert [bucket["key"] for bucket in answer["aggregations"]["t"]["buckets"]] == ["red"]
    assert await filled.ids("b", BLUE) == []
    assert await filled.ids("b", {"bool": {"must_not": [RED]}}) == []
    assert await filled.ids("b", {"query_string": {"query": "two"}}) == ["1"]
    scored = await filled.search("b", {"query": {"match": {"public": "two"}}})
    assert [hit["_id"] for hit in scored["hits"]["hits"]] == ["1"]


async def test_of_a_group_one_suffices_and_all_groups_are_required(filled: Library) -> None:
    filled.access["b"] = Access(documents=((RED, BLUE),))
    assert len(await filled.ids("b")) == 3
    filled.access["b"] = Access(documents=((RED, BLUE), ({"term": {"secret.keyword": "x3"}},)))
    assert await filled.ids("b") == ["3"]


async def test_alias_filters_hold_beside_the_rights(filled: Library) -> None:
    filled.filters["b"] = (BLUE, {"term": {"secret.keyword": "x1"}})
    assert await filled.ids("b") == ["1", "2"]
    filled.access["b"] = Access(documents=((RED,),))
    assert await filled.ids("b") == ["1"]


async def test_hidden_fields_are_nowhere(filled: Library) -> None:
    filled.access["b"] = Access(fields=((FieldRule(("public", "public.*", "user.*"), ("user.ssn*",)),),))
    body = {"fields": ["*"], "highlight": {"fields": {"*": {}}}, "query": {"multi_match": {"query": "two x1"}}}
    for hit in (await filled.search("b", body))["hits"]["hits"]:
        assert set(hit["_source"]) == {"public", "user"}
        assert set(hit["_source"]["user"]) == {"name"}
        assert not [path for path in hit["fields"] if "secret" in path or "ssn" in path or "team" in path]
    assert await filled.ids("b", {"term": {"secret.keyword": "x1"}}) == []
    assert await filled.ids("b", {"exists": {"field": "secret"}}) == []
    assert await filled.ids("b", {"query_string": {"query": "x1"}}) == []
    with pytest.raises(SearchPhaseExecutionError) as failed:
        await filled.search("b", {"sort": ["secret.keyword"]})
    assert failed.value.root_causes[0].reason == "No mapping found for [secret.keyword] in order to sort on"
    # Rules see all fields, whatever the caller may see.
    filled.access["b"] = Access(documents=((RED,),), fields=((FieldRule(("public",)),),))
    assert await filled.ids("b") == ["1", "3"]


async def test_a_change_of_rights_is_not_answered_from_an_old_plan(filled: Library) -> None:
    assert len(await filled.ids("b")) == 3
    filled.access["b"] = Access(documents=((RED,),))
    assert len(await filled.ids("b")) == 2
    filled.access["b"] = Access(documents=((BLUE,),))
    assert len(await filled.ids("b")) == 1


async def test_totals(filled: Library) -> None:
    assert (await filled.search("b"))["hits"]["total"] == {"value": 3, "relation": "eq"}
    assert (await filled.search("b", {"track_total_hits": 2}))["hits"]["total"] == {"value": 2, "relation": "gte"}
    assert (await filled.search("b", {"track_total_hits": 3}))["hits"]["total"] == {"value": 3, "relation": "eq"}
    assert "total" not in (await filled.search("b", {"track_total_hits": False}))["hits"]
    assert (await filled.search("b", rest_total_hits_as_int=True))["hits"]["total"] == 3
    empty = await filled.search("b", {"size": 0})
    assert (empty["hits"]["max_score"], empty["hits"]["hits"]) == (None, [])


async def test_routing_and_preference_choose_shards(books: Library) -> None:
    documents = [{"_id": str(number), "_routing": f"r{number % 4}", "n": number} for number in range(40)]
    await books.add("wide", documents, shards=4)
    answer = await books.search("wide", {"size": 50}, routing="r1")
    assert answer["_shards"]["total"] == 1
    assert {"r1"} <= {hit["_routing"] for hit in answer["hits"]["hits"]}
    assert (await books.search("wide", routing="r1,r2"))["_shards"]["total"] <= 2
    assert (await books.search("wide", preference="_shards:0,2"))["_shards"]["total"] == 2
    assert (await books.search("wide"))["_shards"]["total"] == 4


async def test_the_result_window_is_bounded(books: Library) -> None:
    await books.add("b", [{"n": 1}], max_result_window="20")
    with pytest.raises(SearchPhaseExecutionError) as failed:
        await books.search("b", {"from": 15, "size": 10})
    (cause,) = failed.value.root_causes
    assert (failed.value.status, cause.name) == (400, "illegal_argument_exception")
    assert cause.reason.startswith(
        "Result window is too large, from + size must be less than or equal to: [20] but was [25]. See the scroll api"
    )


async def test_nothing_to_search_is_an_empty_answer(books: Library) -> None:
    answer = await books.search("nothing*", {"query": {"term": {"a": 1}}})
    assert answer["_shards"] == {"total": 0, "successful": 0, "skipped": 0, "failed": 0}
    assert answer["hits"] == {"total": {"value": 0, "relation": "eq"}, "max_score": None, "hits": []}


async def test_boosts_of_indices(filled: Library) -> None:
    await filled.add("c", [{"public": "two"}])
    hits = (await filled.search("b,c", {"indices_boost": [{"c": 3}, {"*": 2}]}))["hits"]["hits"]
    assert [(hit["_index"], hit["_score"]) for hit in hits] == [("c", 3.0), ("b", 2.0), ("b", 2.0), ("b", 2.0)]


async def test_now_is_the_requests(filled: Library) -> None:
    import msgspec
    import orjson

    from hanse.search.merge import render

    await filled.add(
        "d", [{"at": "2020-09-13T12:00:00Z"}, {"at": "2020-09-14"}], {"properties": {"at": {"type": "date"}}}
    )
    request = filled.request("d", {"query": {"range": {"at": {"gte": "now/d", "lte": "now/d"}}}})
    request = msgspec.structs.replace(request, now_ms=NOW_MS)
    hits = orjson.loads(render(await filled.run(request), request))["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == ["1"]


async def test_long_work_in_threads_gives_the_same_answer(filled: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled.add("wide", [{"n": number % 7, "t": "word"} for number in range(50)], shards=3)
    body = {"query": {"match": {"t": "word"}}, "sort": ["n", "_doc"], "aggs": {"n": {"terms": {"field": "n"}}}}
    here = await filled.search("wide", body)
    for limit in ("DOCUMENTS_ON_LOOP_MAX", "AGGREGATED_ON_LOOP_MAX", "HITS_ON_LOOP_MAX"):
        monkeypatch.setattr(coordinate, limit, 0)
    there = await filled.search("wide", body)
    assert {**there, "took": 0} == {**here, "took": 0}


@pytest.mark.parametrize(("shards", "batch", "phases"), [(1, 512, 1), (5, 512, 1), (5, 2, 4), (3, 2, 2), (10, 4, 3)])
def test_reduce_phases_are_counted_as_elasticsearch_reduces(shards: int, batch: int, phases: int) -> None:
    assert reduce_phases(shards, batch) == phases
