"""Merging results of shards and clusters, and the final answer as bytes.

The law (held by a property test): merging the results of any partition of the documents gives what one shard with all
of them would give. Equal hits are ordered by index, shard and rank within the shard, the local cluster first.
Tests: tests/search/test_merge.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cmp_to_key
from typing import Any

import orjson

from hanse.errors import IllegalArgumentError, TooManyBucketsError
from hanse.search.aggregation import finish as finish_aggregations
from hanse.search.aggregation import merge_partials
from hanse.search.body import SearchBody, parse_request
from hanse.search.failures import failure_object, grouped, reduce_failed
from hanse.search.float_text import score_json
from hanse.search.request import Hit, SearchRequest, SearchResult
from hanse.search.sort import comparator


def merge(results: Sequence[SearchResult], request: SearchRequest, body: SearchBody | None = None) -> SearchResult:
    """One result of many, sliced to the page, or with `final_reduce` off from 0 to its end. Hits must reach from 0 to
    from + size of each; see `coordinate.py`. `body` is given where it is not just what the request says."""
    if body is None:
        body = parse_request(request)
    start = body.from_ if request.final_reduce else 0
    hits = in_order([hit for result in results for hit in result.hits], body, results)
    total, relation = merged_total(results, body)
    scores = [result.max_score for result in results if result.max_score is not None]
    merged = SearchResult(
        took_ms=max((result.took_ms for result in results), default=0),
        timed_out=any(result.timed_out for result in results),
        total_shards=sum(result.total_shards for result in results),
        successful=sum(result.successful for result in results),
        skipped=sum(result.skipped for result in results),
        failed=sum(result.failed for result in results),
        failures=[failure for result in results for failure in result.failures],
        total=total,
        relation=relation,
        max_score=max(scores, default=None),
        hits=hits[start : body.from_ + body.size],
        num_reduce_phases=sum(result.num_reduce_phases for result in results) + 1,
        sort_kinds=next((result.sort_kinds for result in results if result.sort_kinds), ()),
    )
    if body.aggregations is not None:
        partials = [result.aggregations for result in results if result.aggregations is not None]
        merged.aggregations = merge_partials(body.aggregations, partials)
    ended = [result.terminated_early for result in results if result.terminated_early is not None]
    merged.terminated_early = any(ended) if ended else None
    profiles = [shard for result in results for shard in result.profile or []]
    merged.profile = profiles or None
    return merged


def in_order(hits: list[Hit], body: SearchBody, results: Sequence[SearchResult] = ()) -> list[Hit]:
    if body.sort:
        _check_kinds(body, results)
        compare = comparator(body.sort)

        def order(left: Hit, right: Hit) -> int:
            return compare(left.sort, right.sort) or (-1 if _place(left) < _place(right) else 1)

        hits.sort(key=cmp_to_key(order))
    else:
        hits.sort(key=lambda hit: (-(hit.score or 0.0), *_place(hit)))
    if body.collapse is None:
        return hits
    seen: set[Any] = set()
    kept = []
    for hit in hits:
        if hit.collapse not in seen:
            seen.add(hit.collapse)
            kept.append(hit)
    return kept


def _place(hit: Hit) -> tuple[str, int, str, int]:
    return (hit.index, hit.shard, hit.cluster, hit.position)


def _check_kinds(body: SearchBody, results: Sequence[SearchResult]) -> None:
    """Numbers and texts have no common order."""
    for number, key in enumerate(body.sort):
        kinds = {result.sort_kinds[number] for result in results if len(result.sort_kinds) > number and result.hits}
        if "string" in kinds and len(kinds) > 1:
            raise IllegalArgumentError(
                f"Can't sort on field [{key.field}]; the field has incompatible sort types: "
                f"[{'] and ['.join(sorted(kind.upper() for kind in kinds))}] across shards!"
            )


def merged_total(results: Sequence[SearchResult], body: SearchBody) -> tuple[int | None, str]:
    if body.track_total_hits is False:
        return None, "eq"
    total = sum(result.total or 0 for result in results)
    relation = "gte" if any(result.relation == "gte" for result in results) else "eq"
    return capped(total, relation, body.counted_up_to)


def capped(total: int, relation: str, most: int | None) -> tuple[int, str]:
    """A count is exact up to the threshold and only known to be at least that above it."""
    if most is not None and total > most:
        return most, "gte"
    return total, relation


def final_aggregations(result: SearchResult, request: SearchRequest) -> dict[str, Any] | None:
    """The finished aggregations. Too many buckets fail the search in its last phase, when no shard is to blame."""
    if result.aggregations is None or result.aggregations_final:
        return result.aggregations
    plan = parse_request(request).aggregations
    if plan is None:
        return None
    try:
        return finish_aggregations(
            plan, result.aggregations, typed_keys=request.typed_keys, max_buckets=result.max_buckets
        )
    except TooManyBucketsError as error:
        raise reduce_failed(error) from error


def render(result: SearchResult, request: SearchRequest, status: int | None = None) -> bytes:
    """The response body. `status` is added for an item of `_msearch`."""
    parts = [b"{"]
    if result.scroll_id is not None:
        parts.append(b'"_scroll_id":' + orjson.dumps(result.scroll_id) + b",")
    if result.pit_id is not None:
        parts.append(b'"pit_id":' + orjson.dumps(result.pit_id) + b",")
    parts.append(b'"took":%d,"timed_out":%s,' % (result.took_ms, b"true" if result.timed_out else b"false"))
    if result.terminated_early is not None:
        parts.append(b'"terminated_early":true,' if result.terminated_early else b'"terminated_early":false,')
    if result.num_reduce_phases != 1:
        parts.append(b'"num_reduce_phases":%d,' % result.num_reduce_phases)
    parts.append(b'"_shards":' + _shards(result) + b",")
    if result.clusters is not None:
        parts.append(b'"_clusters":' + orjson.dumps(result.clusters) + b",")
    parts.append(b'"hits":{' + _total(result, request))
    parts.append(b'"max_score":' + (b"null" if result.max_score is None else score_json(result.max_score)))
    parts.append(b',"hits":[' + b",".join([hit.json for hit in result.hits]) + b"]}")
    aggregations = final_aggregations(result, request)
    if aggregations is not None:
        parts.append(b',"aggregations":' + orjson.dumps(aggregations, option=orjson.OPT_NON_STR_KEYS))
    if result.suggest is not None:
        parts.append(b',"suggest":' + orjson.dumps(result.suggest))
    if result.profile is not None:
        parts.append(b',"profile":' + orjson.dumps({"shards": result.profile}))
    if status is not None:
        parts.append(b',"status":%d' % status)
    parts.append(b"}")
    return b"".join(parts)


def _total(result: SearchResult, request: SearchRequest) -> bytes:
    if request.total_hits_as_int:
        return b'"total":%d,' % (-1 if result.total is None else result.total)
    if result.total is None:
        return b""
    return b'"total":{"value":%d,"relation":"%s"},' % (result.total, result.relation.encode())


def _shards(result: SearchResult) -> bytes:
    text = b'{"total":%d,"successful":%d,"skipped":%d,"failed":%d' % (
        result.total_shards,
        result.successful,
        result.skipped,
        result.failed,
    )
    if not result.failures:
        return text + b"}"
    shown = [failure_object(failure) for failure in grouped(result.failures)]
    return text + b',"failures":' + orjson.dumps(shown) + b"}"


def render_count(result: SearchResult) -> bytes:
    """The answer of `_count`."""
    return b'{"count":%d,"_shards":%s}' % (result.total or 0, _shards(result))
