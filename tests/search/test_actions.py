"""Multi search, validation and explanation."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.search.searching import Library

from hanse.errors import ActionRequestValidationError, IndexNotFoundError, ParsingError
from hanse.search.actions import explain, multi_search, register, validate_query
from hanse.search.request import (
    EXPLAIN,
    MSEARCH,
    SCROLL,
    ExplainRequest,
    MultiSearchRequest,
    SearchRequest,
    ValidateQueryRequest,
)
from hanse.search.shard_questions import ShardQuestions
from hanse.transport.actions import Access, ActionRegistry


@pytest.fixture
async def filled(books: Library) -> Library:
    await books.add("b", [{"t": "quick fox", "n": 1}, {"t": "dog", "n": 2}])
    return books


async def test_one_failing_search_leaves_the_others_alone(filled: Library) -> None:
    searches = (
        SearchRequest(indices=("b",)),
        SearchRequest(indices=("missing",)),
        SearchRequest(indices=("b",), body=b'{"query":{"nope":{}}}'),
        SearchRequest(indices=("b",), body=b'{"size":0}'),
    )
    answer = await multi_search(filled.call([]), MultiSearchRequest(searches))
    first, missing, malformed, last = answer.responses
    assert (first.total, last.total) == (2, 2)
    assert isinstance(missing, IndexNotFoundError)
    assert isinstance(malformed, ParsingError)


async def validated(books: Library, **members: Any) -> dict[str, Any]:
    result = await validate_query(books.indices, books.call(["b"]), ValidateQueryRequest(indices=("b",), **members))
    answer = orjson.loads(result.body)
    assert isinstance(answer, dict)
    return answer


async def test_validation(filled: Library) -> None:
    assert (await validated(filled, body=b'{"query":{"match":{"t":"x"}}}'))["valid"] is True
    assert (await validated(filled, q="n:1"))["valid"] is True
    assert (await validated(filled, body=b'{"query":{"term":{"n":"abc"}}}'))["valid"] is False
    assert (await validated(filled, body=b'{"query":{"nope":{}}}'))["valid"] is False
    assert (await validated(filled, body=b'{"size":1}'))["valid"] is False
    explained = await validated(filled, body=b'{"query":{"term":{"n":"abc"}}}', explain=True)
    assert 'For input string: "abc"' in explained["explanations"][0]["error"]
    assert "explanation" in (await validated(filled, q="t:fox", explain=True))["explanations"][0]


async def test_validation_does_not_show_the_query_of_a_role(filled: Library) -> None:
    filled.access["b"] = Access(documents=(({"term": {"n": 4711}},),))
    shown = (await validated(filled, q="t:fox", explain=True))["explanations"][0]["explanation"]
    assert "fox" in shown
    assert "4711" not in shown


async def explained(books: Library, id: str, query: Any, **members: Any) -> tuple[int, dict[str, Any]]:
    body = orjson.dumps({"query": query}) if query is not None else b""
    request = ExplainRequest(indices=("b",), id=id, body=body, **members)
    result = await explain(books.indices, books.call(["b"]), request)
    return result.status, orjson.loads(result.body)


async def test_explanations(filled: Library) -> None:
    status, answer = await explained(filled, "1", {"match": {"t": "fox"}}, source_includes="n")
    assert (status, answer["matched"], answer["get"]["_source"]) == (200, True, {"n": 1})
    assert answer["explanation"]["value"] > 0
    status, answer = await explained(filled, "2", {"match": {"t": "fox"}})
    assert (status, answer["matched"]) == (200, False)
    status, answer = await explained(filled, "9", {"match_all": {}})
    assert (status, answer) == (404, {"_index": "b", "_id": "9", "matched": False})
    with pytest.raises(ActionRequestValidationError, match="query is missing"):
        await explained(filled, "1", None)


async def test_documents_that_may_not_be_seen_are_not_explained(filled: Library) -> None:
    filled.access["b"] = Access(documents=(({"term": {"n": 2}},),))
    status, _ = await explained(filled, "1", {"match_all": {}})
    assert status == 404


def test_actions_are_registered(books: Library) -> None:
    registry = ActionRegistry()
    register(registry)
    books.spread.register(registry)
    ShardQuestions(books.reach).register(registry)
    assert {EXPLAIN.name, MSEARCH.name, SCROLL.name} <= set(registry.actions())
