"""Values taken from other documents, through the gate; and more_like_this, which reads documents the same way."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.search.searching import Library

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.index.document_requests import GET, GetDocument, GotDocument
from hanse.search.coordinate import search_local
from hanse.search.request import SearchResult
from hanse.transport.actions import Action

GotOrSearched = Any


@pytest.fixture
async def filled(books: Library) -> Library:
    await books.add("users", [{"follows": ["u2", "u3"], "nested": [{"id": "u1"}]}])
    await books.add("posts", [{"by": "u1"}, {"by": "u2"}, {"by": "u3"}], {"properties": {"by": {"type": "keyword"}}})
    texts = ["red fox runs", "red fox sleeps", "blue whale swims", "red fox and whale"]
    await books.add("texts", [{"t": text} for text in texts], {"properties": {"t": {"type": "text"}}})
    return books


async def searched(books: Library, index: str, body: dict[str, Any]) -> SearchResult:
    """Runs with a GET action in place of the gate's."""

    async def run(action: Action[Any, Any], request: GetDocument) -> GotOrSearched:
        assert action is GET
        stored = books.indices.get(request.indices[0]).shard_for(request.id).get(request.id)
        if stored is None:
            return GotDocument(request.indices[0], request.id)
        return GotDocument(request.indices[0], request.id, True, source=stored.source)

    call = msgspec.structs.replace(books.call([index]), run=run)
    return await search_local(books.indices, call, books.request(index, body))


async def found(books: Library, index: str, query: dict[str, Any]) -> list[str]:
    result = await searched(books, index, {"query": query})
    import orjson

    return sorted(orjson.loads(hit.json)["_id"] for hit in result.hits)


async def test_terms_of_another_document(filled: Library) -> None:
    lookup = {"index": "users", "id": "1", "path": "follows"}
    assert await found(filled, "posts", {"terms": {"by": lookup}}) == ["2", "3"]
    nested = {"bool": {"filter": [{"terms": {"by": {**lookup, "path": "nested.id"}}}]}}
    assert await found(filled, "posts", nested) == ["1"]
    assert await found(filled, "posts", {"terms": {"by": {**lookup, "id": "9"}}}) == []


async def test_incomplete_lookups_are_refused(filled: Library) -> None:
    with pytest.raises(IllegalArgumentError, match="requires specifying the path"):
        await found(filled, "posts", {"terms": {"by": {"index": "users", "id": "1"}}})
    with pytest.raises(ParsingError, match=r"\[terms_lookup\] unknown field \[foo\]"):
        await found(filled, "posts", {"terms": {"by": {"index": "users", "id": "1", "path": "a", "foo": 1}}})


async def test_more_like_a_document(filled: Library) -> None:
    loose = {"min_term_freq": 1, "min_doc_freq": 1, "fields": ["t"]}
    like = {"_index": "texts", "_id": "1"}
    assert await found(filled, "texts", {"more_like_this": {"like": [like], **loose}}) == ["2", "4"]
    included = {"like": [like], "include": True, **loose}
    assert await found(filled, "texts", {"more_like_this": included}) == ["1", "2", "4"]
    unlike = {"like": [like], "unlike": "red fox", **loose}
    assert await found(filled, "texts", {"more_like_this": unlike}) == []
    assert await found(filled, "texts", {"more_like_this": {"like": "a whale of blue", **loose}}) == ["3", "4"]
    assert await found(filled, "texts", {"more_like_this": {"like": "red fox", "fields": ["t"]}}) == []
    with pytest.raises(ParsingError, match="requires 'like' to be specified"):
        await found(filled, "texts", {"more_like_this": {"fields": ["t"]}})


async def test_spans_as_phrases(filled: Library) -> None:
    near: list[Any] = [{"span_term": {"t": "red"}}, {"span_multi": {"match": {"prefix": {"t": "fo"}}}}]
    assert await filled.ids("texts", {"span_near": {"clauses": near}}) == ["1", "2", "4"]
    apart = [{"span_term": {"t": "red"}}, {"span_term": {"t": "whale"}}]
    assert await filled.ids("texts", {"span_near": {"clauses": apart, "slop": 0}}) == []
    assert await filled.ids("texts", {"span_near": {"clauses": apart, "slop": 2}}) == ["4"]
    either = [{"span_term": {"t": "swims"}}, {"span_term": {"t": "sleeps"}}]
    assert sorted(await filled.ids("texts", {"span_or": {"clauses": either}})) == ["2", "3"]


async def test_a_look_up_in_an_aggregation_needs_no_query_beside_it(filled: Library) -> None:
    followed = {"terms": {"by": {"index": "users", "id": "1", "path": "follows"}}}
    result = await searched(filled, "posts", {"size": 0, "aggs": {"followed": {"filter": followed}}})
    assert result.aggregations == {"followed": {"count": 2, "subs": {}}}
