from __future__ import annotations

from hanse.cluster.state import AliasMetadata, ClusterState, IndexMetadata
from hanse.remote.resolve import resolve_local
from hanse.transport.actions import Target, Targets

STATE = ClusterState(
    "c",
    "u",
    indices={
        "b": IndexMetadata("b", "1", {"index.hidden": "true"}, state="close"),
        "a": IndexMetadata("a", "2", {}, aliases={"y": AliasMetadata(), "x": AliasMetadata()}),
        "c": IndexMetadata("c", "3", {}, aliases={"x": AliasMetadata()}),
    },
)


def resolved(*targets: Target) -> dict[str, object]:
    return resolve_local(STATE, Targets(targets))


def test_indices_bring_their_aliases() -> None:
    assert resolved(Target("c", name="c"), Target("b", name="b"), Target("a", name="a")) == {
        "indices": [
            {"name": "a", "attributes": ["open"], "aliases": ["x", "y"]},
            {"name": "b", "attributes": ["closed", "hidden"]},
            {"name": "c", "attributes": ["open"], "aliases": ["x"]},
        ],
        "aliases": [{"name": "x", "indices": ["a", "c"]}, {"name": "y", "indices": ["a"]}],
        "data_streams": [],
    }


def test_an_alias_asked_for_by_name_shows_no_index() -> None:
    answer = resolved(Target("a", name="x"), Target("c", name="x"))
    assert (answer["indices"], answer["aliases"]) == ([], [{"name": "x", "indices": ["a", "c"]}])


def test_what_was_deleted_meanwhile_is_left_out() -> None:
    assert resolved(Target("gone", name="gone"))["indices"] == []
