"""`_source` filters and field-level security on documents."""

from __future__ import annotations

from typing import Any

import pytest

from hanse.errors import ParsingError
from hanse.search.field_selection import SourceFilter, filter_source, parse_fields, parse_source, restrict_source

DOCUMENT: dict[str, Any] = {
    "title": "x",
    "user": {"name": {"first": "a", "last": "b"}, "age": 3},
    "tags": [{"k": 1, "v": 2}, {"v": 3}],
    "a.b": 7,
}


@pytest.mark.parametrize(
    ("includes", "excludes", "expected"),
    [
        (["title"], [], {"title": "x"}),
        (["user"], [], {"user": DOCUMENT["user"]}),
        (["user.name.*"], [], {"user": {"name": {"first": "a", "last": "b"}}}),
        (["*.first"], [], {"user": {"name": {"first": "a"}}}),
        (["tags.k"], [], {"tags": [{"k": 1}]}),
        ([], ["user", "tags"], {"title": "x", "a.b": 7}),
        ([], ["user.name"], {"title": "x", "user": {"age": 3}, "tags": DOCUMENT["tags"], "a.b": 7}),
        (["user.*"], ["*.last"], {"user": {"name": {"first": "a"}, "age": 3}}),
        (["a.b"], [], {"a.b": 7}),
        (["nothing"], [], {}),
        ([], ["tags.v"], {"title": "x", "user": DOCUMENT["user"], "tags": [{"k": 1}, {}], "a.b": 7}),
    ],
)
def test_includes_and_excludes(includes: list[str], excludes: list[str], expected: dict[str, Any]) -> None:
    assert filter_source(DOCUMENT, SourceFilter(True, tuple(includes), tuple(excludes))) == expected


def test_the_forms_of_the_source_member() -> None:
    assert parse_source(False) == SourceFilter(enabled=False)
    assert parse_source("a") == SourceFilter(True, ("a",))
    assert parse_source({"include": ["a"], "excludes": "b"}) == SourceFilter(True, ("a",), ("b",))
    with pytest.raises(ParsingError, match=r"Unknown key for a VALUE_STRING in \[only\]\."):
        parse_source({"only": "a"})
    with pytest.raises(ParsingError, match="Expected one of"):
        parse_source(3)


def test_fields_take_names_and_objects() -> None:
    (plain, formatted) = parse_fields(["a", {"field": "b", "format": "yyyy"}], "fields")
    assert (plain.pattern, plain.format, formatted.pattern, formatted.format) == ("a", None, "b", "yyyy")
    with pytest.raises(ParsingError, match=r"\[fields\] unknown field \[x\]"):
        parse_fields([{"field": "a", "x": 1}], "fields")


def test_hidden_fields_leave_no_trace() -> None:
    shown = restrict_source(DOCUMENT, lambda path: path in ("title", "user.age", "tags.k"))
    assert shown == {"title": "x", "user": {"age": 3}, "tags": [{"k": 1}]}
