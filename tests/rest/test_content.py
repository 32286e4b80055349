from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from hanse.rest.content import pretty_text, rendered, yaml_text
from hanse.rest.media_types import negotiate
from hanse.rest.request import RestResponse
from hanse.settings.elasticsearch_yml import load

PLAIN = negotiate(None, None)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=12,
)


def shown(response: RestResponse, accept: str | None = None, **parameters: str) -> tuple[str, str]:
    body, kind = rendered(response, parameters, negotiate(accept, None))
    return body.decode(), kind


def test_json_is_compact_and_rendered_bytes_are_spliced() -> None:
    response = RestResponse.json({"a": [1, True], "source": orjson.Fragment(b'{"n": 1.50}')})
    assert shown(response) == ('{"a":[1,true],"source":{"n": 1.50}}', "application/json")


def test_pretty_looks_as_people_know_it() -> None:
    response = RestResponse.json({"name": "x", "tags": ["a"], "none": {}, "nil": [], "n": {"m": None}})
    assert shown(response, pretty="")[0] == (
        '{\n  "name" : "x",\n  "tags" : [\n    "a"\n  ],\n'
        '  "none" : { },\n  "nil" : [ ],\n  "n" : {\n    "m" : null\n  }\n}\n'
    )
    assert shown(response, pretty="false")[0].startswith('{"name":"x"')


@given(json_values)
def test_pretty_says_the_same(value: Any) -> None:
    assert json.loads(pretty_text(value)) == value


def test_filter_path_keeps_long_integers() -> None:
    response = RestResponse.raw(b'{"a": 123456789012345678901234567890, "b": 1}')
    assert shown(response, filter_path="a")[0] == '{"a":123456789012345678901234567890}'


def test_yaml_by_parameter_and_by_header() -> None:
    response = RestResponse.json({"a": {"b": [1, {"c": "yes"}], "on": []}})
    text = '---\na:\n  b:\n    - 1\n    -\n      c: "yes"\n  "on": []\n'
    assert shown(response, format="yaml") == (text, "application/yaml")
    accept = "application/vnd.elasticsearch+yaml;compatible-with=9"
    assert shown(response, accept) == (text, accept)


def test_yaml_is_read_back(tmp_path: Any) -> None:
    (tmp_path / "elasticsearch.yml").write_text(yaml_text({"cluster": {"name": "a: b # c"}, "node.roles": ["data"]}))
    assert dict(load(tmp_path, {})) == {"cluster.name": "a: b # c", "node.roles": ["data"]}


def test_text_stays_text_and_follows_the_version() -> None:
    assert shown(RestResponse.text("a b\n")) == ("a b\n", "text/plain; charset=UTF-8")
    versioned = "text/vnd.elasticsearch+plain;compatible-with=9"
    assert shown(RestResponse.text("a\n"), versioned) == ("a\n", versioned)


def test_an_empty_answer_has_no_body() -> None:
    body, _ = rendered(RestResponse.empty(404), {}, PLAIN)
    assert body == b""
