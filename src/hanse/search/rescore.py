"""`rescore`: the best hits of a shard, put into a new order by a second query.

Tests: tests/search/test_query_phase.py.
"""

from __future__ import annotations

from typing import Any

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.search.json_input import as_float, as_int
from hanse.search.plan import Plan
from hanse.search.top_hits import Found, ShardSearch

_MODES = ("total", "multiply", "avg", "max", "min")
_DEFAULT_WINDOW = 10


def window_of(steps: list[dict[str, Any]]) -> int:
    """How many hits of each shard the steps look at."""
    return max((as_int(step.get("window_size", _DEFAULT_WINDOW), "window_size") for step in steps), default=0)


def rescore(search: ShardSearch, steps: list[dict[str, Any]], plan: Plan, hits: list[Found]) -> list[Found]:
    """Hits beyond a step's window stay behind it; only the first query's weight touches them."""
    for step in steps:
        hits = _one_step(search, step, plan, hits)
    return hits


def _one_step(search: ShardSearch, step: dict[str, Any], plan: Plan, hits: list[Found]) -> list[Found]:
    for key in step:
        if key not in ("window_size", "query"):
            raise ParsingError(f"rescore doesn't support rescorer name [{key}]")
    settings = step.get("query")
    if not isinstance(settings, dict) or "rescore_query" not in settings:
        raise IllegalArgumentError("missing rescore type")
    mode = str(settings.get("score_mode", "total"))
    if mode not in _MODES:
        raise IllegalArgumentError(f"illegal score_mode [{mode}]")
    first_weight = as_float(settings.get("query_weight", 1.0), "query_weight")
    second_weight = as_float(settings.get("rescore_query_weight", 1.0), "rescore_query_weight")
    window = as_int(step.get("window_size", _DEFAULT_WINDOW), "window_size")
    inside, outside = hits[:window], hits[window:]
    second = search.matching(plan.context.fresh().build(settings["rescore_query"]).query, inside)
    for hit in inside:
        first_score = (hit.score or 0.0) * first_weight
        score = second.get((hit.address.segment_ord, hit.address.doc))
        hit.score = first_score if score is None else _combined(mode, first_score, score * second_weight)
    for hit in outside:
        hit.score = (hit.score or 0.0) * first_weight
    inside.sort(key=lambda hit: -(hit.score or 0.0))
    return inside + outside


def _combined(mode: str, first: float, second: float) -> float:
    if mode == "total":
        return first + second
    if mode == "multiply":
        return first * second
    if mode == "avg":
        return (first + second) / 2
    return max(first, second) if mode == "max" else min(first, second)
