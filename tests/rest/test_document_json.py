from __future__ import annotations

import json
from typing import Any, Literal

import pytest

from hanse.index.document_requests import GotDocument, Written
from hanse.index.writing import WriteResult
from hanse.rest.document_json import got_document, written_document
from hanse.search.field_selection import SourceFilter

ODD = 'a"b\\c\nü'
Outcome = Literal["created", "updated", "deleted", "noop", "not_found"]


def written(result: Outcome, **members: Any) -> Written:
    return Written("books", WriteResult(ODD, 7, 2, 3, result, source=b'{"a": 1.0, "b": 2}'), 2, **members)


@pytest.mark.parametrize("result", ["created", "updated", "deleted", "not_found"])
def test_a_write(result: Outcome) -> None:
    assert json.loads(written_document(written(result), None)) == {
        "_index": "books",
        "_id": ODD,
        "_version": 3,
        "result": result,
        "_shards": {"total": 2, "successful": 1, "failed": 0},
        "_seq_no": 7,
        "_primary_term": 2,
    }


def test_a_forced_refresh_is_told() -> None:
    assert json.loads(written_document(written("created", forced_refresh=True), None))["forced_refresh"] is True


def test_nothing_done_touches_no_shard() -> None:
    shown = json.loads(written_document(written("noop", forced_refresh=True), None))
    assert shown["_shards"] == {"total": 0, "successful": 0, "failed": 0}
    assert "forced_refresh" not in shown


def test_the_source_of_an_update_is_spliced_or_filtered() -> None:
    assert b'"_source":{"a": 1.0, "b": 2}' in written_document(written("updated"), SourceFilter())
    assert json.loads(written_document(written("updated"), SourceFilter(True, ("b",))))["get"]["_source"] == {"b": 2}
    assert b"get" not in written_document(written("updated"), SourceFilter(enabled=False))


def test_a_document_found_and_not_found() -> None:
    found = GotDocument("books", ODD, True, 3, 7, 2, "r", b'{"a": 1.0}', {"f": [1]})
    assert b'"_source":{"a": 1.0}' in got_document(found)
    assert json.loads(got_document(found)) == {
        "_index": "books",
        "_id": ODD,
        "_version": 3,
        "_seq_no": 7,
        "_primary_term": 2,
        "_routing": "r",
        "found": True,
        "_source": {"a": 1.0},
        "fields": {"f": [1]},
    }
    assert json.loads(got_document(GotDocument("books", ODD))) == {"_index": "books", "_id": ODD, "found": False}
