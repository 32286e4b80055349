"""Which shards a search need not ask: the query, rewritten with what the shard knows of its values, matches nothing.

When this is tried is Elasticsearch's rule (the documentation of `pre_filter_shard_size`): more shards are searched
than the threshold, which is 128 unless the request says otherwise, or 1 when the first sort key is a field or an
index takes no writes. A shard that is skipped has succeeded; unless the search is a part of a larger one, one shard
always runs. Ranges of dates and numbers are held against the least and the greatest value of the shard's column,
which are asked once for each state of the search index. Tests: tests/search/test_can_match.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hanse.errors import HanseError
from hanse.search.body import SearchBody
from hanse.search.plan import Plan, RequestRefusedError, may_match
from hanse.search.request import SearchRequest
from hanse.search.views import ShardView

SHARDS_UNASKED = 128
_NO_WRITES = ("index.blocks.write", "index.blocks.read_only")


class Planned(NamedTuple):
    """A shard and what is to run on it; building the plan took `build_ns` nanoseconds."""

    view: ShardView
    plan: Plan
    build_ns: int


def is_tried(body: SearchBody, request: SearchRequest, settings: Sequence[Any]) -> bool:
    """Whether looking first may spare a shard and is wanted for so many; `settings` are of each shard's index."""
    if body.query is None or "match_all" in body.query or request.search_type != "query_then_fetch":
        return False
    if body.aggregations is not None and body.aggregations.sees_all_documents:
        return False
    return len(settings) + request.shards_elsewhere > threshold(body, request, settings)


def threshold(body: SearchBody, request: SearchRequest, settings: Iterable[Any]) -> int:
    """How many shards are searched without looking first."""
    if request.pre_filter_shard_size is not None:
        return request.pre_filter_shard_size
    return 1 if _sorts_by_field(body) or any(_takes_no_writes(one) for one in settings) else SHARDS_UNASKED


def _sorts_by_field(body: SearchBody) -> bool:
    return bool(body.sort) and not (body.sort[0].is_score or body.sort[0].is_position)


def _takes_no_writes(settings: Any) -> bool:
    return any(str(settings.get(key)).lower() == "true" for key in _NO_WRITES)


async def prefiltered(
    views: Sequence[ShardView],
    planned: list[Planned],
    body: SearchBody,
    request: SearchRequest,
    now_ms: int,
    *,
    documents_on_loop_max: int,
) -> tuple[list[Planned], int]:
    """The shards to ask, and how many are skipped. Columns of longer shards are read in a thread."""
    if not is_tried(body, request, [view.settings for view in views]):
        return planned, 0
    if any(one.view.reader.searcher.num_docs > documents_on_loop_max for one in planned if one.plan.context.has_ranges):
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, split, planned, body, request, now_ms)
    return split(planned, body, request, now_ms)


def split(planned: list[Planned], body: SearchBody, request: SearchRequest, now_ms: int) -> tuple[list[Planned], int]:
    """The shards to ask and how many are not; where nothing matches the first is asked for the answer's shape."""
    kept = [one for one in planned if _can_match(one.view, one.plan, body, request.cluster_alias, now_ms)]
    if not kept and planned and not request.may_skip_all:
        kept = planned[:1]
    return kept, len(planned) - len(kept)


def _can_match(view: ShardView, plan: Plan, body: SearchBody, cluster_alias: str, now_ms: int) -> bool:
    if plan.aggregated.matches_none:
        return False
    if not plan.context.has_ranges:
        return True
    try:
        return may_match(body, view.shape(cluster_alias), view.reader.searcher, now_ms, view.reader.extent)
    except (HanseError, RequestRefusedError, ValueError):
        # The query itself will say what is wrong with it.
        return True
