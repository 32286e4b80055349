"""What a follower takes over from its leader beside documents: settings, mappings, aliases.

Pure functions over IndexMetadata. Tests: tests/replication/test_metadata_sync.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hanse.cluster.state import IndexMetadata
from hanse.cluster.uuids import new_uuid
from hanse.errors import IllegalArgumentError
from hanse.index import settings as index_settings
from hanse.index.administration.bodies import alias_of, settings_of
from hanse.index.administration.create import replaced
from hanse.index.administration.properties import with_mapping
from hanse.replication.loop import Versions
from hanse.replication.requests import LeaderMetadata
from hanse.settings.registry import RawValue

FOLLOWING = "index.xpack.ccr.following_index"
_PRIVATE = ("index.uuid", "index.creation_date", "index.provided_name", "index.version.created", FOLLOWING)
_FREE = (
    "index.number_of_replicas",
    "index.auto_expand_replicas",
    "index.routing.allocation.",
    "index.routing.rebalance.enable",
    "index.blocks.",
    "index.priority",
    "index.write.wait_for_active_shards",
    "index.allocation.max_retries",
    "index.unassigned.node_left.delayed_timeout",
    "index.max_result_window",
    "index.warmer",
    "index.refresh_interval",
    "index.max_rescore_window",
    "index.max_inner_result_window",
    "index.query.default_field",
    "index.query_string.",
    "index.search.idle.after",
    "index.soft_deletes.retention.operations",
    "index.soft_deletes.retention_lease.period",
    "index.max_script_fields",
    "index.max_regex_length",
    "index.max_terms_count",
    "index.highlight.max_analyzed_offset",
    "index.max_docvalue_fields_search",
    "index.analyze.max_token_count",
    "index.max_slices_per_scroll",
    "index.max_adjacency_matrix_filters",
    "index.default_pipeline",
    "index.search.throttled",
    "index.translog.",
    "index.gc_deletes",
    "index.max_refresh_listeners",
    "index.requests.cache.enable",
    "index.load_fixed_bitset_filters_eagerly",
    "index.search.slowlog.",
    "index.indexing.slowlog.",
    "index.compound_format",
    "index.merge.",
    "index.codec",
)
"""Settings a follower may differ in (spec: ccr.md §5). A dot at the end stands for all below."""


def is_free(key: str) -> bool:
    return any(key.startswith(free) if free.endswith(".") else key == free for free in _FREE)


def replicated_settings(settings: Mapping[str, RawValue]) -> dict[str, RawValue]:
    return {key: value for key, value in settings.items() if not is_free(key) and key not in _PRIVATE}


def overrides_of(body: Any) -> dict[str, RawValue]:
    """The `settings` of a follow body: only what a follower may choose. Raises IllegalArgumentError."""
    given = {key: value for key, value in settings_of(body).items() if value is not None}
    unknown = sorted(key for key in given if index_settings.find(key) is None)
    if unknown:
        plural = "settings" if len(unknown) > 1 else "setting"
        raise IllegalArgumentError(f"unknown {plural} [{','.join(unknown)}]")
    forbidden = {key: value for key, value in sorted(given.items()) if not is_free(key)}
    if forbidden:
        shown = msgspec.json.encode(forbidden).decode()
        raise IllegalArgumentError(f"can not put follower index that could override leader settings {shown}")
    index_settings.check_new(given)
    return given


def new_follower(
    name: str, leader: LeaderMetadata, overrides: Mapping[str, RawValue], custom: dict[str, Any], now_ms: int
) -> IndexMetadata:
    """A follower's metadata: the leader's mappings, settings and aliases under an identity of its own."""
    uuid = new_uuid()
    taken = {key: value for key, value in leader.settings.items() if key not in _PRIVATE}
    settings: dict[str, RawValue] = {
        **taken,
        **overrides,
        FOLLOWING: "true",
        "index.uuid": uuid,
        "index.creation_date": str(now_ms),
        "index.provided_name": name,
        "index.version.created": leader.settings.get("index.version.created", "9009000"),
    }
    replicas = int(str(settings.get("index.number_of_replicas", "1")))
    index = IndexMetadata(
        name=name,
        uuid=uuid,
        settings=settings,
        number_of_shards=leader.number_of_shards,
        number_of_replicas=replicas,
        creation_date_ms=now_ms,
        primary_terms=(1,) * leader.number_of_shards,
        custom={"ccr": custom},
        # Said once, when somebody follows: a leader cannot put itself behind another stream later.
        data_stream=leader.data_stream if name == leader.name else "",
    )
    return synced(index, leader)


def synced(index: IndexMetadata, leader: LeaderMetadata) -> IndexMetadata:
    """The follower with the leader's settings, then mappings, then aliases. Keys the leader removed stay."""
    settings = {**index.settings, **replicated_settings(leader.settings)}
    if settings != index.settings:
        index = replaced(index, settings=settings, settings_version=index.settings_version + 1)
    if leader.mappings:
        index = with_mapping(index, leader.mappings)
    aliases = {
        name: alias_of(name, body if name == index.data_stream else {**body, "is_write_index": None})
        for name, body in leader.aliases.items()
        if name == index.data_stream or name != leader.data_stream
    }
    if aliases != index.aliases:
        index = replaced(index, aliases=aliases, aliases_version=index.aliases_version + 1)
    return index


def versions_of(leader: LeaderMetadata) -> Versions:
    return Versions(leader.mapping_version, leader.settings_version, leader.aliases_version)
