from __future__ import annotations

import msgspec
import pytest

from hanse.cluster.state import AliasMetadata, ClusterState, IndexMetadata
from hanse.errors import IndexNotFoundError

BOOKS = IndexMetadata("books", "u", {}, aliases={"a": AliasMetadata(is_hidden=True)})


def test_with_and_without_an_index() -> None:
    empty = ClusterState("c", "u")
    state = empty.with_index(BOOKS)
    assert (list(empty.indices), list(state.indices)) == ([], ["books"])
    assert state.with_index(BOOKS) is state
    assert state.without_index("books").indices == {}
    assert state.index("books") is BOOKS
    with pytest.raises(IndexNotFoundError):
        empty.index("books")


def test_customs_of_upper_rooms() -> None:
    state = ClusterState("c", "u").with_custom("x", {"n": 1}).with_custom("y", {})
    assert state.with_custom("x", None).customs == {"y": {}}
    assert state.with_custom("x", {"n": 2}).customs["x"] == {"n": 2}


@pytest.mark.parametrize(
    ("settings", "hidden", "follower"),
    [
        ({}, False, False),
        ({"index.hidden": "true"}, True, False),
        ({"index.xpack.ccr.following_index": "true"}, False, True),
    ],
)
def test_what_settings_say_of_an_index(settings: dict[str, str], hidden: bool, follower: bool) -> None:
    index = IndexMetadata("i", "u", dict(settings))
    assert (index.is_hidden, index.is_follower, index.is_open) == (hidden, follower, True)


def test_a_state_survives_being_written() -> None:
    state = ClusterState("c", "u", 7, persistent={"a": ["x"]}).with_index(BOOKS).with_custom("k", {"deep": [{}]})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=ClusterState) == state
