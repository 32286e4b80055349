"""The search room's requests, results and actions: what REST fills in, what crosses a cluster border, what merges.

A `SearchResult` is the unit of merging: every shard, every cluster and the final answer have this form; aggregations
are mergeable partials until `merge.render`. `json` of a hit is final and is never parsed again.
Tests: tests/search/test_request.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.settings.cluster_settings import MAX_BUCKETS
from hanse.transport.actions import Action, IndicesOptions, Lane, Scope

DEFAULT_SIZE = 10
DEFAULT_TRACK_TOTAL_HITS = 10_000


class SearchRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A search as asked: `body` is the JSON as received (empty means `{}`), the rest are URI parameters.

    A parameter wins over the same member of the body. `cluster_alias` and what follows it are set by the
    coordinator of a cross-cluster search. `fields_from_uri` members keep their URI form (comma-separated text).
    """

    indices: tuple[str, ...] = ()
    options: IndicesOptions = IndicesOptions()
    body: bytes = b""
    q: str | None = None
    df: str | None = None
    default_operator: str = "OR"
    analyzer: str | None = None
    analyze_wildcard: bool = False
    lenient: bool | None = None
    sort: str | None = None
    source: str | None = None
    source_includes: str | None = None
    source_excludes: str | None = None
    from_: int | None = None
    size: int | None = None
    track_total_hits: bool | int | None = None
    track_scores: bool | None = None
    version: bool | None = None
    seq_no_primary_term: bool | None = None
    stored_fields: str | None = None
    docvalue_fields: str | None = None
    terminate_after: int | None = None
    timeout: str | None = None
    min_score: float | None = None
    explain: bool | None = None
    search_type: str = "query_then_fetch"
    preference: str | None = None
    routing: str | None = None
    scroll: str | None = None
    allow_partial_search_results: bool | None = None
    ccs_minimize_roundtrips: bool = True
    batched_reduce_size: int = 512
    pre_filter_shard_size: int | None = None
    request_cache: bool | None = None
    typed_keys: bool = False
    total_hits_as_int: bool = False
    cluster_alias: str = ""
    final_reduce: bool = True
    now_ms: int | None = None
    shards_elsewhere: int = 0
    """How many shards of other nodes and clusters count with those here against `pre_filter_shard_size`."""
    may_skip_all: bool = False
    """Not even one shard has to run where none can match: another node's or cluster's may."""


class ShardFailure(msgspec.Struct, omit_defaults=True):
    """One shard that did not answer. `reason` is an error as JSON shows it; `status` the HTTP status it stands for."""

    shard: int
    index: str | None
    reason: dict[str, Any]
    node: str | None = None
    status: int = 500
    index_uuid: str | None = None


class Hit(msgspec.Struct, array_like=True, gc=False):
    """One hit, rendered. `sort` are comparable values (None is missing) in the order of the request's sort."""

    json: bytes
    score: float | None
    sort: tuple[Any, ...]
    index: str
    shard: int
    position: int
    """Rank within its shard: keeps the order of equal keys."""
    cluster: str = ""
    collapse: Any = None


class SearchResult(msgspec.Struct, omit_defaults=True):
    """The answer of one or many shards of one or many clusters. `total` is None when hits are not counted."""

    took_ms: int = 0
    timed_out: bool = False
    total_shards: int = 0
    successful: int = 0
    skipped: int = 0
    failed: int = 0
    failures: list[ShardFailure] = []
    total: int | None = 0
    relation: str = "eq"
    max_score: float | None = None
    hits: list[Hit] = []
    aggregations: dict[str, Any] | None = None
    aggregations_final: bool = False
    """True when `aggregations` is the finished JSON object instead of partials (a final reduce was done)."""
    suggest: dict[str, Any] | None = None
    profile: list[dict[str, Any]] | None = None
    terminated_early: bool | None = None
    num_reduce_phases: int = 1
    scroll_id: str | None = None
    pit_id: str | None = None
    clusters: dict[str, Any] | None = None
    """The `_clusters` section, when remote clusters took part."""
    max_buckets: int = MAX_BUCKETS.default
    """How many buckets the final answer may hold: the limit of the cluster that made this result."""
    sort_kinds: tuple[str, ...] = ()
    """Per sort key the kind of its values (long, double, string, ...); clusters that disagree cannot be merged."""


class ScrollRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    scroll_id: str
    scroll: str | None = None
    total_hits_as_int: bool = False


class ClearScrollRequest(msgspec.Struct, frozen=True):
    """Scroll ids to free; `("_all",)` frees all of the caller's."""

    scroll_ids: tuple[str, ...]


class ClearedContexts(msgspec.Struct, frozen=True):
    """REST answers 200 with `{"succeeded":..., "num_freed":...}`, and 404 when `num_freed` is 0."""

    succeeded: bool
    num_freed: int


class OpenPitRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...] = ()
    options: IndicesOptions = IndicesOptions()
    keep_alive: str = "1m"
    preference: str | None = None
    routing: str | None = None
    allow_partial_search_results: bool | None = None
    body: bytes = b""


class OpenPitResult(msgspec.Struct, frozen=True):
    id: str
    total_shards: int
    successful: int
    skipped: int = 0
    failed: int = 0


class ClosePitRequest(msgspec.Struct, frozen=True):
    id: str


class MultiSearchRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The searches of an `_msearch`, in order."""

    searches: tuple[SearchRequest, ...]
    max_concurrent_searches: int | None = None


class MultiSearchResult(msgspec.Struct):
    """Per search a `SearchResult` or the `HanseError` that it ended with (rendered by REST); never leaves the node."""

    responses: list[Any]
    took_ms: int = 0


class FieldCapsRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...] = ()
    options: IndicesOptions = IndicesOptions()
    fields: tuple[str, ...] = ()
    include_unmapped: bool = False
    index_filter: dict[str, Any] | None = None
    runtime_mappings: dict[str, Any] | None = None
    types: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    include_empty_fields: bool = True
    cluster_alias: str = ""
    now_ms: int | None = None


class FieldCapability(msgspec.Struct, frozen=True, array_like=True):
    """One field of one index."""

    type: str
    searchable: bool
    aggregatable: bool
    metadata_field: bool = False
    meta: dict[str, str] = {}


class FieldCapsResult(msgspec.Struct, omit_defaults=True):
    """Per index (with its cluster's prefix) the fields asked for; `field_caps.render` turns many into the answer."""

    indices: dict[str, dict[str, FieldCapability]] = {}
    failures: list[dict[str, Any]] = []
    """`{"indices": [...], "failure": {"error": {...}}}` as the answer shows them."""


class ValidateQueryRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...] = ()
    options: IndicesOptions = IndicesOptions()
    body: bytes = b""
    q: str | None = None
    df: str | None = None
    default_operator: str = "OR"
    analyzer: str | None = None
    analyze_wildcard: bool = False
    lenient: bool | None = None
    explain: bool = False
    rewrite: bool = False
    all_shards: bool = False


class JsonResult(msgspec.Struct, frozen=True):
    """An answer that is rendered already."""

    body: bytes
    status: int = 200


class ExplainRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...]
    id: str
    options: IndicesOptions = IndicesOptions()
    body: bytes = b""
    routing: str | None = None
    q: str | None = None
    df: str | None = None
    default_operator: str = "OR"
    analyzer: str | None = None
    analyze_wildcard: bool = False
    lenient: bool | None = None
    source: str | None = None
    source_includes: str | None = None
    source_excludes: str | None = None
    stored_fields: str | None = None


SEARCH = Action("indices:data/read/search", SearchRequest, SearchResult, Scope.INDEX, crosses=True)
"""Registered by remote/search.py, which calls `coordinate.search_local`."""
FIELD_CAPS = Action("indices:data/read/field_caps", FieldCapsRequest, FieldCapsResult, Scope.INDEX, crosses=True)
"""Registered by remote/search.py, which calls `field_caps.field_caps_local`."""
SCROLL = Action("indices:data/read/scroll", ScrollRequest, SearchResult, Scope.COMPOSITE)
CLEAR_SCROLL = Action("indices:data/read/scroll/clear", ClearScrollRequest, ClearedContexts, Scope.COMPOSITE)
OPEN_PIT = Action("indices:data/read/open_point_in_time", OpenPitRequest, OpenPitResult, Scope.INDEX)
CLOSE_PIT = Action("indices:data/read/close_point_in_time", ClosePitRequest, ClearedContexts, Scope.COMPOSITE)
MSEARCH = Action("indices:data/read/msearch", MultiSearchRequest, MultiSearchResult, Scope.COMPOSITE, Lane.INTERACTIVE)
VALIDATE_QUERY = Action("indices:admin/validate/query", ValidateQueryRequest, JsonResult, Scope.INDEX)
EXPLAIN = Action("indices:data/read/explain", ExplainRequest, JsonResult, Scope.INDEX)
