"""`buckets_path`: from a bucket to the number a pipeline aggregation works on.

Tests: tests/search/aggregation/test_pipelines.py.
"""

from __future__ import annotations

import math

from hanse.errors import AggregationExecutionError
from hanse.search.aggregation.answer import Answer, BucketAnswer

GAP_POLICIES = ("skip", "insert_zeros", "keep_values")
_CLASS_NAMES = {
    "sterms": "StringTerms",
    "lterms": "LongTerms",
    "dterms": "DoubleTerms",
    "umterms": "UnmappedTerms",
    "histogram": "InternalHistogram",
    "date_histogram": "InternalDateHistogram",
}
_MUST_BE_NUMBER = "buckets_path must reference either a number value or a single value numeric metric aggregation"


def tokens(path: str) -> list[str]:
    """`a>b.c`, `a>b[c]`: the steps a, b, c."""
    steps = path.split(">")
    last = steps.pop()
    if last.endswith("]") and "[" in last:
        head, _, inner = last.partition("[")
        steps += [head, inner[:-1].strip("'\"")]
    else:
        head, dot, prop = last.partition(".")
        steps += [head, prop] if dot else [head]
    return steps


def bucket_value(bucket: BucketAnswer, path: list[str], gap_policy: str) -> float:
    """The number in this bucket, NaN for a gap (or what the policy puts into it)."""
    found = bucket_value_if_there(bucket, path, gap_policy)
    return math.nan if found is None else found


def bucket_value_if_there(bucket: BucketAnswer, path: list[str], gap_policy: str) -> float | None:
    """The same, None where the bucket lacks the aggregation (the first bucket has no derivative)."""
    if path == ["_count"]:
        return float(bucket.doc_count)
    if path == ["_key"] and isinstance(bucket.key, int | float):
        return float(bucket.key)
    if path[0] not in bucket.subs:
        return None
    value = _walk(bucket.subs, path)
    is_gap = value is None or not math.isfinite(value) or (bucket.doc_count == 0 and path[-1] != "_count")
    if not is_gap:
        assert value is not None
        return value
    if gap_policy == "insert_zeros":
        return 0.0
    if gap_policy == "keep_values" and value is not None and math.isfinite(value):
        return value
    return math.nan


def _walk(level: dict[str, Answer], path: list[str]) -> float | None:
    answer = level.get(path[0])
    if answer is None:
        return None
    rest = path[1:]
    if answer.buckets is not None:
        if rest == ["_bucket_count"]:
            return float(len(answer.buckets))
        found = "Object[]" if rest else _CLASS_NAMES.get(answer.type, answer.type)
        raise AggregationExecutionError(f"{_MUST_BE_NUMBER}, got: [{found}] at aggregation [{path[0]}]")
    if answer.subs is not None and rest and rest != ["_count"]:
        return _walk(answer.subs, rest)
    try:
        return answer.metric(rest[0] if rest else None)
    except KeyError:
        if rest:
            raise AggregationExecutionError(f"path not supported for [{path[0]}]: [{rest[0]}]") from None
        raise AggregationExecutionError(
            f"{_MUST_BE_NUMBER}, but [{path[0]}] contains multiple values. Please specify which to use."
        ) from None


def buckets_at(siblings: dict[str, Answer], path: list[str]) -> tuple[list[BucketAnswer], list[str]]:
    """The buckets of the multi-bucket aggregation a sibling path leads to, and the rest of the path."""
    level: dict[str, Answer] | None = siblings
    for i, step in enumerate(path):
        answer = level.get(step) if level is not None else None
        if answer is None:
            break
        if answer.buckets is not None:
            return answer.buckets, path[i + 1 :] or ["_count"]
        level = answer.subs
    raise AggregationExecutionError(
        f"The first aggregation in buckets_path must be a multi-bucket aggregation: [{'>'.join(path)}]"
    )
