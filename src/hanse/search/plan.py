"""A search bound to one index as one caller may see it: built queries, sort columns, the visible mapping.

Document-level security, alias filters and slices are part of every query built here; field-level security is the
restricted mapping. Plans are kept on the parsed body and reused while mapping, search index and access stay the same.
Tests: tests/search/test_coordinate.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
import tantivy

import hanse.search.query  # noqa: F401  (registers every query type)
from hanse.errors import HanseError, IllegalArgumentError
from hanse.index.mapping import Mapping
from hanse.index.settings import MAX_RESULT_WINDOW
from hanse.search.body import SearchBody
from hanse.search.field_selection import matches_any, wildcard
from hanse.search.query.context import MUST, Matched, Part, QueryContext, any_of, boosted, everything, unscored
from hanse.search.query.lucene_regex import ANY_STRING, escape
from hanse.search.sort_keys import BoundKey, bind
from hanse.transport.actions import FieldRule, Target

PLANS_MAX = 64
SLICES_MAX = 1024
_ALWAYS_VISIBLE = ("_id", "_index", "_routing", "_seq_no", "_source", "_version", "_ignored", "_field_names", "_type")


class RequestRefusedError(Exception):
    """The search is wrong whatever the index: it fails as a whole and not shard by shard."""

    def __init__(self, error: HanseError) -> None:
        super().__init__(error.reason)
        self.error = error


@dataclass(slots=True)
class Plan:
    """What runs on a shard: `hits` with the post filter, `aggregated` without; `visible` is all the caller sees.

    `asked` is the query alone, without what rights, aliases and slices add: the one that may be shown to the caller.
    """

    asked: Part
    hits: Part
    aggregated: Part
    visible: tantivy.Query
    keys: tuple[BoundKey, ...]
    after: tuple[Any, ...] | None
    mapping: Mapping
    context: QueryContext
    allows: Callable[[str], bool] | None
    named: dict[str, tantivy.Query] = field(default_factory=dict)
    matched: list[Matched] = field(default_factory=list)
    compile_filter: Callable[[dict[str, Any]], tantivy.Query] = lambda _: tantivy.Query.empty_query()
    known_touched: tuple[tantivy.Searcher, int] | None = None

    @property
    def is_reusable(self) -> bool:
        return not (self.context.depends_on_now or self.context.depends_on_searcher)

    def touched(self, searcher: tantivy.Searcher) -> int:
        """How many documents the terms of the query lead to at most; remembered for the searcher asked last."""
        known = self.known_touched
        if known is None or known[0] is not searcher:
            known = (searcher, sum(searcher.doc_freq(slot, value) for slot, value in self.context.looked_up))
            self.known_touched = known
        return known[1]


class Shape(msgspec.Struct):
    """What a plan is built for; plans are reused while it is the same."""

    index: str
    mapping: Mapping
    schema: tantivy.Schema
    settings: Any
    target: Target
    cluster_alias: str = ""
    shard: int = 0
    shards: int = 1
    aliases: tuple[str, ...] = ()
    allows_expensive: bool = True

    def is_same(self, other: Shape) -> bool:
        return (
            self.mapping is other.mapping
            and self.schema is other.schema
            and self.settings is other.settings
            and (self.cluster_alias, self.shard, self.shards) == (other.cluster_alias, other.shard, other.shards)
            and (self.aliases, self.allows_expensive) == (other.aliases, other.allows_expensive)
            and (self.target is other.target or self.target == other.target)
        )


def plan_for(body: SearchBody, shape: Shape, searcher: tantivy.Searcher, now_ms: int) -> Plan:
    key = (shape.index, id(shape.schema))
    kept = body.plans.get(key)
    if kept is not None and kept[0].is_same(shape):
        return kept[1]  # type: ignore[no-any-return]
    plan = build_plan(body, shape, searcher, now_ms)
    if plan.is_reusable:
        if len(body.plans) >= PLANS_MAX:
            body.plans.clear()
        body.plans[key] = (shape, plan)
    return plan


def build_plan(body: SearchBody, shape: Shape, searcher: tantivy.Searcher | None, now_ms: int) -> Plan:
    _check_window(body, shape)
    allows = allowed_fields(shape.target)
    mapping = _restricted(shape.mapping, shape.target) if allows is not None else shape.mapping
    context = _context(shape, mapping, searcher, now_ms)
    main = _main_query(body, context)
    main = boosted(main, _index_boost(body, shape))
    named, matched = dict(context.named), list(context.matched)
    filters = restrictions(shape, searcher, now_ms, context)
    if body.slice is not None:
        filters += _slice_filters(shape, *body.slice)
    aggregated = _narrowed(main, filters)
    hits = aggregated
    if body.post_filter is not None:
        hits = _narrowed(aggregated, [context.build(body.post_filter).query])
        named = dict(context.named)
    keys = tuple(bind(context, key) for key in body.sort)
    return Plan(
        main,
        hits,
        aggregated,
        _narrowed(everything(), filters).query,
        keys,
        _after(body, keys, context),
        mapping,
        context,
        allows,
        named,
        matched,
        lambda clause: context.fresh().build(clause).query,
    )


def may_match(
    body: SearchBody,
    shape: Shape,
    searcher: tantivy.Searcher,
    now_ms: int,
    extent: Callable[[str], tuple[float, float] | None],
) -> bool:
    """Whether the query can match where columns reach no further than `extent` says. Raises as `build_plan` does."""
    mapping = shape.mapping if allowed_fields(shape.target) is None else _restricted(shape.mapping, shape.target)
    context = _context(shape, mapping, searcher, now_ms)
    context.extent = extent
    if _main_query(body, context).matches_none:
        return False
    unrestricted = _context(shape, shape.mapping, searcher, now_ms)
    unrestricted.extent = extent
    return all(any(not unrestricted.build(clause).matches_none for clause in group) for group in _groups(shape.target))


def _main_query(body: SearchBody, context: QueryContext) -> Part:
    if body.query is None:
        context.is_costly = True
        return everything()
    try:
        return context.build(body.query)
    except IllegalArgumentError as error:
        # What only this index refuses comes as QueryShardError; this is wrong for every index.
        raise RequestRefusedError(error) from error


def _context(shape: Shape, mapping: Mapping, searcher: tantivy.Searcher | None, now_ms: int) -> QueryContext:
    settings = shape.settings
    raw = settings.get("index.query.default_field")
    if isinstance(raw, str):
        fields = tuple(part.strip() for part in raw.strip("[]").split(","))
    else:
        fields = tuple(raw) if raw else ("*",)
    context = QueryContext(shape.index, mapping, shape.schema, now_ms, fields, searcher=searcher)
    context.cluster_alias, context.aliases = shape.cluster_alias, shape.aliases
    context.allows_expensive = shape.allows_expensive
    context.terms_max = int(settings.get("index.max_terms_count") or context.terms_max)
    context.regex_length_max = int(settings.get("index.max_regex_length") or context.regex_length_max)
    return context


def restrictions(
    shape: Shape, searcher: tantivy.Searcher | None, now_ms: int, into: QueryContext
) -> list[tantivy.Query]:
    """Document-level security and alias filters, which see all fields whatever the caller may see."""
    groups = _groups(shape.target)
    if not groups:
        return []
    context = _context(shape, shape.mapping, searcher, now_ms)
    context.allows_expensive = True  # What an administrator wrote into a role or alias holds in any case.
    filters = [any_of([unscored(context.build(clause).query) for clause in group]) for group in groups]
    into.depends_on_now |= context.depends_on_now
    into.depends_on_searcher |= context.depends_on_searcher
    into.is_costly |= context.is_costly
    into.has_ranges |= context.has_ranges
    return filters


def _groups(target: Target) -> list[tuple[dict[str, Any], ...]]:
    """Of each group a document must match one query: document-level security, and the aliases the target came by."""
    return [*target.access.documents, *((target.filters,) if target.filters else ())]


def _narrowed(part: Part, filters: list[tantivy.Query]) -> Part:
    if not filters or part.matches_none:
        return part
    query = tantivy.Query.boolean_query([(MUST, part.query), *((MUST, unscored(item)) for item in filters)])
    return Part(query, part.score, part.is_uniform)


def _slice_filters(shape: Shape, part: int, parts: int) -> list[tantivy.Query]:
    """Slices are whole shards where they suffice; further ones divide the documents of a shard."""
    most = int(shape.settings.get("index.max_slices_per_scroll") or SLICES_MAX)
    if parts > most:
        raise IllegalArgumentError(
            f"The number of slices [{parts}] is too large. It must be less than [{most}]. This limit can be set by "
            "changing the [index.max_slices_per_scroll] index level setting."
        )
    if parts <= shape.shards:
        return [] if shape.shard % parts == part else [tantivy.Query.empty_query()]
    if shape.shard != part % shape.shards:
        return [tantivy.Query.empty_query()]
    inside = parts // shape.shards + (1 if shape.shard < parts % shape.shards else 0)
    return [] if inside == 1 else [_slice_filter(shape.schema, part // shape.shards, inside)]


def _slice_filter(schema: tantivy.Schema, part: int, parts: int) -> tantivy.Query:
    """Divides documents by the last character of their id: exact and lasting, though not quite even."""
    last = "".join(escape(chr(code)) for code in range(128) if code % parts == part)
    patterns = [f"{ANY_STRING}[{last}]"] if last else []
    if part == 0:
        patterns.append(f"{ANY_STRING}[\\x{{80}}-\\x{{D7FF}}\\x{{E000}}-\\x{{10FFFF}}]")
    return any_of([tantivy.Query.regex_query(schema, "_id", pattern) for pattern in patterns])


def _index_boost(body: SearchBody, shape: Shape) -> float:
    name = f"{shape.cluster_alias}:{shape.index}" if shape.cluster_alias else shape.index
    for pattern, boost in body.indices_boost:
        if pattern in shape.aliases or wildcard(pattern).fullmatch(name):
            return boost
    return 1.0


def _after(body: SearchBody, keys: tuple[BoundKey, ...], context: QueryContext) -> tuple[Any, ...] | None:
    if body.search_after is None:
        return None
    if body.after_is_raw:
        return tuple(body.search_after)
    return tuple(key.after(value) for key, value in zip(keys, body.search_after, strict=True))


def _check_window(body: SearchBody, shape: Shape) -> None:
    wanted = body.from_ + body.size
    window = int(shape.settings.get(MAX_RESULT_WINDOW.key) or MAX_RESULT_WINDOW.default)
    if wanted > window:
        raise IllegalArgumentError(
            f"Result window is too large, from + size must be less than or equal to: [{window}] but was [{wanted}]. "
            "See the scroll api for a more efficient way to request large data sets. This limit can be set by changing "
            "the [index.max_result_window] index level setting."
        )


def allowed_fields(target: Target) -> Callable[[str], bool] | None:
    """Field-level security as a test on paths; None when everything is visible."""
    if not target.access.fields:
        return None
    return _allows(target.access.fields)


@lru_cache(maxsize=1024)
def _allows(groups: tuple[tuple[FieldRule, ...], ...]) -> Callable[[str], bool]:
    @lru_cache(maxsize=4096)
    def allows(path: str) -> bool:
        if path in _ALWAYS_VISIBLE:
            return True
        return all(any(_rule_allows(rule, path) for rule in group) for group in groups)

    return allows


def _rule_allows(rule: FieldRule, path: str) -> bool:
    return matches_any(path, rule.grant) and not matches_any(path, rule.deny)


_restricted_mappings: dict[tuple[int, Any], tuple[Mapping, Mapping]] = {}
_RESTRICTED_MAX = 256


def _restricted(mapping: Mapping, target: Target) -> Mapping:
    key = (id(mapping), target.access.fields)
    kept = _restricted_mappings.get(key)
    if kept is not None and kept[0] is mapping:
        return kept[1]
    if len(_restricted_mappings) >= _RESTRICTED_MAX:
        _restricted_mappings.clear()
    restricted = mapping.restricted(_allows(target.access.fields))
    _restricted_mappings[key] = (mapping, restricted)
    return restricted
