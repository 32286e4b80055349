from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.rest.filter_path import filtered

ANSWER = {
    "took": 3,
    "hits": {"total": 2, "hits": [{"_id": "1", "_source": {"a": 1, "b.c": 2}}, {"_id": "2", "_source": {"a": 3}}]},
    "_shards": {"total": 1},
    "empty": {},
}


@pytest.mark.parametrize(
    ("paths", "left"),
    [
        ("took", {"took": 3}),
        ("took,hits.hits._id", {"took": 3, "hits": {"hits": [{"_id": "1"}, {"_id": "2"}]}}),
        ("hits.hits._source.a", {"hits": {"hits": [{"_source": {"a": 1}}, {"_source": {"a": 3}}]}}),
        ("hits.hits._source.b\\.c", {"hits": {"hits": [{"_source": {"b.c": 2}}]}}),
        ("**.total", {"hits": {"total": 2}, "_shards": {"total": 1}}),
        ("*.total", {"hits": {"total": 2}, "_shards": {"total": 1}}),
        ("h*.t*", {"hits": {"total": 2}}),
        ("nothing", {}),
        ("empty", {"empty": {}}),
        ("-hits,-empty", {"took": 3, "_shards": {"total": 1}}),
        ("-hits.hits,-took,-empty", {"hits": {"total": 2}, "_shards": {"total": 1}}),
        ("hits,-hits.hits", {"hits": {"total": 2}}),
        ("hits.hits,-**.a", {"hits": {"hits": [{"_id": "1", "_source": {"b.c": 2}}, {"_id": "2"}]}}),
        ("", ANSWER),
        ("**", ANSWER),
        ("-**", {}),
    ],
)
def test_what_is_left(paths: str, left: dict[str, Any]) -> None:
    assert filtered(ANSWER, paths) == left


keys = st.sampled_from(["a", "b", "c"])
trees = st.recursive(
    st.integers(), lambda inner: st.dictionaries(keys, inner, max_size=3) | st.lists(inner, max_size=2)
)
paths = st.lists(st.one_of(keys, st.sampled_from(["*", "**"])), min_size=1, max_size=3).map(".".join)


def leaves(value: Any, path: tuple[str, ...] = ()) -> set[tuple[tuple[str, ...], int]]:
    if isinstance(value, dict):
        return {leaf for key, member in value.items() for leaf in leaves(member, (*path, key))}
    if isinstance(value, list):
        return {leaf for item in value for leaf in leaves(item, path)}
    return {(path, value)}


@given(st.dictionaries(keys, trees, max_size=3), paths)
def test_including_and_excluding_a_path_divide_the_leaves(value: dict[str, Any], path: str) -> None:
    with_path, without_path = leaves(filtered(value, path)), leaves(filtered(value, f"-{path}"))
    named = {leaf for leaf in leaves(value) if leaf[0]}
    assert with_path | without_path == named
    assert {leaf for leaf, _ in with_path}.isdisjoint({leaf for leaf, _ in without_path})
