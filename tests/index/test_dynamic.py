"""Fields no mapping names: the usual types, detection, templates, and updates that are only asked for when they fit."""

from __future__ import annotations

from typing import Any

import pytest
from tests.index.mappings import by_field, mapped, mapping_of

from hanse.errors import DocumentParsingError
from hanse.index.mapping import DocumentMapper
from hanse.index.mapping.dynamic_templates import matches_simple

STRING = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}


def new_fields(source: str, properties: dict[str, Any] | None = None, **root: Any) -> dict[str, Any]:
    """The properties of the mapping once the document's update is merged, those given before left out."""
    mapping = mapping_of(properties or {}, **root)
    document = DocumentMapper(mapping).map(source.encode(), "1")
    if document.dynamic is None:
        return {}
    shown = mapping.merged(document.dynamic).to_json()["properties"]
    return {name: item for name, item in shown.items() if name not in (properties or {})}


@pytest.mark.parametrize(
    ("value", "definition"),
    [
        ("1", {"type": "long"}),
        ("1.5", {"type": "float"}),
        ("true", {"type": "boolean"}),
        ('"salt"', STRING),
        ('"2024-05-06"', {"type": "date"}),
        ('"2024/05/06"', {"type": "date", "format": "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis"}),
        ('"2024"', STRING),
        ('"12"', STRING),
        ("[null,[2]]", {"type": "long"}),
        ("[1,2.5]", {"type": "long"}),
        ("{}", {"type": "object"}),
        ('{"x":1}', {"properties": {"x": {"type": "long"}}}),
        ('[{"x":1},{"y":true}]', {"properties": {"x": {"type": "long"}, "y": {"type": "boolean"}}}),
    ],
)
def test_types_of_new_fields(value: str, definition: dict[str, Any]) -> None:
    assert new_fields(f'{{"f":{value}}}') == {"f": definition}


def test_null_and_empty_arrays_map_nothing() -> None:
    assert mapped({}, '{"a":null,"b":[]}').dynamic is None


def test_dots_become_objects() -> None:
    assert new_fields('{"a.b.c":1,"a.b.d":2}') == {
        "a": {"properties": {"b": {"properties": {"c": {"type": "long"}, "d": {"type": "long"}}}}}
    }


def test_detection_can_be_turned_off_and_on() -> None:
    assert new_fields('{"f":"2024-05-06"}', date_detection=False) == {"f": STRING}
    assert new_fields('{"f":"12","g":"1.5"}', numeric_detection=True) == {"f": {"type": "long"}, "g": {"type": "float"}}
    assert new_fields('{"f":"06.05.2024"}', dynamic_date_formats=["dd.MM.yyyy"]) == {
        "f": {"type": "date", "format": "dd.MM.yyyy"}
    }


def test_dynamic_false_is_inherited_and_may_be_lifted() -> None:
    properties = {"o": {"properties": {"open": {"type": "object", "dynamic": "true"}}}}
    assert mapped(properties, '{"x":1,"o":{"y":1}}', dynamic="false").dynamic is None
    document = mapped(properties, '{"o":{"open":{"z":1}}}', dynamic="false")
    assert document.dynamic == {"properties": {"o": {"properties": {"open": {"properties": {"z": {"type": "long"}}}}}}}


@pytest.mark.parametrize(
    ("template", "source", "expected"),
    [
        ({"match_mapping_type": "string", "mapping": {"type": "keyword"}}, '{"f":"x"}', {"f": {"type": "keyword"}}),
        ({"match_mapping_type": "long", "mapping": {"type": "integer"}}, '{"f":1}', {"f": {"type": "integer"}}),
        (
            {"match": "long_*", "unmatch": "*_text", "mapping": {"type": "long"}},
            '{"long_a":"5"}',
            {"long_a": {"type": "long"}},
        ),
        (
            {"match": "long_*", "unmatch": "*_text", "mapping": {"type": "long"}},
            '{"long_text":"5"}',
            {"long_text": STRING},
        ),
        (
            {"path_match": "o.*", "path_unmatch": "o.b", "mapping": {"type": "keyword"}},
            '{"o":{"a":1,"b":1}}',
            {"o": {"properties": {"a": {"type": "keyword"}, "b": {"type": "long"}}}},
        ),
        (
            {"match": "^x[0-9]+$", "match_pattern": "regex", "mapping": {"type": "keyword"}},
            '{"x12":"a","xa":1}',
            {"x12": {"type": "keyword"}, "xa": {"type": "long"}},
        ),
        (
            {"match_mapping_type": "*", "mapping": {"type": "{dynamic_type}", "store": True, "meta": {"n": "{name}"}}},
            '{"f":1}',
            {"f": {"type": "long", "store": True, "meta": {"n": "f"}}},
        ),
        (
            {"match_mapping_type": "string", "mapping": {"norms": False}},
            '{"f":"x"}',
            {"f": {"type": "text", "norms": False}},
        ),
        (
            {"match_mapping_type": "object", "mapping": {"type": "flattened"}},
            '{"f":{"a":1}}',
            {"f": {"type": "flattened"}},
        ),
        (
            {"match_mapping_type": ["long", "string"], "mapping": {"type": "keyword"}},
            '{"f":1}',
            {"f": {"type": "keyword"}},
        ),
    ],
)
def test_templates(template: dict[str, Any], source: str, expected: dict[str, Any]) -> None:
    assert new_fields(source, dynamic_templates=[{"t": template}]) == expected


def test_the_first_template_that_fits_wins() -> None:
    templates = [
        {"one": {"match": "f", "mapping": {"type": "keyword"}}},
        {"two": {"match_mapping_type": "string", "mapping": {"type": "text"}}},
    ]
    assert new_fields('{"f":"x","g":"y"}', dynamic_templates=templates) == {
        "f": {"type": "keyword"},
        "g": {"type": "text"},
    }


def test_the_document_maps_once_its_update_is_committed() -> None:
    mapping = mapping_of({"known": {"type": "long"}})
    source = b'{"known":1,"new":{"text":"Salt","list":[2,1]}}'
    first = DocumentMapper(mapping).map(source)
    assert first.dynamic is not None
    assert first.values == {}
    mapping = mapping.merged(first.dynamic)
    second = DocumentMapper(mapping).map(source)
    assert second.dynamic is None
    assert by_field(mapping, second) == {"known": 1, "new.text": "Salt", "new.text.keyword": "Salt", "new.list": [1, 2]}


@pytest.mark.parametrize(
    "source",
    [
        '{"new":[1,"x"]}',
        '{"new":1,"known":"x"}',
        '{"new":[1,{"x":2}]}',
        '{"new":123456789012345678901234567890}',
        '{"a":{"b":1},"a.b":{"c":1}}',
    ],
)
def test_no_update_is_asked_for_by_a_document_that_will_be_refused(source: str) -> None:
    with pytest.raises(DocumentParsingError):
        mapped({"known": {"type": "long"}}, source)


def test_limits_refuse_the_document_or_leave_fields_out() -> None:
    with pytest.raises(DocumentParsingError) as refused:
        DocumentMapper(mapping_of({"a": {"type": "long"}}, {"index.mapping.total_fields.limit": "2"})).map(
            b'{"b":1,"c":2}'
        )
    assert refused.value.caused_by is not None
    assert refused.value.caused_by.reason == "Limit of total fields [2] has been exceeded while adding new fields [2]"
    settings = {
        "index.mapping.total_fields.limit": "2",
        "index.mapping.total_fields.ignore_dynamic_beyond_limit": "true",
    }
    document = DocumentMapper(mapping_of({"a": {"type": "long"}}, settings)).map(b'{"b":1,"c":2}')
    assert document.dynamic == {"properties": {"b": {"type": "long"}}}
    assert document.ignored == ("c",)


def test_copies_into_unmapped_fields_map_them() -> None:
    assert new_fields('{"a":"x"}', {"a": {"type": "keyword", "copy_to": ["deep.copy"]}}) == {
        "deep": {"properties": {"copy": STRING}}
    }


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a*", "abc", True),
        ("*c", "abc", True),
        ("a*b*c", "a1b2c", True),
        ("ab*bc", "abc", False),
        ("a", "ab", False),
        ("*", "", True),
        ("a*b", "ab.b", True),
        ("a.*", "axb", False),
    ],
)
def test_simple_patterns(pattern: str, text: str, matches: bool) -> None:
    assert matches_simple(pattern, text) is matches
