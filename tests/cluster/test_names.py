from __future__ import annotations

import msgspec

from hanse.cluster.names import ClusterNames
from hanse.cluster.state import AliasMetadata, ClusterState, IndexMetadata


class Holder:
    def __init__(self) -> None:
        self.state = ClusterState("harbour", "u")

    def put(self, index: IndexMetadata) -> None:
        self.state = self.state.with_index(index)


def test_names_and_aliases_follow_the_state() -> None:
    holder = Holder()
    names = ClusterNames(lambda: holder.state)
    assert names.concrete() == {}
    holder.put(IndexMetadata("a", "u1", {"index.hidden": "true"}, aliases={"x": AliasMetadata(filter={"term": {}})}))
    holder.put(IndexMetadata("b", "u2", {}, aliases={"x": AliasMetadata(is_write_index=True)}, state="close"))
    assert (names.concrete()["a"].is_hidden, names.concrete()["b"].is_open) == (True, False)
    first, second = names.aliases()["x"]
    assert (first.index, first.filter) == ("a", {"term": {}})
    assert (second.index, second.is_write_index) == ("b", True)


def test_the_version_rises_only_with_names() -> None:
    holder = Holder()
    names = ClusterNames(lambda: holder.state)
    index = IndexMetadata("a", "u1", {})
    holder.put(index)
    version = names.version
    holder.put(msgspec.structs.replace(index, mappings={"properties": {}}, mapping_version=2))
    assert names.version == version
    for change in (
        {"state": "close"},
        {"aliases": {"x": AliasMetadata()}},
        {"settings": {"index.hidden": "true"}},
        {"uuid": "u2"},
    ):
        holder.put(msgspec.structs.replace(holder.state.indices["a"], **change))
        assert names.version == version + 1
        version += 1
    holder.state = holder.state.without_index("a")
    assert names.version == version + 1
    assert names.concrete() == {}
