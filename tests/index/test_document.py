"""Documents into slots: every type, arrays, copies, nulls, and refusals with their places and words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.index.mappings import by_field, mapped, mapping_of

from hanse.errors import DocumentParsingError, HanseError, IllegalArgumentError, StrictDynamicMappingError
from hanse.index.mapping import DocumentMapper

TYPES: dict[str, Any] = {
    "text": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 5}}},
    "keyword": {"type": "keyword"},
    "lower": {"type": "keyword", "normalizer": "lowercase"},
    "long": {"type": "long"},
    "float": {"type": "float"},
    "scaled": {"type": "scaled_float", "scaling_factor": 10},
    "date": {"type": "date"},
    "day": {"type": "date", "format": "yyyy-MM-dd"},
    "boolean": {"type": "boolean"},
    "ip": {"type": "ip"},
    "object": {"properties": {"x": {"type": "keyword"}, "n": {"type": "integer"}}},
    "binary": {"type": "binary"},
    "flat": {"type": "flattened"},
    "point": {"type": "geo_point"},
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"text": "Salt and sea"}, {"text": "Salt and sea"}),
        ({"text": "Salt"}, {"text": "Salt", "text.keyword": "Salt"}),
        ({"keyword": ["b", "a", "b"]}, {"keyword": ["a", "b"]}),
        ({"keyword": 5}, {"keyword": "5"}),
        ({"keyword": True}, {"keyword": "true"}),
        ({"lower": "SALT"}, {"lower": "salt"}),
        ({"long": [3, "1", 2.0]}, {"long": [1, 2, 3]}),
        ({"float": 0.1}, {"float": 0.10000000149011612}),
        ({"scaled": "1.26"}, {"scaled": 1.3}),
        ({"date": "2024-05-06T07:08:09Z"}, {"date": 1714979289000}),
        ({"date": "2024-05-06T07:08:09.123Z"}, {"date": 1714979289123}),
        ({"date": 1714979289123}, {"date": 1714979289123}),
        ({"date": 2024}, {"date": 1704067200000}),
        ({"day": "2024-05-06"}, {"day": 1714953600000}),
        ({"boolean": ["true", False]}, {"boolean": [0, 1]}),
        ({"ip": "::1"}, {"ip": "::1"}),
        ({"object": {"x": "a"}}, {"object.x": "a"}),
        ({"object": [{"x": "b", "n": 2}, {"x": "a"}]}, {"object.x": ["a", "b"], "object.n": 2}),
        ({"object.x": "a", "object": {"n": 1}}, {"object.x": "a", "object.n": 1}),
        ({"flat": {"a": {"b": 1}, "c": ["x", None]}}, {"flat": ["1", "x"]}),
        ({"point": [{"lat": 1, "lon": 2}, "3,4"]}, {"point": [1.0, 3.0]}),
        ({"long": None, "text": [], "object": None, "keyword": [None]}, {}),
    ],
)
def test_values(source: dict[str, Any], expected: dict[str, Any]) -> None:
    mapping = mapping_of(TYPES)
    document = DocumentMapper(mapping).map(json.dumps(source).encode())
    assert document.dynamic is None
    assert by_field(mapping, document) == expected


def test_text_of_numbers_is_kept_as_written() -> None:
    document = mapped({"k": {"type": "keyword"}}, '{"k":[1.10,1e3,12345678901234567890123]}')
    assert document.values["k0"] == ["1.10", "12345678901234567890123", "1e3"]


def test_present_fields_without_a_column_are_told_apart() -> None:
    document = mapped(TYPES, '{"text":["a","b"],"binary":"eA==","long":1}')
    assert document.values["_exists"] == ["t0", "binary"]
    assert "_exists" not in mapped(TYPES, '{"long":1}').values


def test_too_long_keywords_are_ignored_and_named() -> None:
    document = mapped(TYPES, '{"text":"longer than five"}')
    assert document.ignored == ("text.keyword",)
    assert document.values["_ignored"] == ["text.keyword"]
    assert "k0" not in document.values


def test_null_values_and_copies() -> None:
    properties = {
        "a": {"type": "keyword", "null_value": "NONE", "copy_to": "all"},
        "b": {"type": "long", "null_value": -1, "copy_to": ["all", "sum"]},
        "all": {"type": "text"},
        "sum": {"type": "long"},
        "at": {"type": "date", "null_value": "1970-01-02"},
    }
    mapping = mapping_of(properties)
    document = DocumentMapper(mapping).map(b'{"a":"x","b":[1,2],"all":"own","at":null}')
    assert by_field(mapping, document) == {
        "a": "x",
        "b": [1, 2],
        "all": ["x", "1", "2", "own"],
        "sum": [1, 2],
        "at": 86_400_000,
    }
    assert by_field(mapping, DocumentMapper(mapping).map(b'{"a":null,"b":null}')) == {"a": "NONE", "b": -1}


def test_malformed_values_may_be_ignored() -> None:
    document = mapped(
        {"n": {"type": "long", "ignore_malformed": True}, "ip": {"type": "ip", "ignore_malformed": True}},
        '{"n":["x",1],"ip":"y"}',
    )
    assert (document.values["l0"], document.ignored) == (1, ("n", "ip"))


def test_index_wide_defaults() -> None:
    mapping = mapping_of(
        {"n": {"type": "long"}, "d": {"type": "date"}},
        {"index.mapping.ignore_malformed": "true", "index.mapping.coerce": "false"},
    )
    document = DocumentMapper(mapping).map(b'{"n":"1","d":"x"}')
    assert document.ignored == ("n", "d")


def test_disabled_objects_and_documents_take_anything() -> None:
    assert mapped({"o": {"type": "object", "enabled": False}}, '{"o":{"a":[{"b":1}]},"o.x":1}').values == {}
    assert mapped({}, '{"a":{"b":1}}', enabled=False).values == {}
    with pytest.raises(DocumentParsingError, match="failed to parse"):
        mapped({"o": {"type": "object", "enabled": False}}, '{"o":{"a":1,"a":2}}')


def test_constant_keyword() -> None:
    properties = {"c": {"type": "constant_keyword", "value": "x"}}
    assert mapped(properties, "{}").values == {"k0": "x"}
    with pytest.raises(DocumentParsingError) as refused:
        mapped(properties, '{"c":"y"}')
    assert refused.value.caused_by is not None
    assert (
        "only accepts values that are equal to the value defined in the mappings [x]" in refused.value.caused_by.reason
    )
    first = mapped({"c": {"type": "constant_keyword"}}, '{"c":"z"}')
    assert first.dynamic == {"properties": {"c": {"type": "constant_keyword", "value": "z"}}}


@pytest.mark.parametrize(
    ("source", "reason", "cause"),
    [
        (
            '{"long":"abc"}',
            "[1:9] failed to parse field [long] of type [long] in document with id '1'. Preview of field's value: "
            "'abc'",
            'For input string: "abc"',
        ),
        (
            '{"long":\n [1, 99999999999999999999]}',
            "[2:6] failed to parse field [long] of type [long] in document with id '1'. Preview of field's value: "
            "'99999999999999999999'",
            "Numeric value (99999999999999999999) out of range of long (-9223372036854775808 - 9223372036854775807)",
        ),
        (
            '{"object":{"x":{"y":1}}}',
            "[1:16] failed to parse field [object.x] of type [keyword] in document with id '1'. Preview of field's "
            "value: '{y=1}'",
            "Can't get text on a START_OBJECT",
        ),
        (
            '{"date":"soon"}',
            "[1:9] failed to parse field [date] of type [date] in document with id '1'. Preview of field's value: "
            "'soon'",
            "failed to parse date field [soon] with format [strict_date_optional_time||epoch_millis]",
        ),
        (
            '{"boolean":"yes"}',
            "[1:12] failed to parse field [boolean] of type [boolean] in document with id '1'. Preview of field's "
            "value: 'yes'",
            "Failed to parse value [yes] as only [true] or [false] are allowed.",
        ),
        (
            '{"ip":"here"}',
            "[1:7] failed to parse field [ip] of type [ip] in document with id '1'. Preview of field's value: 'here'",
            "'here' is not an IP string literal.",
        ),
        (
            '{"object":5}',
            "[1:11] object mapping for [object] tried to parse field [object] as object, but found a concrete value",
            None,
        ),
        ('{"":1}', "[1:5] failed to parse", "field name cannot be an empty string"),
        (
            '{"a..b":1}',
            "[1:9] failed to parse",
            "field name cannot contain only whitespace: ['a..b']",
        ),
        (
            '{"long.x":1}',
            "[1:11] failed to parse",
            "Could not dynamically add mapping for field [long.x]. Existing mapping for [long] must be of type object "
            "but found [long].",
        ),
        (
            '{"_id":"1"}',
            "[1:8] Field [_id] is a metadata field and cannot be added inside a document. Use the index API request "
            "parameters.",
            None,
        ),
    ],
)
def test_refusals(source: str, reason: str, cause: str | None) -> None:
    with pytest.raises(DocumentParsingError) as refused:
        mapped(TYPES, source)
    assert refused.value.reason == reason
    assert (refused.value.caused_by.reason if refused.value.caused_by else None) == cause


def test_strict_mappings_name_the_field_and_its_place() -> None:
    with pytest.raises(StrictDynamicMappingError) as refused:
        mapped({"a": {"type": "long"}}, '{"a":1,"x":2}', dynamic="strict")
    assert (
        refused.value.reason == "[1:12] mapping set to strict, dynamic introduction of [x] within [_doc] is not allowed"
    )
    with pytest.raises(StrictDynamicMappingError, match=r"of \[y\] within \[o\] is not allowed"):
        mapped({"o": {"type": "object", "dynamic": "strict"}}, '{"o":{"y":1}}')


def test_nested_objects_are_counted() -> None:
    settings = {"index.mapping.nested_objects.limit": "2"}
    mapper = DocumentMapper(mapping_of({"n": {"type": "nested"}, "o": {"type": "object"}}, settings))
    assert mapper.map(b'{"n":[{},{}],"o":[{},{},{}]}').values == {}
    with pytest.raises(DocumentParsingError, match=r"nested documents has exceeded the allowed limit of \[2\]"):
        mapper.map(b'{"n":[{},{},{}]}')


def test_writing_to_an_alias_is_refused() -> None:
    with pytest.raises(DocumentParsingError) as refused:
        mapped({"n": {"type": "long"}, "a": {"type": "alias", "path": "n"}}, '{"a":1}')
    assert refused.value.caused_by is not None
    assert refused.value.caused_by.reason == "Cannot write to a field alias [a]."


def test_an_immense_term_is_refused() -> None:
    with pytest.raises(IllegalArgumentError, match='Document contains at least one immense term in field="k"'):
        mapped({"k": {"type": "keyword"}}, json.dumps({"k": "é" * 20_000}))


@pytest.mark.parametrize("depth", [100, 600, 2000])
@pytest.mark.parametrize("shape", [('{"a":', "1", "}"), ('{"x":[', "", "]}")])
def test_deep_documents_are_refused_not_fatal(depth: int, shape: tuple[str, str, str]) -> None:
    opening, middle, closing = shape
    if opening.startswith('{"x"'):
        source = '{"x":' + "[" * depth + "]" * depth + "}"
        if depth == 100:
            assert mapped({"x": {"type": "keyword"}}, source).values == {}
            return
    else:
        source = opening * depth + middle + closing * depth
    for properties in ({"x": {"type": "keyword"}}, {}):
        try:
            mapped(properties, source)
        except DocumentParsingError:
            continue


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["a", "b.c", "x", " "]), below, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*TYPES, "new", "object.x", "date.x"]), JSON, max_size=4))
def test_any_document_is_mapped_or_refused_with_a_400(source: dict[str, Any]) -> None:
    mapping = mapping_of(TYPES)
    data = json.dumps(source).encode()
    for _ in range(2):
        try:
            document = DocumentMapper(mapping).map(data, "1")
        except HanseError as refusal:
            if refusal.status != 400:
                raise
            return
        if document.dynamic is None:
            return
        mapping = mapping.merged(document.dynamic)
    raise AssertionError("a second mapping of the same document wanted more fields")


def test_new_fields_inside_nested_objects_keep_the_object_nested() -> None:
    mapping = mapping_of({"steps": {"type": "nested"}})
    document = DocumentMapper(mapping).map(b'{"steps":[{"name":"a"}]}')
    assert document.dynamic is not None
    assert document.dynamic["properties"]["steps"]["type"] == "nested"
    merged = mapping.merged(document.dynamic)
    assert merged.object_type("steps") == "nested"
    assert merged.field("steps.name") is not None
