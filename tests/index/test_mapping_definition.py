"""What a mapping body may say: accepted forms, one spelling of them, and every refusal's words."""

from __future__ import annotations

from typing import Any

import pytest
from tests.index.mappings import mapping_of

from hanse.errors import MapperParsingError


def test_dots_in_names_become_objects() -> None:
    shown = mapping_of({"a.b.c": {"type": "long"}, "a.b.d": {"type": "long"}}).to_json()
    assert shown == {
        "properties": {
            "a": {"properties": {"b": {"properties": {"c": {"type": "long"}, "d": {"type": "long"}}}}},
        }
    }


def test_one_spelling() -> None:
    shown = mapping_of(
        {
            "k": {"type": "keyword", "index": "false", "ignore_above": "5", "copy_to": "all"},
            "all": {"type": "text"},
            "o": {"type": "object", "properties": {"x": {"type": "long"}}},
            "empty": {"type": "object"},
            "bare": {"dynamic": "strict"},
        },
        dynamic=True,
    ).to_json()
    assert shown["dynamic"] == "true"
    assert shown["properties"]["k"] == {"type": "keyword", "index": False, "ignore_above": 5, "copy_to": ["all"]}
    assert shown["properties"]["o"] == {"properties": {"x": {"type": "long"}}}
    assert shown["properties"]["empty"] == {"type": "object"}
    assert shown["properties"]["bare"] == {"type": "object", "dynamic": "strict"}


@pytest.mark.parametrize(
    "definition",
    [
        {"type": "text", "norms": False, "store": True, "index_options": "docs", "term_vector": "yes"},
        {"type": "match_only_text"},
        {"type": "constant_keyword", "value": "x"},
        {"type": "wildcard", "ignore_above": 5},
        {"type": "scaled_float", "scaling_factor": 100},
        {"type": "date_nanos"},
        {"type": "date", "null_value": "2020-01-01", "locale": "de", "ignore_malformed": True},
        {"type": "long", "null_value": 5, "coerce": False, "meta": {"unit": "ms"}},
        {"type": "dense_vector", "dims": 3, "similarity": "cosine"},
        {"type": "integer_range", "coerce": True},
        {"type": "ip", "null_value": "::1"},
        {"type": "unsigned_long"},
    ],
)
def test_accepted(definition: dict[str, Any]) -> None:
    assert mapping_of({"f": definition}).to_json()["properties"]["f"] == definition


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"f": {"type": "foo"}}, "No handler for type [foo] declared on field [f]"),
        (
            {"a": {"properties": {"f": {"type": "percolator"}}}},
            "No handler for type [percolator] declared on field [f]",
        ),
        ({"f": {"type": "text", "foo": 1}}, "unknown parameter [foo] on mapper [f] of type [text]"),
        ({"f": {"type": "long", "analyzer": "x"}}, "unknown parameter [analyzer] on mapper [f] of type [long]"),
        ({"f": {}}, "No type specified for field [f]"),
        (
            {"f": {"type": "object", "foo": {"a": 1}}},
            "Mapping definition for [f] has unsupported parameters:  [foo : {a=1}]",
        ),
        ({"f": {"type": "text", "analyzer": "x"}}, "analyzer [x] has not been configured in mappings"),
        (
            {"f": {"type": "text", "search_analyzer": "simple"}},
            "analyzer on field [f] must be set when search_analyzer is set",
        ),
        ({"f": {"type": "keyword", "normalizer": "x"}}, "normalizer [x] not found for field [f]"),
        ({"f": {"type": "scaled_float"}}, "Field [f] misses required parameter [scaling_factor]"),
        ({"f": {"type": "alias"}}, "The [path] property must be specified for field [f]."),
        (
            {"f": {"type": "date", "format": "yyyy-foo"}},
            "Error parsing [format] on field [f]: Invalid format: [yyyy-foo]: Unknown pattern letter: f",
        ),
        (
            {"f": {"type": "long", "null_value": "x"}},
            'Error parsing [null_value] on field [f]: For input string: "x"',
        ),
        (
            {"f": {"type": "keyword", "index": "maybe"}},
            "Failed to parse value [maybe] as only [true] or [false] are allowed.",
        ),
        ({"f": {"type": "text", "fields": {"k": {}}}}, "No type specified for field [k]"),
        ({"f": {"type": "text", "fields": {"k": {"type": "nested"}}}}, "Type [nested] cannot be used in multi field"),
        ({"f": 5}, "Expected map for property [f] on field [f] but got 5"),
    ],
)
def test_refused(properties: dict[str, Any], reason: str) -> None:
    with pytest.raises(MapperParsingError) as refused:
        mapping_of(properties)
    assert refused.value.reason == f"Failed to parse mapping: {reason}"
    assert refused.value.caused_by is not None
    assert refused.value.root_causes[0].reason == reason


def test_a_name_that_is_empty_is_an_illegal_argument_below() -> None:
    with pytest.raises(MapperParsingError) as refused:
        mapping_of({"": {"type": "long"}})
    assert refused.value.reason == "Failed to parse mapping: field name cannot be an empty string"
    assert refused.value.caused_by is not None
    assert refused.value.caused_by.name == "illegal_argument_exception"


@pytest.mark.parametrize(
    ("root", "reason"),
    [
        ({"foo": 1}, "Root mapping definition has unsupported parameters:  [foo : 1]"),
        ({"dynamic_templates": [{"t": {"match_mapping_type": "x", "mapping": {}}}]}, "No field type matched on [x]"),
        ({"dynamic_templates": [{"t": {"match": "x"}}]}, "template [t] must have either mapping or runtime set"),
        ({"dynamic_templates": [{"t": {"mach": "x", "mapping": {}}}]}, "Illegal dynamic template parameter: [mach]"),
        ({"dynamic_templates": {}}, "Dynamic template syntax error"),
        ({"dynamic_date_formats": ["yyyy-foo"]}, "Invalid format: [yyyy-foo]"),
        ({"runtime": {"x": {"type": "long"}}}, "runtime fields are not supported"),
        ({"_source": {"foo": 1}}, "unknown parameter [foo] on mapper [_source] of type [_source]"),
    ],
)
def test_refused_roots(root: dict[str, Any], reason: str) -> None:
    with pytest.raises(MapperParsingError) as refused:
        mapping_of({}, **root)
    assert reason in refused.value.reason


def test_aliases_must_lead_to_a_field() -> None:
    with pytest.raises(MapperParsingError) as refused:
        mapping_of({"a": {"type": "alias", "path": "b"}})
    assert refused.value.reason == (
        "Invalid [path] value [b] for field alias [a]: an alias must refer to an existing field in the mappings."
    )
