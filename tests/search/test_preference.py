"""Every form of a preference, and what is none."""

from __future__ import annotations

import pytest

from hanse.cluster.state import NodeMetadata
from hanse.errors import IllegalArgumentError
from hanse.search.preference import NONE, Preference, parse_preference

CRANE = NodeMetadata("n1", "crane", "10.0.0.1:9300", "10.0.0.1:9200")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, NONE),
        ("", NONE),
        ("_shards:0,2", NONE),
        ("_local", Preference("_local")),
        ("_shards:1|_only_local", Preference("_only_local")),
        ("_only_nodes:a*,b", Preference("_only_nodes", ("a*", "b"))),
        ("_prefer_nodes:a", Preference("_prefer_nodes", ("a",))),
        ("session 1", Preference("custom", text="session 1")),
        ("_shards:1|session 1", Preference("custom", text="session 1")),
    ],
)
def test_forms(text: str | None, expected: Preference) -> None:
    assert parse_preference(text) == expected


@pytest.mark.parametrize("text", ["_primary", "_local:x", "_only_nodes", "_prefer_nodes:", "_shards:1|_replica"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(IllegalArgumentError, match=r"no Preference for \[_"):
        parse_preference(text)


@pytest.mark.parametrize("name", ["n1", "crane", "cr*", "10.0.0.1", "10.0.0.1:9300", "10.0.*"])
def test_a_node_is_named_by_id_name_and_address(name: str) -> None:
    assert Preference("_only_nodes", ("other", name)).names("n1", CRANE)


def test_other_names_are_not_its_own() -> None:
    assert not Preference("_only_nodes", ("n2", "crab", "10.0.0.2")).names("n1", CRANE)
    assert not Preference("_only_nodes", ("crane",)).names("n1", None)
