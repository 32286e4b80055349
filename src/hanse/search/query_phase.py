"""The query phase of one shard: which documents, in which order, how many, and the aggregation partials.

Nothing is fetched here. `ShardHits` refers to documents by seq_no in the reader that ran it.
Tests: tests/search/test_query_phase.py, tests/search/test_sorting.py.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson
import tantivy

from hanse.index.shard import ShardReader
from hanse.search import engine
from hanse.search.aggregation import AggregationPlan, CollectContext, TopHits, collect
from hanse.search.body import SearchBody
from hanse.search.document_fields import column_values, values_at
from hanse.search.plan import Plan
from hanse.search.profile import Timings, timed
from hanse.search.query.context import MUST, Part, unscored
from hanse.search.rescore import rescore, window_of
from hanse.search.sort import SortKey
from hanse.search.sort_keys import POSITION_SLOT, BoundKey, bind
from hanse.search.top_hits import Found, ShardSearch
from hanse.settings.cluster_settings import MAX_BUCKETS

SHARD_BASE_BITS = 40
"""Positions of all shards of a search in one number: the shard's ordinal above, the seq_no below."""


class ShardHits(msgspec.Struct):
    hits: list[Found] = []
    total: int | None = None
    max_score: float | None = None
    aggregations: dict[str, Any] | None = None
    terminated_early: bool | None = None
    collapsed: list[Any] = []


def run_query(
    reader: ShardReader,
    body: SearchBody,
    plan: Plan,
    limit: int,
    ordinal: int = 0,
    max_buckets: int = MAX_BUCKETS.default,
    timings: Timings | None = None,
) -> ShardHits:
    """The first `limit` hits of the shard. `ordinal` is the shard's number within the search.

    With `timings` each part is measured, the aggregations by themselves.
    """
    part, aggregated, ended = plan.hits, plan.aggregated, None
    if body.terminate_after:
        part, aggregated, ended = _terminated(reader, body.terminate_after, part, aggregated)
    if body.min_score is not None:
        part, aggregated = _above(reader, body.min_score, part), _above(reader, body.min_score, aggregated)
    result = ShardHits(terminated_early=ended)
    _, spent = timed(lambda: _top(reader, body, plan, part, limit, ordinal, result))
    if timings is not None:
        timings.hits = spent
    if body.aggregations is not None:
        result.aggregations = _aggregate(reader, body.aggregations, plan, aggregated, max_buckets, timings)
    return result


def _top(
    reader: ShardReader, body: SearchBody, plan: Plan, part: Part, limit: int, ordinal: int, result: ShardHits
) -> None:
    search = ShardSearch(reader, part, lambda key, at: _source_values(reader, key, at))
    counted = body.counted_up_to != 0
    if limit == 0:
        result.total = search.count() if counted else None
        return
    if body.collapse is not None:
        _collapse(reader, body, plan, search, limit, ordinal, result)
        result.total = search.count() if counted else None
    elif plan.keys:
        result.hits = _by_keys(plan, search, limit, ordinal)
        if counted:
            complete = plan.after is None and len(result.hits) < limit
            result.total = len(result.hits) if complete else search.count()
    else:
        top = search.by_score(max(limit, window_of(body.rescore)) if body.rescore else limit, counted)
        result.hits, result.total = top.hits, top.count
        if body.rescore:
            result.hits = rescore(search, body.rescore, plan, result.hits)[:limit]
        result.max_score = result.hits[0].score if result.hits else None
        return
    by_score = next((number for number, key in enumerate(plan.keys) if key.kind == "score"), None)
    if by_score is not None:
        for hit in result.hits:
            hit.score = hit.values[by_score]
        result.max_score = _best_score(search) if result.hits else None
    elif plan.keys and body.track_scores:
        search.scores(result.hits)
        result.max_score = _best_score(search) if result.hits else None
    elif not plan.keys and result.hits:
        result.max_score = result.hits[0].score


def _source_values(reader: ShardReader, key: BoundKey, positions: list[int]) -> list[list[Any]]:
    """Every value of a field, of which a column gives only the lowest."""
    assert key.field is not None
    documents = reader.fetch(positions)
    sources = [orjson.loads(document.source) for document in documents]
    return [sorted(column_values(key.field, values_at(source, key.field.source_path))) for source in sources]


def _best_score(search: ShardSearch) -> float | None:
    best = search.by_score(1, counted=False).hits
    return best[0].score if best else None


def _by_keys(plan: Plan, search: ShardSearch, limit: int, ordinal: int) -> list[Found]:
    """`_doc` and `_shard_doc` are shown with the shard's ordinal, so that they are unique in the search."""
    base = ordinal << SHARD_BASE_BITS
    after = plan.after
    if not any(key.is_place for key in plan.keys):
        return search.by_keys(plan.keys, limit, after)
    if after is not None:
        after = tuple(
            _local(value, base) if key.is_place else value for key, value in zip(plan.keys, after, strict=True)
        )
    found = search.by_keys(plan.keys, limit, after)
    for hit in found:
        hit.values = tuple(
            base + hit.seq_no if key.is_place else value for key, value in zip(plan.keys, hit.values, strict=True)
        )
    return found


def _local(value: int | None, base: int) -> int:
    """A position of the whole search as one of this shard: before its first, within, or after its last."""
    if value is None:
        return -1
    return max(-1, min(value - base, (1 << SHARD_BASE_BITS) - 1))


def _terminated(reader: ShardReader, most: int, part: Part, aggregated: Part) -> tuple[Part, Part, bool]:
    """Only the first documents written that match are looked at."""
    result = engine.ordered(reader.searcher, part.query, most, POSITION_SLOT, counted=True)
    if result.total <= most:
        return part, aggregated, False
    last = result.rows[-1][0]
    bound = engine.column_range(reader.schema, POSITION_SLOT, tantivy.FieldType.Unsigned, None, last)
    return _restricted(part, bound), _restricted(aggregated, bound), True


def _restricted(part: Part, condition: tantivy.Query) -> Part:
    query = tantivy.Query.boolean_query([(MUST, part.query), (MUST, unscored(condition))])
    return Part(query, part.score, part.is_uniform, part.matches_none)


def _above(reader: ShardReader, min_score: float, part: Part) -> Part:
    """The matches with at least this score, as a query for exactly those documents."""
    if part.matches_none:
        return part
    if part.score is not None:
        return part if part.score >= min_score else Part(tantivy.Query.empty_query(), 0.0, matches_none=True)
    count = engine.count(reader.searcher, part.query)
    rows = engine.best(reader.searcher, part.query, max(1, count)).rows
    addresses = [address for score, address in rows if score >= min_score]
    if not addresses:
        return Part(tantivy.Query.empty_query(), 0.0, matches_none=True)
    if len(addresses) == count:
        return part
    positions = reader.positions.of(addresses)
    return _restricted(part, tantivy.Query.term_set_query(reader.schema, POSITION_SLOT, positions))


def _collapse(
    reader: ShardReader, body: SearchBody, plan: Plan, search: ShardSearch, limit: int, ordinal: int, result: ShardHits
) -> None:
    """The best hit of each value of a field: reads on from the top until enough different values were met."""
    assert body.collapse is not None
    key = bind(plan.context, SortKey(body.collapse["field"], unmapped_type="keyword"))
    count, wanted = max(1, search.count()), limit * 3
    while True:
        found = _by_keys(plan, search, wanted, ordinal) if plan.keys else search.by_score(wanted, counted=False).hits
        first: dict[Any, Found] = {}
        for hit, value in zip(found, search.values(key, found), strict=True):
            first.setdefault(value, hit)
        if len(first) >= limit or wanted >= count:
            break
        wanted = min(wanted * 4, count)
    result.hits = list(first.values())[:limit]
    result.collapsed = [key.shown(value) if value is not None else None for value in list(first)[:limit]]


def _aggregate(
    reader: ShardReader, wanted: AggregationPlan, plan: Plan, part: Part, max_buckets: int, timings: Timings | None
) -> dict[str, Any]:
    from hanse.search.fetch_phase import bucket_hits

    def render_hits(query: tantivy.Query, top_hits: dict[str, Any]) -> TopHits:
        return bucket_hits(reader, plan, query, top_hits)

    def collected(asked: AggregationPlan) -> dict[str, Any]:
        return collect(
            asked,
            searcher=reader.searcher,
            schema=reader.schema,
            query=part.query,
            mapping=plan.mapping,
            compile_query=plan.compile_filter,
            context=CollectContext(
                index=plan.context.index,
                global_query=plan.visible,
                render_hits=render_hits,
                max_buckets=max_buckets,
                shown_index=plan.context.shown_index,
            ),
        )

    if timings is None:
        return collected(wanted)
    partials: dict[str, Any] = {}
    for node in wanted.nodes:
        partial, spent = timed(functools.partial(collected, AggregationPlan([node])))
        partials |= partial
        timings.aggregations.append((f"{type(node).__name__}Aggregator", node.name, spent))
    return partials


def comparable(plan: Plan, values: Sequence[Any]) -> tuple[Any, ...]:
    """Sort values as merging compares them."""
    return tuple(key.replacement if value is None else value for key, value in zip(plan.keys, values, strict=True))
