"""Merging: what may change, what may not, limits, and the laws of merging."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.index.mappings import mapping_of

from hanse.errors import HanseError, IllegalArgumentError
from hanse.index.mapping import Mapping


def merged(old: dict[str, Any], new: dict[str, Any], **root: Any) -> dict[str, Any]:
    return dict(mapping_of(old).merge({"properties": new, **root})[0])


def test_new_fields_objects_and_multi_fields_are_added() -> None:
    shown = merged(
        {"a": {"type": "text", "fields": {"k": {"type": "keyword"}}}, "o": {"properties": {"x": {"type": "long"}}}},
        {"a": {"type": "text", "fields": {"s": {"type": "text"}}}, "o": {"properties": {"y": {"type": "long"}}}},
    )["properties"]
    assert shown["a"] == {"type": "text", "fields": {"k": {"type": "keyword"}, "s": {"type": "text"}}}
    assert set(shown["o"]["properties"]) == {"x", "y"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ({"type": "long"}, {"type": "text"}, "mapper [f] cannot be changed from type [long] to [text]"),
        (
            {"properties": {}, "type": "object"},
            {"type": "text"},
            "can't merge a non object mapping [f] with an object mapping",
        ),
        (
            {"type": "text"},
            {"properties": {"x": {"type": "long"}}},
            "can't merge an object mapping [f] with a non object mapping",
        ),
        ({"type": "object"}, {"type": "nested"}, "can't merge a non-nested mapping [f] with a nested mapping"),
        ({"type": "nested"}, {"type": "object"}, "can't merge a nested mapping [f] with a non-nested mapping"),
        (
            {"type": "text"},
            {"type": "text", "analyzer": "english"},
            "Mapper for [f] conflicts with existing mapper:\n\t"
            "Cannot update parameter [analyzer] from [default] to [english]",
        ),
        (
            {"type": "keyword"},
            {"type": "keyword", "index": False, "doc_values": False},
            "Mapper for [f] conflicts with existing mapper:\n\t"
            "Cannot update parameter [index] from [true] to [false]\n\t"
            "Cannot update parameter [doc_values] from [true] to [false]",
        ),
        (
            {"type": "date", "format": "yyyy"},
            {"type": "date"},
            "Mapper for [f] conflicts with existing mapper:\n\tCannot update parameter [format] from [yyyy] to "
            "[strict_date_optional_time||epoch_millis]",
        ),
        (
            {"type": "object", "enabled": False},
            {"type": "object", "enabled": True},
            "the [enabled] parameter can't be updated for the object mapping [f]",
        ),
    ],
)
def test_changes_that_are_not_allowed(old: dict[str, Any], new: dict[str, Any], reason: str) -> None:
    with pytest.raises(IllegalArgumentError) as refused:
        merged({"f": old}, {"f": new})
    assert refused.value.reason == reason


def test_a_multi_field_keeps_its_type_too() -> None:
    with pytest.raises(
        IllegalArgumentError, match=r"mapper \[f.k\] cannot be changed from type \[keyword\] to \[long\]"
    ):
        merged(
            {"f": {"type": "text", "fields": {"k": {"type": "keyword"}}}},
            {"f": {"type": "text", "fields": {"k": {"type": "long"}}}},
        )


def test_changes_that_are_allowed() -> None:
    shown = merged(
        {"k": {"type": "keyword", "ignore_above": 5}, "t": {"type": "text"}, "c": {"type": "constant_keyword"}},
        {
            "k": {"type": "keyword", "ignore_above": 9},
            "t": {"type": "text", "norms": False},
            "c": {"type": "constant_keyword", "value": "x"},
        },
        dynamic="strict",
        _meta={"a": 1},
    )
    assert shown["properties"]["k"]["ignore_above"] == 9
    assert shown["properties"]["t"]["norms"] is False
    assert shown["properties"]["c"]["value"] == "x"
    assert (shown["dynamic"], shown["_meta"]) == ("strict", {"a": 1})


def test_the_source_cannot_be_turned_off_later() -> None:
    with pytest.raises(IllegalArgumentError, match=r"Cannot update parameter \[enabled\] from \[true\] to \[false\]"):
        mapping_of({"a": {"type": "long"}}).merge({"_source": {"enabled": False}})


def test_dynamic_templates_are_replaced_by_name() -> None:
    one = {"one": {"match": "a*", "mapping": {"type": "keyword"}}}
    two = {"two": {"match": "b*", "mapping": {"type": "keyword"}}}
    changed = {"one": {"match": "c*", "mapping": {"type": "keyword"}}}
    mapping = mapping_of({}, dynamic_templates=[one, two])
    assert mapping.merge({"dynamic_templates": [changed]})[0]["dynamic_templates"] == [changed, two]


@pytest.mark.parametrize(
    ("setting", "value", "properties", "reason"),
    [
        (
            "total_fields.limit",
            "3",
            {"a": {"type": "text", "fields": {"k": {"type": "keyword"}}}, "o.x": {"type": "long"}},
            "Limit of total fields [3] has been exceeded",
        ),
        (
            "depth.limit",
            "2",
            {"a.b.c": {"type": "long"}},
            "Limit of mapping depth [2] has been exceeded due to object field [a.b]",
        ),
        (
            "nested_fields.limit",
            "1",
            {"a": {"type": "nested"}, "b": {"type": "nested"}},
            "Limit of nested fields [1] has been exceeded",
        ),
        (
            "field_name_length.limit",
            "3",
            {"abcd": {"type": "long"}},
            "Field name [abcd] is longer than the limit of [3] characters",
        ),
    ],
)
def test_limits(setting: str, value: str, properties: dict[str, Any], reason: str) -> None:
    with pytest.raises(IllegalArgumentError) as refused:
        mapping_of(properties, {f"index.mapping.{setting}": value})
    assert refused.value.reason == reason


def test_a_refused_update_leaves_the_mapping_as_it_was() -> None:
    mapping = mapping_of({"a": {"type": "long"}})
    before = copy.deepcopy((mapping.to_json(), mapping.slots.to_metadata()))
    with pytest.raises(HanseError):
        mapping.merge({"properties": {"b": {"type": "long"}, "a": {"type": "text"}}})
    assert (mapping.to_json(), mapping.slots.to_metadata()) == before


LEAVES = st.sampled_from(
    [
        {"type": "long"},
        {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}},
        {"type": "keyword"},
        {"type": "ip"},
        {"type": "binary"},
        {"type": "date", "format": "yyyy"},
    ]
)
PROPERTIES = st.recursive(
    st.dictionaries(st.sampled_from("abc"), LEAVES, max_size=3),
    lambda below: st.dictionaries(
        st.sampled_from("abc"), LEAVES | below.map(lambda p: {"properties": p} if p else {"type": "object"}), max_size=3
    ),
    max_leaves=6,
)


def attempt(mapping: Mapping, update: dict[str, Any]) -> Mapping | None:
    try:
        mappings, slots = mapping.merge({"properties": update})
    except IllegalArgumentError:
        return None
    return Mapping.from_metadata(mappings, slots, {})


@given(PROPERTIES, PROPERTIES)
def test_laws_of_merging(first: dict[str, Any], second: dict[str, Any]) -> None:
    one = mapping_of(first)
    assert one.merge({"properties": first})[0] == one.to_json()
    both = attempt(one, second)
    other_way = attempt(mapping_of(second), first)
    assert (both is None) == (other_way is None)
    if both is None or other_way is None:
        return
    assert both.to_json() == other_way.to_json()
    assert both.merge({"properties": first}) == (both.to_json(), both.slots.to_metadata())
    slots = [field.slot for _, field in both.fields() if field.slot]
    assert len(slots) == len(set(slots))
    for path, kept in one.slots.items():
        assert both.slots[path] == kept
