"""The search body, parsed strictly and without knowing any index; parsed bodies are cached by their bytes.

URI parameters are folded in: they win over the same member of the body. What only an index can judge (fields, queries)
is judged when the plan is bound to it. Tests: tests/search/test_body.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from hanse.errors import ActionRequestValidationError, HanseError, IllegalArgumentError, ParsingError
from hanse.search.aggregation import AggregationPlan, parse_aggregations
from hanse.search.field_selection import FieldRequest, SourceFilter, parse_fields, parse_source
from hanse.search.json_input import as_bool, as_float, as_int, as_strings, as_text, load_object, place_of, token_of
from hanse.search.parameters import track_total_hits
from hanse.search.pit_id import parts_of
from hanse.search.request import (
    DEFAULT_SIZE,
    DEFAULT_TRACK_TOTAL_HITS,
    ExplainRequest,
    SearchRequest,
    ValidateQueryRequest,
)
from hanse.search.sort import SHARD_DOC, SortKey, parse_sort, parse_uri_sort
from hanse.settings.units import parse_time_s

PARSED_BODIES_MAX = 2048
PARSED_BODY_BYTES_MAX = 16_384


@dataclass(slots=True)
class SearchBody:
    """Everything a search asks for. `plans` caches what each index made of it; owned by `plan.py`."""

    query: dict[str, Any] | None = None
    post_filter: dict[str, Any] | None = None
    from_: int = 0
    size: int = DEFAULT_SIZE
    sort: tuple[SortKey, ...] = ()
    search_after: list[Any] | None = None
    track_total_hits: bool | int = DEFAULT_TRACK_TOTAL_HITS
    track_scores: bool = False
    min_score: float | None = None
    source: SourceFilter | None = None
    fields: tuple[FieldRequest, ...] = ()
    docvalue_fields: tuple[FieldRequest, ...] = ()
    stored_fields: tuple[str, ...] | None = None
    highlight: dict[str, Any] | None = None
    aggregations: AggregationPlan | None = None
    collapse: dict[str, Any] | None = None
    rescore: list[dict[str, Any]] = field(default_factory=list)
    pit_id: str | None = None
    pit_keep_alive: str | None = None
    slice: tuple[int, int] | None = None
    indices_boost: list[tuple[str, float]] = field(default_factory=list)
    explain: bool = False
    version: bool = False
    seq_no_primary_term: bool = False
    profile: bool = False
    timeout_s: float | None = None
    terminate_after: int = 0
    named_query_scores: bool = False
    stats_groups: tuple[str, ...] = ()
    """Names under which the shards count this search, for `_stats?groups=`."""
    hidden_keys: int = 0
    """Sort keys at the end that only make the order unique and are not shown."""
    after_is_raw: bool = False
    """`search_after` holds values as columns have them, not as hits show them."""
    plans: dict[Any, Any] = field(default_factory=dict)

    @property
    def counted_up_to(self) -> int | None:
        """How far hits are counted: None exactly, 0 not at all."""
        if self.track_total_hits is True:
            return None
        return 0 if self.track_total_hits is False else self.track_total_hits

    @property
    def is_plain(self) -> bool:
        """Hits show only where they are, their score and the whole source."""
        return (
            (self.source is None or self.source.is_whole)
            and self.stored_fields is None
            and not (self.fields or self.docvalue_fields or self.version or self.seq_no_primary_term)
            and self.highlight is None
            and self.collapse is None
            and not self.explain
        )


def parse_request(request: SearchRequest) -> SearchBody:
    """The body with the URI parameters folded in. Raises parsing and validation errors with Elasticsearch's wording."""
    if request.now_ms is not None:
        request = msgspec.structs.replace(request, now_ms=None)
    if len(request.body) > PARSED_BODY_BYTES_MAX:
        return _parse(request)
    return _parse_cached(request)


@lru_cache(maxsize=PARSED_BODIES_MAX)
def _parse_cached(request: SearchRequest) -> SearchBody:
    return _parse(request)


def _parse(request: SearchRequest) -> SearchBody:
    source = load_object(request.body)
    body = SearchBody()
    for key, value in source.items():
        _take_member(body, key, value, request.body)
    _fold_uri(body, request)
    _validate(body, request)
    return body


def unknown_member(how: str, key: str, value: Any, body: bytes = b"") -> HanseError:
    """`Unknown key for a START_OBJECT in [x].`, or the count API's `request does not support [x]`."""
    place = place_of(body, key)
    if how == "unknown":
        return ParsingError(f"Unknown key for a {token_of(value)} in [{key}].", **place)
    return ParsingError(f"{how} [{key}]", **place)


def _take_member(body: SearchBody, key: str, value: Any, raw: bytes) -> None:
    reader = _MEMBERS.get(key)
    if reader is None or token_of(value) not in reader[0]:
        raise unknown_member("unknown", key, value, raw)
    reader[1](body, value)


_OBJECT = ("START_OBJECT",)
_ARRAY = ("START_ARRAY",)
_SCALAR = ("VALUE_STRING", "VALUE_NUMBER", "VALUE_BOOLEAN")
_ANY = (*_OBJECT, *_ARRAY, *_SCALAR)
_NULLABLE = (*_ANY, "VALUE_NULL")


def _setter(name: str, convert: Callable[[Any, str], Any], key: str = "") -> Callable[[SearchBody, Any], None]:
    return lambda body, value: setattr(body, name, convert(value, key or name))


def _query(body: SearchBody, value: Any) -> None:
    body.query = value


def _post_filter(body: SearchBody, value: Any) -> None:
    body.post_filter = value


def _from(body: SearchBody, value: Any) -> None:
    body.from_ = as_int(value, "from")
    if body.from_ < 0:
        raise IllegalArgumentError(f"[from] parameter cannot be negative but was [{body.from_}]")


def _size(body: SearchBody, value: Any) -> None:
    body.size = as_int(value, "size")
    if body.size < 0:
        raise IllegalArgumentError(f"[size] parameter cannot be negative, found [{body.size}]")


def _sort(body: SearchBody, value: Any) -> None:
    body.sort = parse_sort(value)


def _search_after(body: SearchBody, value: Any) -> None:
    if not value:
        raise IllegalArgumentError("Values must contains at least one value.")
    for item in value:
        if isinstance(item, dict | list):
            raise ParsingError(
                f"Expected [VALUE_STRING] or [VALUE_NUMBER] or [VALUE_BOOLEAN] or [VALUE_NULL] but found "
                f"[{token_of(item)}] inside search_after."
            )
    body.search_after = value


def _track_total_hits(body: SearchBody, value: Any) -> None:
    body.track_total_hits = track_total_hits(value)


def _source(body: SearchBody, value: Any) -> None:
    body.source = parse_source(value)


def _fields(body: SearchBody, value: Any) -> None:
    body.fields = parse_fields(value, "fields")


def _docvalue_fields(body: SearchBody, value: Any) -> None:
    body.docvalue_fields = parse_fields(value, "docvalue_fields")


def _stored_fields(body: SearchBody, value: Any) -> None:
    body.stored_fields = tuple(as_strings(value, "stored_fields"))


def _aggregations(body: SearchBody, value: Any) -> None:
    body.aggregations = parse_aggregations(value) or None


def _highlight(body: SearchBody, value: Any) -> None:
    body.highlight = value


def _collapse(body: SearchBody, value: Any) -> None:
    for key in value:
        if key not in ("field", "inner_hits", "max_concurrent_group_searches"):
            raise ParsingError(f"[collapse] unknown field [{key}]")
    if not isinstance(value.get("field"), str):
        raise IllegalArgumentError("Required [field]")
    body.collapse = value


def _pit(body: SearchBody, value: Any) -> None:
    for key in value:
        if key not in ("id", "keep_alive"):
            raise ParsingError(f"[pit] unknown field [{key}]")
    if "id" not in value:
        raise IllegalArgumentError("Required [id]")
    body.pit_id = as_text(value["id"], "id")
    body.pit_keep_alive = as_text(value["keep_alive"], "keep_alive") if "keep_alive" in value else None


def _slice(body: SearchBody, value: Any) -> None:
    part, parts = as_int(value.get("id", -1), "id"), as_int(value.get("max", -1), "max")
    if part < 0:
        raise IllegalArgumentError("id must be greater than or equal to 0")
    if parts <= 1:
        raise IllegalArgumentError("max must be greater than 1")
    if part >= parts:
        raise IllegalArgumentError("max must be greater than id")
    body.slice = (part, parts)


def _indices_boost(body: SearchBody, value: Any) -> None:
    entries = value if isinstance(value, list) else [value]
    for entry in entries:
        if not isinstance(entry, dict) or (isinstance(value, list) and len(entry) != 1):
            raise ParsingError(f"Expected [START_OBJECT] in [indices_boost] but found [{token_of(entry)}]")
        body.indices_boost.extend((name, as_float(boost, name)) for name, boost in entry.items())


def _rescore(body: SearchBody, value: Any) -> None:
    body.rescore = value if isinstance(value, list) else [value]


def _timeout(body: SearchBody, value: Any) -> None:
    body.timeout_s = parse_time_s(as_text(value, "timeout"), "timeout")


def _stats(body: SearchBody, value: Any) -> None:
    body.stats_groups = tuple(dict.fromkeys(as_strings(value, "stats")))


def _terminate_after(body: SearchBody, value: Any) -> None:
    body.terminate_after = as_int(value, "terminate_after")
    if body.terminate_after < 0:
        raise IllegalArgumentError("terminateAfter must be > 0")


def _unsupported(name: str) -> Callable[[SearchBody, Any], None]:
    def refuse(_: SearchBody, value: Any) -> None:
        if value:
            raise unsupported(name)

    return refuse


def unsupported(name: str) -> IllegalArgumentError:
    """A part of Elasticsearch's API that is not there (docs/compatibility.md)."""
    return IllegalArgumentError(f"[{name}] is not supported")


def _ignore(_: SearchBody, __: Any) -> None:
    """Accepted for compatibility, without effect."""


_MEMBERS: dict[str, tuple[tuple[str, ...], Callable[[SearchBody, Any], None]]] = {
    "query": (_OBJECT, _query),
    "post_filter": (_OBJECT, _post_filter),
    "from": (_SCALAR, _from),
    "size": (_SCALAR, _size),
    "sort": (("VALUE_STRING", *_OBJECT, *_ARRAY), _sort),
    "search_after": (_ARRAY, _search_after),
    "track_total_hits": (_SCALAR, _track_total_hits),
    "track_scores": (_SCALAR, _setter("track_scores", as_bool)),
    "min_score": (_SCALAR, _setter("min_score", as_float)),
    "_source": (_ANY, _source),
    "fields": (_ARRAY, _fields),
    "docvalue_fields": (_ARRAY, _docvalue_fields),
    "stored_fields": (("VALUE_STRING", *_ARRAY), _stored_fields),
    "highlight": (_OBJECT, _highlight),
    "aggs": (_OBJECT, _aggregations),
    "aggregations": (_OBJECT, _aggregations),
    "collapse": (_OBJECT, _collapse),
    "pit": (_OBJECT, _pit),
    "slice": (_OBJECT, _slice),
    "indices_boost": ((*_OBJECT, *_ARRAY), _indices_boost),
    "rescore": ((*_OBJECT, *_ARRAY), _rescore),
    "explain": (_SCALAR, _setter("explain", as_bool)),
    "version": (_SCALAR, _setter("version", as_bool)),
    "seq_no_primary_term": (_SCALAR, _setter("seq_no_primary_term", as_bool)),
    "profile": (_SCALAR, _setter("profile", as_bool)),
    "timeout": (_SCALAR, _timeout),
    "terminate_after": (_SCALAR, _terminate_after),
    "include_named_queries_score": (_SCALAR, _setter("named_query_scores", as_bool)),
    "stats": (_ARRAY, _stats),
    "ext": (_OBJECT, _ignore),
    "script_fields": (_OBJECT, _unsupported("script_fields")),
    "runtime_mappings": (_OBJECT, _unsupported("runtime_mappings")),
    "suggest": (_OBJECT, _unsupported("suggest")),
    "knn": ((*_OBJECT, *_ARRAY), _unsupported("knn")),
    "retriever": (_OBJECT, _unsupported("retriever")),
    "rank": (_OBJECT, _unsupported("rank")),
}


def _fold_uri(body: SearchBody, request: SearchRequest) -> None:
    if request.q is not None:
        body.query = uri_query(request)
    if request.from_ is not None:
        _from(body, request.from_)
    if request.size is not None:
        _size(body, request.size)
    if request.sort is not None:
        body.sort = parse_uri_sort(request.sort)
    if request.terminate_after is not None:
        _terminate_after(body, request.terminate_after)
    if request.timeout is not None:
        _timeout(body, request.timeout)
    if request.stored_fields is not None:
        body.stored_fields = tuple(request.stored_fields.split(","))
    if request.docvalue_fields is not None:
        body.docvalue_fields = parse_fields(request.docvalue_fields.split(","), "docvalue_fields")
    for name in ("track_total_hits", "track_scores", "version", "seq_no_primary_term", "explain", "min_score"):
        value = getattr(request, name)
        if value is not None:
            setattr(body, name, value)
    _fold_source(body, request)


def uri_query(request: SearchRequest | ValidateQueryRequest | ExplainRequest) -> dict[str, Any]:
    """The `q` parameter and what belongs to it, as a query."""
    query: dict[str, Any] = {
        "query": request.q,
        "default_operator": request.default_operator,
        "analyze_wildcard": request.analyze_wildcard,
    }
    given = {"default_field": request.df, "analyzer": request.analyzer, "lenient": request.lenient}
    query |= {name: value for name, value in given.items() if value is not None}
    return {"query_string": query}


def _fold_source(body: SearchBody, request: SearchRequest) -> None:
    if request.source is None and request.source_includes is None and request.source_excludes is None:
        return
    if request.source in ("true", "false"):
        enabled, includes = request.source == "true", []
    else:
        enabled, includes = True, request.source.split(",") if request.source else []
    if request.source_includes is not None:
        includes = request.source_includes.split(",")
    excludes = request.source_excludes.split(",") if request.source_excludes is not None else []
    body.source = parse_source({"includes": includes, "excludes": excludes} if enabled else False)


def _validate(body: SearchBody, request: SearchRequest) -> None:
    problems = []
    if request.scroll is not None:
        if body.track_total_hits is not True and body.track_total_hits != DEFAULT_TRACK_TOTAL_HITS:
            problems.append("disabling [track_total_hits] is not allowed in a scroll context")
        body.track_total_hits = True
        if body.from_:
            problems.append("using [from] is not allowed in a scroll context")
        if body.size == 0:
            problems.append("[size] cannot be [0] in a scroll context")
        if body.rescore:
            problems.append("using [rescore] is not allowed in a scroll context")
        if body.search_after is not None:
            problems.append("[search_after] cannot be used in a scroll context")
        if body.pit_id is not None:
            problems.append("using [point in time] is not allowed in a scroll context")
        if body.collapse:
            problems.append("cannot use `collapse` in a scroll context")
        if request.request_cache:
            problems.append("[request_cache] cannot be used in a scroll context")
    if body.collapse and body.rescore:
        problems.append("cannot use `collapse` in conjunction with `rescore`")
    if body.search_after is not None and body.from_ > 0:
        problems.append("[from] parameter must be set to 0 when [search_after] is used")
    if body.slice is not None and request.scroll is None and body.pit_id is None:
        problems.append("[slice] can only be used with [scroll] or [point-in-time] requests")
    if problems:
        raise ActionRequestValidationError.of(*problems)
    if request.total_hits_as_int:
        _count_exactly(body)
    _check_search_after(body)
    if body.pit_id is not None:
        _add_tie_breaker(body)
    if body.stored_fields is not None:
        _check_stored_fields(body)


def _count_exactly(body: SearchBody) -> None:
    """A total as a plain number cannot say that it is a lower bound."""
    if not isinstance(body.track_total_hits, bool):
        body.track_total_hits = True


def _check_search_after(body: SearchBody) -> None:
    if body.search_after is None:
        return
    if not body.sort:
        # A lone descending `_score` is no sort either: many hits have the same score, so a page would lose some.
        raise IllegalArgumentError("Sort must contain at least one field.")
    given, wanted = len(body.search_after), len(body.sort)
    with_tie_breaker = body.pit_id is not None and given == wanted + 1
    if given != wanted and not with_tie_breaker:
        raise IllegalArgumentError(f"search_after has {given} value(s) but sort has {wanted}.")


def _add_tie_breaker(body: SearchBody) -> None:
    parts_of(body.pit_id or "")
    if body.sort and not any(key.field == SHARD_DOC for key in body.sort):
        body.sort = (*body.sort, SortKey(SHARD_DOC))
        if body.search_after is not None and len(body.search_after) == len(body.sort) - 1:
            body.search_after = [*body.search_after, None]


def _check_stored_fields(body: SearchBody) -> None:
    if body.stored_fields != ("_none_",):
        return
    if body.version or body.seq_no_primary_term:
        raise ActionRequestValidationError.of("[stored_fields] cannot be disabled if [version] is requested")
    if body.source is not None and body.source.enabled:
        raise ActionRequestValidationError.of("[stored_fields] cannot be disabled if [_source] is requested")
