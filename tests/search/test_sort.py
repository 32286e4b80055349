"""What a body or URI asks to be sorted by."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.errors import HanseError
from hanse.search.sort import SortKey, comparator, parse_sort, parse_uri_sort


def test_the_forms_of_a_key() -> None:
    assert parse_sort("a") == (SortKey("a"),)
    assert parse_sort(["a", {"b": "desc"}, {"_score": {}}]) == (
        SortKey("a"),
        SortKey("b", True),
        SortKey("_score", True),
    )
    (key,) = parse_sort(
        {"c": {"order": "DESC", "missing": 3, "mode": "max", "unmapped_type": "long", "format": "yyyy"}}
    )
    assert key == SortKey("c", True, 3, "max", "long", "yyyy")


def test_by_score_alone_is_no_sort() -> None:
    assert parse_sort(["_score"]) == ()
    assert parse_uri_sort("_score") == ()
    assert parse_sort([{"_score": "asc"}]) == (SortKey("_score", False),)


def test_the_uri_form() -> None:
    assert parse_uri_sort("a:desc,b,c:d:asc") == (SortKey("a", True), SortKey("b"), SortKey("c:d"))


@pytest.mark.parametrize(
    ("sort", "reason"),
    [
        ([1], "malformed sort format, within the sort array, an object, or an actual string are allowed"),
        ({"a": {"foo": 1}}, "[field_sort] unknown field [foo]"),
        ({"a": "up"}, "Unknown SortOrder [up]"),
        ({"a": {"mode": "first"}}, "Unknown SortMode [first]"),
        ({"_script": {}}, "[_script] sort is not supported"),
    ],
)
def test_what_is_refused(sort: Any, reason: str) -> None:
    with pytest.raises(HanseError) as refused:
        parse_sort(sort)
    assert (refused.value.reason, refused.value.status) == (reason, 400)


values = st.lists(st.one_of(st.none(), st.integers(-2, 2)), min_size=2, max_size=2)
keys = st.lists(
    st.builds(SortKey, st.just("f"), st.booleans(), st.sampled_from(["_first", "_last"])), min_size=2, max_size=2
)


@given(keys, values, values, values)
def test_the_order_is_total(chosen: list[SortKey], a: list[Any], b: list[Any], c: list[Any]) -> None:
    compare = comparator(chosen)
    assert compare(a, b) == -compare(b, a)
    if compare(a, b) <= 0 and compare(b, c) <= 0:
        assert compare(a, c) <= 0
    assert (compare(a, b) == 0) == (a == b)
