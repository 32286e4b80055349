"""Index settings: every `index.*` name Hanse knows, with type, default and scope.

Settings that steer machinery Hanse does not have (merge policies, translog) are accepted, checked and kept, so that
templates and runbooks work; `docs/settings.md` says which have no effect. Tests: tests/index/test_settings.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanse.errors import IllegalArgumentError
from hanse.settings.allocation_settings import INDEX_ALLOCATION_SETTINGS
from hanse.settings.registry import (
    RawValue,
    Scope,
    Setting,
    SettingsRegistry,
    boolean,
    choice,
    integer,
    optional_string,
    string,
    strings,
    time_s,
)

_FIXED = Scope.INDEX | Scope.FINAL
_STATIC = Scope.INDEX | Scope.STATIC
_DYNAMIC = Scope.INDEX | Scope.DYNAMIC


def _values(key: str, scope: Scope, help: str) -> Setting[RawValue | None]:
    """One value or a list of them; whoever uses it judges what it says."""
    return Setting(key, lambda raw, name: raw, None, scope, help)


NUMBER_OF_SHARDS = integer("index.number_of_shards", 1, _FIXED, "Primary shards, fixed at creation.", min=1, max=1024)
NUMBER_OF_REPLICAS = integer("index.number_of_replicas", 1, _DYNAMIC, "Copies beside each primary.", min=0)
REFRESH_INTERVAL = time_s(
    "index.refresh_interval", 1.0, _DYNAMIC, "How soon writes become searchable; -1 turns it off."
)
MAX_RESULT_WINDOW = integer("index.max_result_window", 10_000, _DYNAMIC, "The most from + size may be.", min=1)
WAIT_FOR_ACTIVE_SHARDS = string(
    "index.write.wait_for_active_shards", "1", _DYNAMIC, "Copies that must be active before a write; all: every one."
)
HIDDEN = boolean("index.hidden", False, _DYNAMIC, "Hidden from wildcards.")
FOLLOWING = boolean(
    "index.xpack.ccr.following_index", False, Scope.INDEX, "A follower; set by follow and unfollow only."
)
RETENTION_LEASE_PERIOD = time_s(
    "index.soft_deletes.retention_lease.period",
    43_200.0,
    _DYNAMIC,
    "Accepted for compatibility: leases of followers do not expire here.",
)

BLOCKS = ("read_only", "read", "write", "metadata", "read_only_allow_delete")

INDEX_SETTINGS: list[Setting[Any]] = [
    NUMBER_OF_SHARDS,
    NUMBER_OF_REPLICAS,
    REFRESH_INTERVAL,
    MAX_RESULT_WINDOW,
    HIDDEN,
    FOLLOWING,
    RETENTION_LEASE_PERIOD,
    *INDEX_ALLOCATION_SETTINGS,
    integer("index.number_of_routing_shards", 1024, _FIXED, "Hash ring size for routing.", min=1, max=1024),
    boolean("index.soft_deletes.enabled", True, _FIXED, "Always on: the change feed is how everything replicates."),
    integer("index.soft_deletes.retention.operations", 0, _DYNAMIC, "Accepted for compatibility.", min=0),
    choice("index.codec", "default", ("default", "best_compression", "legacy_default"), _STATIC, "Kept, no effect."),
    optional_string("index.default_pipeline", _DYNAMIC, "Only _none."),
    optional_string("index.final_pipeline", _DYNAMIC, "Only _none."),
    _values("index.routing.allocation.*", _DYNAMIC, "Kept."),
    optional_string("index.lifecycle.*", _DYNAMIC, "Kept, no effect."),
    integer("index.priority", 1, _DYNAMIC, "Recovery order.", min=0),
    integer("index.max_inner_result_window", 100, _DYNAMIC, "Limit.", min=1),
    integer("index.max_rescore_window", 10_000, _DYNAMIC, "Limit.", min=1),
    integer("index.max_docvalue_fields_search", 100, _DYNAMIC, "Limit.", min=0),
    integer("index.max_script_fields", 32, _DYNAMIC, "Limit.", min=0),
    integer("index.max_ngram_diff", 1, _DYNAMIC, "Limit.", min=0),
    integer("index.max_shingle_diff", 3, _DYNAMIC, "Limit.", min=0),
    integer("index.max_terms_count", 65_536, _DYNAMIC, "Limit.", min=1),
    integer("index.max_regex_length", 1000, _DYNAMIC, "Limit.", min=1),
    integer("index.max_refresh_listeners", 1000, _DYNAMIC, "Limit.", min=0),
    integer("index.max_slices_per_scroll", 1024, _DYNAMIC, "Limit.", min=1),
    integer("index.max_adjacency_matrix_filters", 100, _DYNAMIC, "Limit.", min=2),
    integer("index.highlight.max_analyzed_offset", 1_000_000, _DYNAMIC, "Limit.", min=1),
    integer("index.analyze.max_token_count", 10_000, _DYNAMIC, "Limit.", min=1),
    strings("index.query.default_field", _DYNAMIC, "Fields a query without field names searches.", ("*",)),
    optional_string("index.query_string.*", _DYNAMIC, "Kept."),
    _values("index.analysis.*", _STATIC, "Analyzers, tokenizers, filters and normalizers of the index."),
    _values("index.similarity.*", _STATIC, "Kept; BM25 with k1 1.2 and b 0.75 is used."),
    integer("index.routing_partition_size", 1, _FIXED, "Only 1.", min=1, max=1),
    _values("index.routing_path", _STATIC, "Kept."),
    optional_string("index.allocation.*", _DYNAMIC, "Kept."),
    time_s("index.gc_deletes", 60.0, _DYNAMIC, "Kept; tombstones live until every follower has passed them."),
    time_s("index.search.idle.after", 30.0, _DYNAMIC, "Kept."),
    boolean("index.search.throttled", False, Scope.INDEX, "Kept."),
    boolean("index.requests.cache.enable", True, _DYNAMIC, "Kept."),
    boolean("index.load_fixed_bitset_filters_eagerly", True, _STATIC, "Kept."),
    boolean("index.compound_format", True, _DYNAMIC, "Kept."),
    boolean("index.warmer.enabled", True, _DYNAMIC, "Kept."),
    WAIT_FOR_ACTIVE_SHARDS,
    optional_string("index.translog.*", _DYNAMIC, "Kept; every write is on disk before it is acknowledged."),
    optional_string("index.merge.*", _DYNAMIC, "Kept."),
    _values("index.store.*", _STATIC, "Kept."),
    _values("index.sort.*", _STATIC, "Kept."),
    optional_string("index.search.slowlog.*", _DYNAMIC, "Kept."),
    optional_string("index.indexing.slowlog.*", _DYNAMIC, "Kept."),
    choice("index.shard.check_on_startup", "false", ("false", "true", "checksum"), _STATIC, "Kept."),
    choice("index.mode", "standard", ("standard",), _STATIC, "Only standard."),
    integer("index.mapping.total_fields.limit", 1000, _DYNAMIC, "The most fields a mapping may hold.", min=0),
    boolean("index.mapping.total_fields.ignore_dynamic_beyond_limit", False, _DYNAMIC, "Kept."),
    integer("index.mapping.depth.limit", 20, _DYNAMIC, "How deep objects may nest.", min=1),
    integer("index.mapping.nested_fields.limit", 100, _DYNAMIC, "The most nested fields.", min=0),
    integer("index.mapping.nested_parent.limit", 50, _DYNAMIC, "The most nested parents.", min=0),
    integer(
        "index.mapping.nested_objects.limit", 10_000, _DYNAMIC, "The most nested objects a document may hold.", min=0
    ),
    integer("index.mapping.field_name_length.limit", 2**31 - 1, _DYNAMIC, "The longest field name.", min=1),
    integer("index.mapping.dimension_fields.limit", 32_768, _DYNAMIC, "Kept.", min=0),
    boolean("index.mapping.coerce", True, _STATIC, "Turns strings into numbers."),
    boolean("index.mapping.ignore_malformed", False, _STATIC, "Keeps a document whose field cannot be parsed."),
    optional_string("index.mapping.source.mode", _STATIC, "Only stored."),
    *(boolean(f"index.blocks.{name}", False, _DYNAMIC, "Block.") for name in BLOCKS),
]

_REGISTRY = SettingsRegistry(INDEX_SETTINGS)
_PRIVATE = (
    "index.uuid",
    "index.creation_date",
    "index.creation_date_string",
    "index.provided_name",
    "index.version.created",
    "index.version.created_string",
    "index.xpack.ccr.following_index",
)


def find(key: str) -> Setting[Any] | None:
    return _REGISTRY.find(key)


def with_prefix(flat: Mapping[str, RawValue | None]) -> dict[str, RawValue | None]:
    """API bodies may leave the `index.` out."""
    return {key if key.startswith("index.") or key == "*" else f"index.{key}": value for key, value in flat.items()}


def check_new(values: Mapping[str, RawValue | None]) -> None:
    """Settings of an index to be created. Raises IllegalArgumentError."""
    for key, value in values.items():
        setting = _settable(key, f"private index setting [{key}] can not be set explicitly")
        if value is not None:
            setting.parse(value, key)
    if values.get("index.soft_deletes.enabled") == "false":
        raise IllegalArgumentError(
            "Creating indices with soft-deletes disabled is no longer supported. Please do not specify a value for "
            "setting [index.soft_deletes.enabled]."
        )


def needs_closed(values: Mapping[str, RawValue | None]) -> bool:
    """Whether a change holds a static setting, which an open index refuses."""
    return any(
        (setting := find(key)) is not None and not setting.scope & (Scope.DYNAMIC | Scope.FINAL) for key in values
    )


def check_update(index: str, uuid: str, is_open: bool, values: Mapping[str, RawValue | None]) -> None:
    """A change of an existing index' settings; static ones need it closed. Raises IllegalArgumentError."""
    static = []
    for key, value in values.items():
        private = f"can not update private setting [{key}]; this setting is managed by Elasticsearch"
        setting = _settable(key, private)
        if Scope.FINAL & setting.scope:
            raise IllegalArgumentError(f"final {index} setting [{key}], not updateable")
        if Scope.DYNAMIC & setting.scope or not is_open:
            if value is not None:
                setting.parse(value, key)
        else:
            static.append(key)
    if static:
        raise IllegalArgumentError(
            f"Can't update non dynamic settings [[{', '.join(sorted(static))}]] for open indices [[{index}/{uuid}]]"
        )


def _settable(key: str, private: str) -> Setting[Any]:
    """The setting with this name. Raises IllegalArgumentError for an unknown one and, with `private`, for our own."""
    if key == FOLLOWING.key:
        raise IllegalArgumentError(
            f"can not update internal setting [{key}]; this setting is managed via a dedicated API"
        )
    if key in _PRIVATE:
        raise IllegalArgumentError(private)
    setting = find(key)
    if setting is None:
        raise IllegalArgumentError(
            f"unknown setting [{key}] please check that any required plugins are installed, or check the breaking "
            f"changes documentation for removed settings"
        )
    return setting


def default_texts() -> dict[str, RawValue]:
    """Defaults as `include_defaults` shows them."""
    return {s.key: s.default_text for s in _REGISTRY.all() if s.default_text is not None and "*" not in s.key}
