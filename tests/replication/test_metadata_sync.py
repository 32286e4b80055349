from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hanse.cluster.state import IndexMetadata
from hanse.errors import IllegalArgumentError
from hanse.replication.loop import Versions
from hanse.replication.metadata_sync import is_free, new_follower, overrides_of, synced, versions_of
from hanse.replication.requests import LeaderMetadata

LEADER = LeaderMetadata(
    name="books",
    uuid="leader-uuid",
    state="open",
    mappings={"properties": {"t": {"type": "text"}}},
    settings={
        "index.number_of_shards": "2",
        "index.number_of_replicas": "3",
        "index.uuid": "leader-uuid",
        "index.creation_date": "5",
        "index.provided_name": "books",
        "index.version.created": "8019000",
        "index.analysis.analyzer.own.type": "keyword",
    },
    aliases={"library": {"is_write_index": True, "index_routing": "r"}},
    number_of_shards=2,
    mapping_version=4,
    settings_version=5,
    aliases_version=6,
)


def follower(**overrides: Any) -> IndexMetadata:
    return new_follower("copy", LEADER, overrides_of(overrides), {"status": "active"}, 9)


def test_a_follower_is_the_leader_under_an_identity_of_its_own() -> None:
    copy = follower()
    assert (copy.number_of_shards, copy.primary_terms, copy.is_follower) == (2, (1, 1), True)
    assert copy.settings["index.uuid"] == copy.uuid != "leader-uuid"
    assert (copy.settings["index.provided_name"], copy.settings["index.creation_date"]) == ("copy", "9")
    assert copy.settings["index.version.created"] == "8019000"
    assert copy.settings["index.analysis.analyzer.own.type"] == "keyword"
    assert copy.mappings == LEADER.mappings
    assert copy.custom == {"ccr": {"status": "active"}}


def test_an_alias_of_a_follower_takes_no_writes() -> None:
    alias = follower().aliases["library"]
    assert (alias.index_routing, alias.is_write_index) == ("r", None)


def test_a_backing_index_that_keeps_its_name_is_of_the_stream_and_no_leader_changes_that_later() -> None:
    aliases = {"logs": {"is_write_index": True}, "library": {"is_write_index": True}}
    leader = msgspec.structs.replace(LEADER, name=".ds-logs-1", data_stream="logs", aliases=aliases)
    copy = new_follower(".ds-logs-1", leader, {}, {"status": "active"}, 9)
    assert copy.data_stream == "logs"
    assert (copy.aliases["logs"].is_write_index, copy.aliases["library"].is_write_index) == (True, None)
    elsewhere = msgspec.structs.replace(leader, data_stream="other", aliases={"other": {"is_write_index": True}})
    moved = synced(copy, elsewhere)
    assert (moved.data_stream, dict(moved.aliases)) == ("logs", {})
    renamed = new_follower("copy", leader, {}, {"status": "active"}, 9)
    assert (renamed.data_stream, list(renamed.aliases)) == ("", ["library"])


def test_what_a_follower_may_choose() -> None:
    copy = follower(index={"number_of_replicas": 0, "refresh_interval": "9s"})
    assert (copy.number_of_replicas, copy.settings["index.refresh_interval"]) == (0, "9s")
    assert synced(copy, LEADER) is copy


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"number_of_shards": 3}, 'could override leader settings {"index.number_of_shards":"3"}'),
        ({"number_of_shards": 3, "hidden": True}, '{"index.hidden":"true","index.number_of_shards":"3"}'),
        ({"nothing": 1}, "unknown setting [index.nothing]"),
        ({"nothing": 1, "none": 2}, "unknown settings [index.none,index.nothing]"),
        ({"refresh_interval": "soon"}, "refresh_interval"),
    ],
)
def test_what_it_may_not(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(IllegalArgumentError) as raised:
        overrides_of(settings)
    assert reason in raised.value.reason


@pytest.mark.parametrize(
    ("key", "free"),
    [
        ("index.number_of_replicas", True),
        ("index.blocks.write", True),
        ("index.routing.allocation.include._tier", True),
        ("index.number_of_shards", False),
        ("index.number_of_replicas_", False),
        ("index.analysis.analyzer.own.type", False),
    ],
)
def test_free_settings(key: str, free: bool) -> None:
    assert is_free(key) is free


def test_a_sync_raises_the_versions_of_what_changed() -> None:
    copy = follower()
    changed = msgspec.structs.replace(
        LEADER,
        mappings={"properties": {"t": {"type": "text"}, "n": {"type": "long"}}},
        settings={**LEADER.settings, "index.hidden": "true", "index.number_of_replicas": "9"},
        aliases={},
    )
    new = synced(copy, changed)
    assert set(new.mappings["properties"]) == {"t", "n"}
    assert (new.is_hidden, new.number_of_replicas, new.aliases) == (True, 3, {})
    raised = (
        new.mapping_version - copy.mapping_version,
        new.settings_version - copy.settings_version,
        new.aliases_version - copy.aliases_version,
    )
    assert raised == (1, 1, 1)
    assert versions_of(changed) == Versions(4, 5, 6)
