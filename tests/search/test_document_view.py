from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.index.shards import index as write_op
from tests.index.shards import one
from tests.search.searching import Library

from hanse.index.records import StoredDocument
from hanse.search.document_view import SecuredDocumentView
from hanse.transport.actions import FULL_ACCESS, Access, FieldRule, Target

DOCUMENT = {"owner": "ann", "secret": 1, "deep": {"a": 1, "b": 2}}
ANNS = {"term": {"owner.keyword": "ann"}}


async def seen(books: Library, access: Access, id: str = "1", **target: Any) -> Any:
    """The source as it is shown; None when the document is hidden."""
    service = books.indices.get("notes")
    found = service.shards[0].get(id)
    assert isinstance(found, StoredDocument)
    shown = await SecuredDocumentView().visible(service, service.shards[0], Target("notes", access, **target), found)
    return None if shown is None else orjson.loads(shown)


@pytest.fixture
async def notes(books: Library) -> Library:
    await books.add("notes", [DOCUMENT, {"owner": "bob"}])
    return books


async def test_full_access_gives_the_bytes_that_came_in(notes: Library) -> None:
    assert await seen(notes, FULL_ACCESS) == DOCUMENT


@pytest.mark.parametrize(
    ("documents", "visible"),
    [
        (((ANNS,),), True),
        ((({"match_none": {}}, ANNS),), True),
        (((ANNS,), ({"match_none": {}},)), False),
        ((({"term": {"owner.keyword": "bob"}},),), False),
    ],
)
async def test_documents(notes: Library, documents: Any, visible: bool) -> None:
    assert (await seen(notes, Access(documents=documents)) is not None) is visible


async def test_a_document_newer_than_the_index_is_judged_as_it_is(notes: Library) -> None:
    access = Access(documents=((ANNS,),))
    shard = notes.indices.get("notes").shards[0]
    await one(shard, write_op("3", owner="ann"))
    await one(shard, write_op("1", owner="bob"))
    assert await seen(notes, access, "3") == {"owner": "ann"}
    assert await seen(notes, access, "1") is None


@pytest.mark.parametrize(
    ("rules", "shown"),
    [
        (((FieldRule(("owner",)),),), {"owner": "ann"}),
        (((FieldRule(("*",), ("secret", "deep.b")),),), {"owner": "ann", "deep": {"a": 1}}),
        (((FieldRule(("owner",)), FieldRule(("secret",))),), {"owner": "ann", "secret": 1}),
        (((FieldRule(("owner", "secret")),), (FieldRule(("secret",)),)), {"secret": 1}),
        (((FieldRule(()),),), {}),
    ],
)
async def test_fields(notes: Library, rules: Any, shown: dict[str, Any]) -> None:
    assert await seen(notes, Access(fields=rules)) == shown


async def test_the_filter_of_an_alias_plays_no_part(notes: Library) -> None:
    assert await seen(notes, Access(documents=((ANNS,),)), filters=({"match_none": {}},)) == DOCUMENT
