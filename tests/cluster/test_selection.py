from __future__ import annotations

import pytest

from hanse.cluster.selection import selected_indices
from hanse.cluster.state import AliasMetadata, ClusterState, IndexMetadata
from hanse.errors import IndexNotFoundError
from hanse.transport.actions import IndicesOptions

STATE = ClusterState(
    "c",
    "u",
    indices={
        index.name: index
        for index in (
            IndexMetadata("a", "1", {}, aliases={"x": AliasMetadata()}),
            IndexMetadata("b", "2", {}, state="close"),
            IndexMetadata("h", "3", {"index.hidden": "true"}),
            IndexMetadata(".h", "4", {"index.hidden": "true"}),
        )
    },
)
CLOSED, HIDDEN = {"expand_closed": True}, {"expand_hidden": True}


@pytest.mark.parametrize(
    ("parts", "options", "found"),
    [
        ((), {}, ["a"]),
        (("_all",), CLOSED, ["a", "b"]),
        (("*",), {"expand_open": False, **CLOSED}, ["b"]),
        (("*",), {**CLOSED, **HIDDEN}, [".h", "a", "b", "h"]),
        ((".*",), {}, [".h"]),
        (("x",), {}, ["a"]),
        (("x*", "b"), {}, ["a", "b"]),
        (("h",), {}, ["h"]),
        (("none", "a"), {"ignore_unavailable": True}, ["a"]),
        (("none*",), {}, []),
    ],
)
def test_selected(parts: tuple[str, ...], options: dict[str, bool], found: list[str]) -> None:
    assert selected_indices(STATE, parts, IndicesOptions(**options)) == found


@pytest.mark.parametrize(("part", "options"), [("none", {}), ("none*", {"allow_no_indices": False})])
def test_missing(part: str, options: dict[str, bool]) -> None:
    with pytest.raises(IndexNotFoundError, match=rf"no such index \[{part.replace('*', '[*]')}\]"):
        selected_indices(STATE, (part,), IndicesOptions(**options))
