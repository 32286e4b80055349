"""The finished form of an aggregation, between merging and JSON: what pipelines read and change, what rendering prints.

Tests: tests/search/aggregation/test_parse.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hanse.errors import AggregationExecutionError, TooManyBucketsError


@dataclass(slots=True)
class BucketAnswer:
    """One bucket. `head` precedes the document count (key, key_as_string, from, to), `tail` follows it.

    `label` names the bucket in a keyed answer; ranges and filters then leave out the `key` member (`hides_key`).
    """

    key: Any
    doc_count: int
    head: dict[str, Any]
    label: str = ""
    hides_key: bool = False
    tail: dict[str, Any] = field(default_factory=dict)
    subs: dict[str, Answer] = field(default_factory=dict)

    def render(self, typed_keys: bool, *, keyed: bool) -> dict[str, Any]:
        head = {k: v for k, v in self.head.items() if k != "key"} if keyed and self.hides_key else self.head
        return {**head, "doc_count": self.doc_count, **self.tail, **render_all(self.subs, typed_keys)}


@dataclass(slots=True)
class Answer:
    """One finished aggregation: `buckets` of a multi-bucket one, `subs` of a single bucket, neither for metrics."""

    type: str
    body: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] | None = None
    buckets: list[BucketAnswer] | None = None
    keyed: bool = False
    subs: dict[str, Answer] | None = None
    doc_count: int | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    tail: dict[str, Any] = field(default_factory=dict)

    def metric(self, prop: str | None) -> float | None:
        """A number of a metric aggregation: `value` of a single-valued one, or the named one of many."""
        if prop is None:
            if "value" in self.metrics:
                return self.metrics["value"]
            if self.doc_count is not None:
                return float(self.doc_count)
            raise KeyError(self.type)
        if prop in ("_count", "doc_count") and self.doc_count is not None:
            return float(self.doc_count)
        if prop in self.metrics:
            return self.metrics[prop]
        try:
            return self.metrics[repr(float(prop))]
        except ValueError:
            raise KeyError(prop) from None

    def render(self, typed_keys: bool) -> dict[str, Any]:
        answer: dict[str, Any] = {} if self.meta is None else {"meta": self.meta}
        if self.doc_count is not None:
            answer["doc_count"] = self.doc_count
        answer.update(self.body)
        if self.buckets is not None:
            if self.keyed:
                answer["buckets"] = {b.label: b.render(typed_keys, keyed=True) for b in self.buckets}
            else:
                answer["buckets"] = [b.render(typed_keys, keyed=False) for b in self.buckets]
        if self.subs is not None:
            answer.update(render_all(self.subs, typed_keys))
        answer.update(self.tail)
        return answer


def render_all(answers: dict[str, Answer], typed_keys: bool) -> dict[str, Any]:
    return {
        f"{answer.type}#{name}" if typed_keys else name: answer.render(typed_keys) for name, answer in answers.items()
    }


class BucketBudget:
    """Counts the buckets of an answer and refuses what exceeds `search.max_buckets`."""

    def __init__(self, max_buckets: int) -> None:
        self.max_buckets = max_buckets
        self._used = 0

    def spend(self, count: int) -> None:
        self._used += count
        if self._used > self.max_buckets:
            raise TooManyBucketsError.of(self.max_buckets)


def split_path(path: str) -> tuple[list[str], str | None]:
    """`a>b.c` and `a>b[c]` are the aggregations a, b and the property c (None when absent)."""
    prop: str | None = None
    if path.endswith("]") and "[" in path:
        path, _, rest = path.partition("[")
        prop = rest[:-1].strip("'\"")
    steps = path.split(">")
    if prop is None and "." in steps[-1]:
        steps[-1], _, prop = steps[-1].partition(".")
    return steps, prop


def metric_at(subs: dict[str, Answer], path: str, *, context: str) -> float | None:
    """The number at a path through single-bucket aggregations, for ordering buckets."""
    steps, prop = split_path(path)
    found: Answer | None = None
    level: dict[str, Answer] | None = subs
    for step in steps:
        found = level.get(step) if level is not None else None
        if found is None:
            raise AggregationExecutionError(
                f"Invalid aggregator order path [{path}]. The provided aggregation [{step}] either does not exist, or "
                "is a pipeline aggregation and cannot be used to sort the buckets."
            )
        level = found.subs
    assert found is not None
    if found.buckets is not None:
        raise AggregationExecutionError(
            f"Invalid aggregation order path [{path}]. Buckets can only be sorted on a sub-aggregator path that is "
            "built out of zero or more single-bucket aggregations within the path and a final single-bucket or a "
            f"metrics aggregation at the path end. [{steps[-1]}] is not single-bucket."
        )
    try:
        return found.metric(prop)
    except KeyError:
        raise AggregationExecutionError(
            f"Invalid aggregation order path [{path}]. When ordering on a multi-value metrics aggregation a metric "
            f"name must be specified ({context})."
        ) from None


def count_buckets(answers: dict[str, Answer]) -> int:
    """The buckets of an answer at every depth, single-bucket aggregations included."""
    total = 0
    for answer in answers.values():
        for bucket in answer.buckets or ():
            total += 1 + count_buckets(bucket.subs)
        if answer.subs is not None:
            total += 1 + count_buckets(answer.subs)
    return total
