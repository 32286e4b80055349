"""A search over the local shards: query each, keep the best, fetch those, reduce.

Short work runs on the event loop, long work in threads, where the engine releases the interpreter lock; which is which
is estimated from document frequencies. A shard that fails is reported and the others answer; when none answers the
search fails. Tests: tests/search/test_coordinate.py; cost: bench/search_local.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cmp_to_key
from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING, Any

import msgspec

from hanse import clock
from hanse.errors import (
    ActionRequestValidationError,
    HanseError,
    IndexNotFoundError,
    JsonParseError,
    ParsingError,
    QueryShardError,
    SecurityError,
    XContentParseError,
)
from hanse.index import slots
from hanse.index.mapping import Mapping
from hanse.index.service import Indices
from hanse.search import can_match
from hanse.search.aggregation import merge_partials
from hanse.search.body import SearchBody, parse_request
from hanse.search.can_match import Planned
from hanse.search.expand import expand_groups
from hanse.search.failures import all_shards_failed, partial_failure, shard_failure
from hanse.search.fetch_phase import Place, fetch
from hanse.search.limits import SearchLimits
from hanse.search.lookups import resolve_lookups
from hanse.search.merge import capped
from hanse.search.plan import Plan, RequestRefusedError, Shape, build_plan, plan_for
from hanse.search.profile import Timings, shard_profile
from hanse.search.query_phase import ShardHits, comparable, run_query
from hanse.search.request import Hit, SearchRequest, SearchResult, ShardFailure
from hanse.search.sort import comparator
from hanse.search.top_hits import Found
from hanse.search.views import OpenViews, ShardView
from hanse.transport.actions import Call, Target

if TYPE_CHECKING:
    from hanse.search.contexts import Contexts

DOCUMENTS_ON_LOOP_MAX = 60_000
"""About half a millisecond of matching; more goes to a thread."""
AGGREGATED_ON_LOOP_MAX = 2_000
HITS_ON_LOOP_MAX = 200
WORKED_HITS_ON_LOOP_MAX = 20
"""Hits that are more than spliced bytes: filtered, with fields, highlighted."""
BODY_ON_LOOP_BYTES_MAX = 65_536
_WHOLE_REQUEST = (ParsingError, XContentParseError, JsonParseError, ActionRequestValidationError)


class Answered(msgspec.Struct):
    """A shard's part of a search after its query phase."""

    view: ShardView
    plan: Plan
    hits: ShardHits
    timings: Timings | None = None
    """Where the search is profiled."""


async def search_local(
    indices: Indices, call: Call, request: SearchRequest, contexts: Contexts | None = None
) -> SearchResult:
    """The answer of the local shards of `call.targets`. With `final_reduce` off, hits reach from 0 to from + size."""
    started = perf_counter()
    body = await read_body(indices, call, request)
    limits = SearchLimits() if contexts is None else contexts.limits()
    if contexts is not None and body.pit_id is not None:
        with contexts.pit_views(call, body) as views:
            result = await search_views(views, [], body, request, limits)
        result.pit_id = body.pit_id
    elif contexts is not None and request.scroll is not None:
        return await contexts.start_scroll(indices, call, body, request)
    else:
        with OpenViews(indices, call.targets, request.routing, request.preference) as (views, failures):
            result = await search_views(views, failures, body, request, limits)
    result.took_ms = int((perf_counter() - started) * 1000)
    return result


async def read_body(indices: Indices, call: Call, request: SearchRequest) -> SearchBody:
    """What is asked, with the values that it takes from documents."""
    if len(request.body) > BODY_ON_LOOP_BYTES_MAX:
        body = await asyncio.get_running_loop().run_in_executor(None, parse_request, request)
    else:
        body = parse_request(request)
    if b'"terms"' in request.body or b'"more_like_this"' in request.body:
        body = await resolve_lookups(call, body)
    if body.indices_boost:
        _check_boosted(indices, body, request)
    if body.profile and any(target.access.documents for target in call.targets.local):
        # Times tell of documents that the caller may not see (the documentation's limitations of security).
        raise SecurityError("A search request cannot be profiled if document level security is enabled", 400)
    return body


def _check_boosted(indices: Indices, body: SearchBody, request: SearchRequest) -> None:
    """A boost for a name that does not exist is a mistake, unless missing names are to be ignored."""
    if request.options.ignore_unavailable or request.cluster_alias:
        return
    names = [name for service in indices for name in (service.name, *service.metadata.aliases)]
    for pattern, _ in body.indices_boost:
        if "*" not in pattern and ":" not in pattern and pattern not in names:
            raise IndexNotFoundError.of(pattern)


async def search_views(
    views: Sequence[ShardView],
    failures: list[ShardFailure],
    body: SearchBody,
    request: SearchRequest,
    limits: SearchLimits,
) -> SearchResult:
    """The answer of open views, which are all that the search has."""
    now_ms = request.now_ms if request.now_ms is not None else clock.now_ms()
    result = await query_views(views, failures, body, request, now_ms, limits)
    if result.failed:
        check_failures(result, request)
    if body.collapse is not None and body.collapse.get("inner_hits") and result.hits:
        await expand_groups(
            result.hits,
            body,
            lambda group, asked: _again(views, group, asked, request, now_ms, limits),
            totals_as_int=request.total_hits_as_int,
        )
    return result


def check_failures(result: SearchResult, request: SearchRequest) -> None:
    """Raises what a search ends with of which no shard answered, or not all although all have to."""
    if not result.successful:
        raise all_shards_failed(result.failures)
    if request.allow_partial_search_results is False:
        raise partial_failure(result.failures)


async def query_views(
    views: Sequence[ShardView],
    failures: list[ShardFailure],
    body: SearchBody,
    request: SearchRequest,
    now_ms: int,
    limits: SearchLimits,
) -> SearchResult:
    """What these shards find; when none of them answers, that is the result too."""
    limit = body.from_ + body.size
    if not views:
        _check_without_index(body, request, now_ms)
    planned = await _plans(views, body, request, now_ms, limits.allows_expensive, failures)
    planned, skipped = await can_match.prefiltered(
        views, planned, body, request, now_ms, documents_on_loop_max=DOCUMENTS_ON_LOOP_MAX
    )
    answered = await _answers(planned, body, limit, limits.max_buckets, failures)
    result = await _reduced(answered, failures, skipped, body, request)
    result.max_buckets = limits.max_buckets
    if body.profile:
        result.profile = [
            shard_profile(one.view, one.plan, body, one.timings, request.cluster_alias)
            for one in answered
            if one.timings is not None
        ]
    return result


async def _plans(
    views: Sequence[ShardView],
    body: SearchBody,
    request: SearchRequest,
    now_ms: int,
    allows_expensive: bool,
    failures: list[ShardFailure],
) -> list[Planned]:
    planned = []
    for view in views:
        started_ns = perf_counter_ns()
        arguments = (view, body, request.cluster_alias, now_ms, failures, allows_expensive)
        if len(request.body) > BODY_ON_LOOP_BYTES_MAX:
            plan = await asyncio.get_running_loop().run_in_executor(None, _planned, *arguments)
        else:
            plan = _planned(*arguments)
        if plan is not None:
            planned.append(Planned(view, plan, perf_counter_ns() - started_ns))
    return planned


async def _answers(
    planned: Sequence[Planned], body: SearchBody, limit: int, max_buckets: int, failures: list[ShardFailure]
) -> list[Answered]:
    """The query phase: short work at once, the rest side by side in threads."""
    answered: list[Answered] = []
    pending = []
    for one in planned:
        if _is_short(one.view, one.plan, body, limit):
            _take(_query(one, body, limit, max_buckets), answered, failures)
        else:
            pending.append(one)
    if pending:
        loop = asyncio.get_running_loop()
        outcomes = await asyncio.gather(
            *(loop.run_in_executor(None, _query, one, body, limit, max_buckets) for one in pending)
        )
        for outcome in outcomes:
            _take(outcome, answered, failures)
    return answered


async def _again(
    views: Sequence[ShardView],
    body: SearchBody,
    asked: SearchRequest,
    request: SearchRequest,
    now_ms: int,
    limits: SearchLimits,
) -> SearchResult:
    inner = msgspec.structs.replace(asked, cluster_alias=request.cluster_alias, now_ms=now_ms)
    return await search_views(views, [], body, inner, limits)


def _check_without_index(body: SearchBody, request: SearchRequest, now_ms: int) -> None:
    """A malformed query is refused even when there is nothing to search."""
    empty = Shape("_na_", Mapping.from_metadata({}, {}, {}), slots.schema(1), {}, Target("_na_"), request.cluster_alias)
    checked = SearchBody(query=body.query, post_filter=body.post_filter)
    try:
        build_plan(checked, empty, None, now_ms)
    except RequestRefusedError as refused:
        raise refused.error from refused
    except QueryShardError:
        return


def _planned(
    view: ShardView,
    body: SearchBody,
    cluster_alias: str,
    now_ms: int,
    failures: list[ShardFailure],
    allows_expensive: bool,
) -> Plan | None:
    try:
        return plan_for(body, view.shape(cluster_alias, allows_expensive), view.reader.searcher, now_ms)
    except RequestRefusedError as refused:
        raise refused.error from refused
    except _WHOLE_REQUEST:
        raise
    except HanseError as error:
        failures.append(_failure(view, cluster_alias, error))
    except ValueError as error:
        # The engine refuses what it cannot run (a pattern with too many states, a value out of range).
        cause = QueryShardError(f"failed to create query: {error}", index_uuid=view.index_uuid, index=view.index)
        failures.append(_failure(view, cluster_alias, cause))
    return None


def _failure(view: ShardView, cluster_alias: str, error: HanseError) -> ShardFailure:
    return shard_failure(_shown_index(view, cluster_alias), view.number, error, view.index_uuid, view.node)


def _shown_index(view: ShardView, cluster_alias: str) -> str:
    return f"{cluster_alias}:{view.index}" if cluster_alias else view.index


def _query(planned: Planned, body: SearchBody, limit: int, max_buckets: int) -> Answered | ShardFailure:
    view, plan, build_ns = planned
    started_ns = perf_counter_ns()
    timings = Timings(rewrite=build_ns) if body.profile else None
    try:
        hits = run_query(view.reader, body, plan, limit, view.ordinal, max_buckets, timings)
        spent_ns = perf_counter_ns() - started_ns
        view.reader.shard.counters.query(spent_ns / 1e9, body.stats_groups)
        if timings is not None:
            timings.query_phase = spent_ns
        return Answered(view, plan, hits, timings)
    except _WHOLE_REQUEST:
        raise
    except HanseError as error:
        return _failure(view, plan.context.cluster_alias, error)
    except ValueError as error:
        cause = QueryShardError(f"failed to execute query: {error}", index_uuid=view.index_uuid, index=view.index)
        return _failure(view, plan.context.cluster_alias, cause)


def _take(outcome: Answered | ShardFailure, answered: list[Answered], failures: list[ShardFailure]) -> None:
    if isinstance(outcome, Answered):
        answered.append(outcome)
    else:
        failures.append(outcome)


def _is_short(view: ShardView, plan: Plan, body: SearchBody, limit: int) -> bool:
    """Whether the shard's query is surely done within about a millisecond."""
    searcher = view.reader.searcher
    documents = searcher.num_docs
    if limit > HITS_ON_LOOP_MAX:
        return documents <= HITS_ON_LOOP_MAX
    if body.aggregations is not None:
        return documents <= AGGREGATED_ON_LOOP_MAX
    if documents <= DOCUMENTS_ON_LOOP_MAX:
        return True
    if plan.context.is_costly or len(plan.keys) > 1:
        return False
    return plan.touched(searcher) <= DOCUMENTS_ON_LOOP_MAX


async def _reduced(
    answered: list[Answered], failures: list[ShardFailure], skipped: int, body: SearchBody, request: SearchRequest
) -> SearchResult:
    answered.sort(key=lambda shard: shard.view.ordinal)
    result = SearchResult(
        total_shards=len(answered) + len(failures) + skipped,
        successful=len(answered) + skipped,
        skipped=skipped,
        failed=len(failures),
        failures=failures,
    )
    counted = body.counted_up_to != 0
    if counted:
        result.total, result.relation = capped(
            sum(shard.hits.total or 0 for shard in answered), "eq", body.counted_up_to
        )
    else:
        result.total = None
    scores = [shard.hits.max_score for shard in answered if shard.hits.max_score is not None]
    result.max_score = max(scores, default=None)
    ended = [shard.hits.terminated_early for shard in answered if shard.hits.terminated_early is not None]
    if ended:
        result.terminated_early = any(ended)
    if answered and answered[0].plan.keys:
        result.sort_kinds = tuple(key.comparable_kind for key in answered[0].plan.keys)
    if body.aggregations is not None:
        partials = [shard.hits.aggregations for shard in answered if shard.hits.aggregations is not None]
        result.aggregations = partials[0] if len(partials) == 1 else merge_partials(body.aggregations, partials)
    result.num_reduce_phases = reduce_phases(len(answered), request.batched_reduce_size)
    chosen = _page(answered, body, request.final_reduce)
    count = sum([len(part.found) for part in chosen])
    if count > (HITS_ON_LOOP_MAX if body.is_plain and not body.sort else WORKED_HITS_ON_LOOP_MAX):
        fetched = await asyncio.get_running_loop().run_in_executor(None, _fetched, chosen, body, request)
    elif count:
        fetched = _fetched(chosen, body, request)
    else:
        return result
    result.hits, failed = fetched
    if failed:
        _count_fetch_failures(result, failed)
    return result


def _count_fetch_failures(result: SearchResult, failed: list[ShardFailure]) -> None:
    """A shard whose hits could not be read has failed after all."""
    result.failures = [*result.failures, *failed]
    result.failed += len(failed)
    result.successful -= len(failed)


def reduce_phases(shards: int, batch: int) -> int:
    """How often Elasticsearch would have reduced: once a full batch (which then counts as one), once at the end."""
    if shards <= batch:
        return 1
    return -(-(shards - batch) // (batch - 1)) + 1


class Chosen(msgspec.Struct):
    """Hits of one shard to fetch; `ranks` are their places in the answer."""

    shard: Answered
    ranks: list[int]
    found: list[Found]
    collapsed: list[Any]


def _page(answered: list[Answered], body: SearchBody, final: bool) -> list[Chosen]:
    """The hits to fetch, by shard."""
    start, end = (body.from_ if final else 0), body.from_ + body.size
    if len(answered) == 1:
        only = answered[0]
        hits = only.hits.hits[start:end]
        return [Chosen(only, list(range(len(hits))), hits, only.hits.collapsed[start:end])] if hits else []
    merged = _merged(answered, body)
    if body.collapse is not None:
        merged = _first_of_each(merged)
    by_shard: dict[int, Chosen] = {}
    for rank, (number, found, collapsed) in enumerate(merged[start:end]):
        chosen = by_shard.get(number)
        if chosen is None:
            chosen = by_shard[number] = Chosen(answered[number], [], [], [])
        chosen.ranks.append(rank)
        chosen.found.append(found)
        chosen.collapsed.append(collapsed)
    return list(by_shard.values())


def _merged(answered: list[Answered], body: SearchBody) -> list[tuple[int, Found, Any]]:
    everything = [
        (number, found, shard.hits.collapsed[rank] if shard.hits.collapsed else None)
        for number, shard in enumerate(answered)
        for rank, found in enumerate(shard.hits.hits)
    ]
    if not body.sort:
        everything.sort(key=lambda item: -(item[1].score or 0.0))
        return everything
    order = cmp_to_key(comparator(body.sort))
    everything.sort(key=lambda item: order(comparable(answered[item[0]].plan, item[1].values)))
    return everything


def _first_of_each(merged: list[tuple[int, Found, Any]]) -> list[tuple[int, Found, Any]]:
    seen: set[Any] = set()
    kept = []
    for item in merged:
        if item[2] not in seen:
            seen.add(item[2])
            kept.append(item)
    return kept


def _fetched(chosen: list[Chosen], body: SearchBody, request: SearchRequest) -> tuple[list[Hit], list[ShardFailure]]:
    """The hits in the order of the answer, and the shards whose hits could not be read."""
    hits: dict[int, Hit] = {}
    failures: list[ShardFailure] = []
    for part in chosen:
        outcome = _fetch_shard(part.shard, part.found, part.collapsed, body, request)
        if isinstance(outcome, ShardFailure):
            failures.append(outcome)
        elif len(chosen) == 1:
            return outcome, failures
        else:
            hits.update(zip(part.ranks, outcome, strict=True))
    return [hits[rank] for rank in sorted(hits)], failures


def _fetch_shard(
    shard: Answered, found: list[Found], collapsed: list[Any], body: SearchBody, request: SearchRequest
) -> list[Hit] | ShardFailure:
    view = shard.view
    place = Place(view.index, view.number, request.cluster_alias)
    started_ns = perf_counter_ns()
    try:
        hits = fetch(view.reader, body, shard.plan, place, found, collapsed if body.collapse is not None else ())
    except _WHOLE_REQUEST:
        raise
    except HanseError as error:
        return _failure(view, request.cluster_alias, error)
    spent_ns = perf_counter_ns() - started_ns
    view.reader.shard.counters.fetch(spent_ns / 1e9, body.stats_groups)
    if shard.timings is not None:
        shard.timings.fetch = spent_ns
    return hits
