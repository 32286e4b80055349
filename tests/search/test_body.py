"""The search body: strict members, the URI folded in, what is refused with which words."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from hanse.errors import ActionRequestValidationError, HanseError, IllegalArgumentError, JsonParseError, ParsingError
from hanse.search.body import parse_request
from hanse.search.request import SearchRequest


def parsed(body: Any = None, **parameters: Any) -> Any:
    raw = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
    return parse_request(SearchRequest(body=raw, **parameters))


def test_an_empty_body_has_elasticsearchs_defaults() -> None:
    body = parsed()
    assert (body.query, body.from_, body.size, body.counted_up_to, body.sort) == (None, 0, 10, 10_000, ())


def test_parameters_win_over_the_body() -> None:
    body = parsed({"size": 3, "query": {"match_all": {}}}, size=7, q="x:y", sort="a:desc,b", track_total_hits=True)
    assert body.size == 7
    assert body.query == {"query_string": {"query": "x:y", "default_operator": "OR", "analyze_wildcard": False}}
    assert [(key.field, key.descending) for key in body.sort] == [("a", True), ("b", False)]
    assert body.counted_up_to is None


def test_source_parameters() -> None:
    assert parsed(source="false").source.enabled is False
    assert parsed(source="a,b*").source.includes == ("a", "b*")
    both = parsed({"_source": False}, source_includes="a", source_excludes="b,c").source
    assert (both.enabled, both.includes, both.excludes) == (True, ("a",), ("b", "c"))


@pytest.mark.parametrize(
    ("body", "error", "reason"),
    [
        ({"foo": {}}, ParsingError, "Unknown key for a START_OBJECT in [foo]."),
        ({"foo": 1}, ParsingError, "Unknown key for a VALUE_NUMBER in [foo]."),
        ({"query": "x"}, ParsingError, "Unknown key for a VALUE_STRING in [query]."),
        ({"size": -1}, IllegalArgumentError, "[size] parameter cannot be negative, found [-1]"),
        ({"from": -2}, IllegalArgumentError, "[from] parameter cannot be negative but was [-2]"),
        (
            {"track_total_hits": -2},
            IllegalArgumentError,
            "[track_total_hits] parameter must be positive or equals to -1, got -2",
        ),
        ({"search_after": [1]}, IllegalArgumentError, "Sort must contain at least one field."),
        ({"sort": ["_score"], "search_after": [1]}, IllegalArgumentError, "Sort must contain at least one field."),
        ({"sort": ["a"], "search_after": [1, 2]}, IllegalArgumentError, "search_after has 2 value(s) but sort has 1."),
        ({"script_fields": {"x": {}}}, IllegalArgumentError, "[script_fields] is not supported"),
        (
            {"version": "maybe"},
            IllegalArgumentError,
            "Failed to parse value [maybe] as only [true] or [false] are allowed.",
        ),
        ([], ParsingError, "Expected [START_OBJECT] but found [START_ARRAY]"),
        (
            {"sort": ["a"], "search_after": [1], "from": 3},
            ActionRequestValidationError,
            "Validation Failed: 1: [from] parameter must be set to 0 when [search_after] is used;",
        ),
    ],
)
def test_what_is_refused(body: Any, error: type[HanseError], reason: str) -> None:
    with pytest.raises(error) as refused:
        parsed(body)
    assert (refused.value.reason, refused.value.status) == (reason, 400)


def test_errors_name_the_place() -> None:
    with pytest.raises(ParsingError) as refused:
        parsed(b'{\n  "size": 1,\n  "foo": {}\n}')
    assert refused.value.metadata == {"line": 3, "col": 10}


def test_malformed_json() -> None:
    with pytest.raises(JsonParseError):
        parsed(b'{"query": {')


def test_what_scrolls_do_not_allow() -> None:
    with pytest.raises(ActionRequestValidationError) as refused:
        parsed({"from": 1, "size": 0, "track_total_hits": False}, scroll="1m")
    assert refused.value.reason == (
        "Validation Failed: 1: disabling [track_total_hits] is not allowed in a scroll context;2: using [from] is not "
        "allowed in a scroll context;3: [size] cannot be [0] in a scroll context;"
    )


def test_equal_requests_share_their_parsed_body() -> None:
    assert parsed({"size": 4}) is parsed({"size": 4})
    assert parse_request(SearchRequest(body=b'{"size":4}', now_ms=5)) is parse_request(
        SearchRequest(body=b'{"size":4}')
    )
