from __future__ import annotations

from typing import Any

import pytest

from hanse.cluster.state import AliasMetadata
from hanse.errors import HanseError, MapperParsingError
from hanse.index.administration.bodies import alias_json, alias_of, mappings_of, parse_aliases, settings_of


@pytest.mark.parametrize(
    ("raw", "flat"),
    [
        (None, {}),
        ({"a": {"b": 1, "c": True}}, {"index.a.b": "1", "index.a.c": "true"}),
        ({"index": {"a": [1, "x"]}}, {"index.a": ["1", "x"]}),
        ({"index.a": None}, {"index.a": None}),
    ],
)
def test_settings_become_flat_text(raw: Any, flat: dict[str, Any]) -> None:
    assert settings_of(raw) == flat


def test_an_alias_shows_only_what_is_set() -> None:
    assert alias_json(alias_of("a", {"routing": "r", "search_routing": "s", "filter": {}})) == {
        "index_routing": "r",
        "search_routing": "s",
    }
    assert alias_json(AliasMetadata(is_hidden=False)) == {"is_hidden": False}
    assert parse_aliases({"a": {}, "b": {"is_hidden": True}})["b"].is_hidden


@pytest.mark.parametrize("name", ["", "a,b", "_a", "a#b", "a*"])
def test_alias_names_are_checked(name: str) -> None:
    with pytest.raises(HanseError, match="Invalid alias name"):
        alias_of(name, {})


def test_types_are_refused_and_doc_is_taken_off() -> None:
    assert mappings_of({"_doc": {"dynamic": False}}) == {"dynamic": False}
    assert mappings_of(None) == {}
    with pytest.raises(MapperParsingError, match=r"unsupported parameters:  \[book : \{properties=\{\}\}\]"):
        mappings_of({"book": {"properties": {}}})
