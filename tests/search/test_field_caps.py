"""Field capabilities of one index, of many, and of clusters."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.search.searching import Library

from hanse.errors import ActionRequestValidationError, IllegalArgumentError, QueryShardError
from hanse.search.field_caps import field_caps_local, merge_field_caps, render
from hanse.search.request import FieldCapsRequest
from hanse.transport.actions import Access, FieldRule

FIRST = {
    "properties": {
        "a": {"type": "keyword", "meta": {"unit": "x"}},
        "b": {"type": "long"},
        "t": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "o": {"properties": {"x": {"type": "date"}}},
        "hidden": {"type": "keyword", "index": False, "doc_values": False},
    }
}
SECOND = {"properties": {"a": {"type": "keyword"}, "b": {"type": "text"}, "only": {"type": "ip"}}}


@pytest.fixture
async def filled(books: Library) -> Library:
    await books.add("one", [{"b": 5}], FIRST)
    await books.add("two", [{"only": "::1"}], SECOND)
    return books


async def caps(books: Library, index: str, *fields: str, **more: Any) -> dict[str, Any]:
    names = tuple(index.split(","))
    request = FieldCapsRequest(indices=names, fields=fields, **more)
    result = await field_caps_local(books.indices, books.call(names), request)
    answer = orjson.loads(render(merge_field_caps([result]), request))
    assert isinstance(answer, dict)
    return answer


async def test_one_index(filled: Library) -> None:
    answer = await caps(filled, "one", "*")
    assert answer["indices"] == ["one"]
    fields = answer["fields"]
    assert fields["a"]["keyword"] == {
        "type": "keyword",
        "metadata_field": False,
        "searchable": True,
        "aggregatable": True,
        "meta": {"unit": ["x"]},
    }
    assert fields["t"]["text"]["aggregatable"] is False
    assert fields["o"]["object"]["searchable"] is False
    assert fields["hidden"]["keyword"]["searchable"] is False
    assert fields["_id"]["_id"]["metadata_field"] is True
    assert {"t.raw", "o.x"} <= set(fields)


async def test_types_that_differ_name_their_indices(filled: Library) -> None:
    fields = (await caps(filled, "one,two", "a", "b", "only", include_unmapped=True))["fields"]
    assert "indices" not in fields["a"]["keyword"]
    assert fields["b"]["long"]["indices"] == ["one"]
    assert fields["b"]["text"]["indices"] == ["two"]
    assert fields["only"]["unmapped"]["indices"] == ["one"]


async def test_filters(filled: Library) -> None:
    async def found(**more: Any) -> set[str]:
        return set((await caps(filled, "one", "*", **more))["fields"])

    assert not any(name.startswith("_") for name in await found(filters=("-metadata",)))
    assert "t.raw" not in await found(filters=("-multifield",))
    assert "o" not in await found(filters=("-parent",))
    assert await found(types=("long",)) == {"b"}


async def test_indices_without_matching_documents_are_left_out(filled: Library) -> None:
    answer = await caps(filled, "one,two", "*", index_filter={"range": {"b": {"gte": 5}}})
    assert answer["indices"] == ["one"]
    assert answer["failed_indices"] == 1 if "failures" in answer else True


async def test_hidden_fields_are_not_listed(filled: Library) -> None:
    filled.access["one"] = Access(fields=((FieldRule(("a",)),),))
    fields = (await caps(filled, "one", "*", filters=("-metadata",)))["fields"]
    assert set(fields) == {"a"}


async def test_a_remote_clusters_indices_carry_its_alias(filled: Library) -> None:
    assert (await caps(filled, "one", "b", cluster_alias="far"))["indices"] == ["far:one"]


async def test_what_is_refused(filled: Library) -> None:
    with pytest.raises(ActionRequestValidationError, match="no fields specified"):
        await caps(filled, "one")
    with pytest.raises(QueryShardError):
        await caps(filled, "one", "*", index_filter={"term": {"b": "abc"}})
    with pytest.raises(IllegalArgumentError, match=r"\[runtime_mappings\] is not supported"):
        await caps(filled, "one", "*", runtime_mappings={"b": {"type": "keyword"}})
    assert (await caps(filled, "one", "b", runtime_mappings={}))["indices"] == ["one"]
