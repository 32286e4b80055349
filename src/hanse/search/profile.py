"""The `profile` of a search: what each shard was measured to spend, in the form of Elasticsearch's profile API.

Measured are: building the query for the shard (`rewrite_time`), the engine's run over it, each aggregation at the top,
and the fetch. The engine matches and collects in one run, so a query and its collector show the same time; it does not
tell the parts of a query or the steps of a breakdown apart, so there are no `children` below a query and every step of
a breakdown is 0, its count too. While profiled, aggregations run one after the other instead of in one call.
Tests: tests/search/test_profile.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any, TypeVar

import orjson

from hanse.search.body import SearchBody
from hanse.search.plan import Plan
from hanse.search.views import ShardView

R = TypeVar("R")
_KIND = re.compile(r"\w+Query")
"""The first query in the engine's text, below boosts and constant scores."""

_QUERY_STEPS = (
    "advance",
    "build_scorer",
    "compute_max_score",
    "count_weight",
    "create_weight",
    "match",
    "next_doc",
    "score",
    "set_min_competitive_score",
    "shallow_advance",
)
_AGGREGATION_STEPS = (
    "build_aggregation",
    "build_leaf_collector",
    "collect",
    "initialize",
    "post_collection",
    "reduce",
)
_FETCH_STEPS = ("load_source", "load_stored_fields", "next_reader")


@dataclass(slots=True)
class Timings:
    """What one shard spent, in nanoseconds. `aggregations` holds kind, name and time of each at the top."""

    rewrite: int = 0
    query_phase: int = 0
    hits: int = 0
    aggregations: list[tuple[str, str, int]] = field(default_factory=list)
    fetch: int | None = None


def timed(work: Callable[[], R]) -> tuple[R, int]:
    """The outcome and how many nanoseconds it took."""
    started = perf_counter_ns()
    outcome = work()
    return outcome, perf_counter_ns() - started


def shard_profile(
    view: ShardView, plan: Plan, body: SearchBody, timings: Timings, cluster_alias: str
) -> dict[str, Any]:
    """One entry of `profile.shards`. The query is shown as it was asked: what rights and aliases add is not."""
    shown_index = f"{cluster_alias}:{view.index}" if cluster_alias else view.index
    kind = _KIND.search(str(plan.asked.query).removeprefix("Query("))
    query = {
        "type": kind[0] if kind else "Query",
        "description": orjson.dumps(body.query if body.query is not None else {"match_all": {}}).decode(),
        "time_in_nanos": timings.hits,
        "breakdown": _untold(_QUERY_STEPS),
    }
    search = {"query": [query], "rewrite_time": timings.rewrite, "collector": [_collector(plan, body, timings)]}
    answer: dict[str, Any] = {
        "id": f"[{view.node}][{shown_index}][{view.number}]",
        "node_id": view.node,
        "shard_id": view.number,
        "index": view.index,
        "cluster": cluster_alias or "(local)",
        "searches": [search],
        "aggregations": [_aggregation(*one) for one in timings.aggregations],
    }
    if timings.fetch is not None:
        steps = _untold(_FETCH_STEPS)
        answer["fetch"] = {"type": "fetch", "description": "", "time_in_nanos": timings.fetch, "breakdown": steps}
    return answer


def _collector(plan: Plan, body: SearchBody, timings: Timings) -> dict[str, Any]:
    if body.from_ + body.size == 0:
        name, reason = "Count", "search_count"
    else:
        name, reason = ("TopBySort", "search_sorted") if plan.keys else ("TopByScore", "search_top_hits")
    parts = [{"name": name, "reason": reason, "time_in_nanos": timings.hits}]
    if timings.aggregations:
        names = ", ".join(name for _, name, _ in timings.aggregations)
        spent = sum(nanos for _, _, nanos in timings.aggregations)
        parts.append({"name": f"Aggregations: [{names}]", "reason": "aggregation", "time_in_nanos": spent})
    return {
        "name": "QueryPhase",
        "reason": "search_query_phase",
        "time_in_nanos": timings.query_phase,
        "children": parts,
    }


def _aggregation(kind: str, name: str, nanos: int) -> dict[str, Any]:
    return {"type": kind, "description": name, "time_in_nanos": nanos, "breakdown": _untold(_AGGREGATION_STEPS)}


def _untold(steps: tuple[str, ...]) -> dict[str, int]:
    """Clients want every step; the engine tells none of them apart."""
    return {key: 0 for step in steps for key in (step, f"{step}_count")}
