"""The parts of a search over several nodes: what was asked, what is missing from an answer, and all put together.

Tests: tests/search/test_distribute.py, tests/search/test_spread_contexts.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hanse.errors import (
    ConnectTransportError,
    HanseError,
    NoShardAvailableError,
    ReceiveTimeoutError,
    SearchContextMissingError,
)
from hanse.search.body import SearchBody
from hanse.search.contexts import missing
from hanse.search.coordinate import reduce_phases
from hanse.search.copies import ELSEWHERE, Place
from hanse.search.failures import from_failure, shard_failure
from hanse.search.merge import merge
from hanse.search.pit_id import Part
from hanse.search.request import SearchRequest, SearchResult, ShardFailure
from hanse.search.shard_requests import Shards

_ELSEWHERE = frozenset(error.type for error in ELSEWHERE)
GONE = (SearchContextMissingError, ConnectTransportError, ReceiveTimeoutError)
"""What says that a context is lost: it ended, or its node did."""


def by_index(places: Sequence[Place]) -> Shards:
    shards: dict[str, list[tuple[int, int]]] = {}
    for place in places:
        shards.setdefault(place.index, []).append((place.number, place.ordinal))
    return {index: tuple(numbers) for index, numbers in shards.items()}


def share(request: SearchRequest, *, elsewhere: int = 0, runs: bool = False) -> SearchRequest:
    """What is asked for some shards of a search, with `elsewhere` others that count, too.

    Among them all one runs where nothing can match, and a part cannot know whether it is one of its own: with `runs`
    it is.
    """
    return msgspec.structs.replace(
        request,
        final_reduce=False,
        shards_elsewhere=request.shards_elsewhere + elsewhere,
        may_skip_all=not runs and (request.may_skip_all or elsewhere > 0),
    )


def idle_part(results: Sequence[SearchResult]) -> int | None:
    """The number of a part that is to be asked again when no shard of any has run: the answer needs its shape."""
    if any(result.successful > result.skipped for result in results):
        return None
    return next((number for number, result in enumerate(results) if result.skipped), None)


def taken_out(result: SearchResult, asked: Sequence[Place], cluster_alias: str) -> dict[int, HanseError]:
    """Takes the shards out of the answer that another copy may answer for; by ordinal why they are not in it."""
    if not result.failures:
        return {}
    ordinals = {(place.index, place.number): place.ordinal for place in asked}
    prefix = f"{cluster_alias}:" if cluster_alias else ""
    kept: list[ShardFailure] = []
    taken: dict[int, HanseError] = {}
    for failure in result.failures:
        ordinal = ordinals.get(((failure.index or "").removeprefix(prefix), failure.shard))
        if ordinal is not None and failure.reason.get("type") in _ELSEWHERE:
            taken[ordinal] = from_failure(failure)
        else:
            kept.append(failure)
    result.failures = kept
    result.failed -= len(taken)
    result.total_shards -= len(taken)
    return taken


def lost_shards(places: Sequence[Place], cluster_alias: str) -> SearchResult:
    """The shards that no copy answered for. It may be different in a moment, so they stand for a 503."""
    prefix = f"{cluster_alias}:" if cluster_alias else ""
    failures = []
    for place in places:
        why = place.failure or NoShardAvailableError(f"no active copy of shard [{place.index}][{place.number}]")
        failures.append(shard_failure(prefix + place.index, place.number, why, node=place.asked))
        failures[-1].status = 503
    return SearchResult(total_shards=len(places), failed=len(places), failures=failures)


def gone(part: Part) -> SearchResult:
    """The shards of a context that is lost."""
    return SearchResult(total_shards=part.shards, failed=part.shards, failures=[missing(part)] * part.shards)


def merged(results: Sequence[SearchResult], request: SearchRequest, body: SearchBody) -> SearchResult:
    """One result as one node would give it."""
    result = merge(results, request, body)
    result.failures.sort(key=lambda failure: (failure.index or "", failure.shard))
    if result.profile is not None:
        result.profile.sort(key=lambda shard: str(shard["id"]).partition("]")[2])
    result.num_reduce_phases = reduce_phases(result.successful - result.skipped, request.batched_reduce_size)
    return result
