"""A document's bytes: duplicates noticed, numbers kept, places found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.errors import DocumentParsingError
from hanse.index.mapping.source import check_duplicates, count_keys, locate, parse, parse_exactly


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        (b"", "not_x_content_exception"),
        (b"xx", "not_x_content_exception"),
        (b"[1]", "x_content_parse_exception"),
        (b'{"a":', "x_content_parse_exception"),
        (b'{"a":1}}', "x_content_parse_exception"),
        (b'{"a":NaN}', "x_content_parse_exception"),
        (b'{"a":"\xff"}', "x_content_parse_exception"),
    ],
)
def test_what_is_no_json_object_is_refused(source: bytes, cause: str) -> None:
    with pytest.raises(DocumentParsingError) as refused:
        parse(source)
    assert refused.value.status == 400
    assert refused.value.caused_by is not None
    assert refused.value.caused_by.type == cause


@pytest.mark.parametrize(
    ("source", "where", "name"),
    [
        ('{"a":1,"a":2}', "[1:8]", "a"),
        ('{"a" : 1, "a":2}', "[1:11]", "a"),
        ('{"o":{"x":1,\n "x":2}}', "[2:2]", "x"),
        ('{"l":[{"x":1},{"x":1,"x":1}]}', "[1:22]", "x"),
        ('{"a\\u0062":1,"ab":2}', "[1:14]", "ab"),
    ],
)
def test_duplicate_keys_are_refused_at_their_place(source: str, where: str, name: str) -> None:
    data = source.encode()
    with pytest.raises(DocumentParsingError) as refused:
        check_duplicates(data, count_keys(parse(data)))
    assert refused.value.reason == f"{where} failed to parse"
    assert refused.value.caused_by is not None
    assert refused.value.caused_by.reason == f"{where} Duplicate field '{name}'"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(['":', '" :', '\\":', "a:b"]),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=4) | st.just('":'), below, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4), st.sampled_from([None, 1]), st.booleans())
def test_a_document_without_duplicates_passes(document: dict[str, Any], indent: int | None, spaced: bool) -> None:
    data = json.dumps(document, indent=indent, separators=(",", " : ") if spaced else None).encode()
    check_duplicates(data, count_keys(parse_exactly(data)))


@given(st.dictionaries(st.text(max_size=4), JSON, min_size=1, max_size=4), st.booleans())
def test_a_duplicate_is_always_found(document: dict[str, Any], spaced: bool) -> None:
    separators = (",", " : ") if spaced else (",", ":")
    text = json.dumps(document, separators=separators)
    key = json.dumps(next(iter(document)))
    doubled = f"{text[:-1]},{key}{separators[1]}0}}".encode()
    with pytest.raises(DocumentParsingError):
        check_duplicates(doubled, count_keys(parse_exactly(doubled)))


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("a", 1, "[1:6]"),
        ("o.x", "one", "[2:11]"),
        ("o.l", 7, "[3:12]"),
        ("o.l", 99999999999999999999, "[3:14]"),
        ("o.m.y", True, "[3:62]"),
        ("o", {}, "[2:6]"),
        ("z", None, "[3:74]"),
        ("missing", 1, "[1:1]"),
    ],
)
def test_values_are_located(path: str, value: Any, where: str) -> None:
    source = b"""{"a":1,
 "o":{"x":"one",
  "l":[5,6,7,99999999999999999999,[8]],"m":[{"y":false},{"y":true}]},"z":null}"""
    lines = source.split(b"\n")
    found = locate(source, path, value)
    line, column = (int(part) for part in found[1:-1].split(":"))
    assert found == where, lines[line - 1][column - 1 :]
