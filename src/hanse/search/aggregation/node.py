"""What every aggregation is: a node of the plan that asks, reads, merges and finishes.

The life of a node: `native` says what to ask of tantivy (None when it cannot be asked inside somebody else's call),
`read` turns the answer into a partial, `collect` makes the partial by calls of its own, `merge` joins partials (with
the empty list as identity; associative and commutative), `finish` makes the Answer. Partials are plain MessagePack
values.
Tests: tests/search/aggregation/test_merge_equals_whole.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import tantivy

from hanse.errors import TooManyBucketsError
from hanse.search.aggregation.answer import Answer, BucketAnswer, BucketBudget
from hanse.search.aggregation.run import (
    BucketLimitError,
    Native,
    Partial,
    Scope,
    collect_level,
    native_requests,
    parts_of,
)


@dataclass(kw_only=True)
class Aggregation:
    """A node of the plan. Subclasses carry their parameters as fields."""

    type: ClassVar[str] = ""
    takes_children: ClassVar[bool] = False
    is_multi_bucket: ClassVar[bool] = False

    name: str = ""
    meta: dict[str, Any] | None = None
    children: list[Aggregation] = field(default_factory=list)
    pipelines: list[Pipeline] = field(default_factory=list)

    def native(self, scope: Scope) -> Native | None:
        """tantivy requests by part name, with those of all descendants that can be asked along."""
        return None

    def read(self, scope: Scope, parts: dict[str, Any]) -> Partial:
        raise NotImplementedError(self.type)

    def collect(self, scope: Scope) -> Partial:
        raise NotImplementedError(self.type)

    def merge(self, partials: Sequence[Partial]) -> Partial:
        raise NotImplementedError(self.type)

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        raise NotImplementedError(self.type)

    @property
    def sees_all_documents(self) -> bool:
        """Whether it, or one below it, shows documents or values that the query does not match."""
        return any(child.sees_all_documents for child in self.children)

    # -- children --------------------------------------------------------------------------------------------------

    def collect_children(self, scope: Scope) -> dict[str, Partial]:
        return collect_level(self.children, scope) if self.children else {}

    def merge_children(self, levels: Sequence[dict[str, Partial]]) -> dict[str, Partial]:
        return merge_level(self.children, levels)

    def finish_children(self, partials: dict[str, Partial], budget: BucketBudget) -> dict[str, Answer]:
        return finish_level(self.children, self.sibling_pipelines, partials, budget)

    @property
    def sibling_pipelines(self) -> list[Pipeline]:
        return [pipeline for pipeline in self.pipelines if pipeline.is_sibling]

    @property
    def parent_pipelines(self) -> list[Pipeline]:
        return [pipeline for pipeline in self.pipelines if not pipeline.is_sibling]

    def finish_buckets(self, buckets: list[BucketAnswer], **fields: Any) -> Answer:
        """The multi-bucket Answer after this node's parent pipelines have run over its buckets."""
        answer = Answer(fields.pop("type", self.type), meta=self.meta, buckets=buckets, **fields)
        for pipeline in ordered(self.parent_pipelines):
            pipeline.run_on_buckets(self, answer)
        return answer


@dataclass(kw_only=True)
class Pipeline:
    """An aggregation over the finished answers of others; runs once, at the final reduce."""

    type: ClassVar[str] = ""
    is_sibling: ClassVar[bool] = False

    name: str = ""
    meta: dict[str, Any] | None = None
    paths: dict[str, str] = field(default_factory=dict)

    def run_on_buckets(self, parent: Aggregation, answer: Answer) -> None:
        raise NotImplementedError(self.type)

    def run_on_siblings(self, siblings: dict[str, Answer]) -> Answer:
        raise NotImplementedError(self.type)


def ordered(pipelines: Sequence[Pipeline]) -> list[Pipeline]:
    """The pipelines with those that read another's answer after it (a cycle keeps the written order)."""
    done: list[Pipeline] = []
    waiting = list(pipelines)
    while waiting:
        names = {pipeline.name for pipeline in waiting}
        ready = [p for p in waiting if not any(first_step(path) in names - {p.name} for path in p.paths.values())]
        done += ready or waiting
        waiting = [p for p in waiting if p not in ready] if ready else []
    return done


def first_step(path: str) -> str:
    return path.partition(">")[0].partition(".")[0].partition("[")[0]


def merge_level(children: Sequence[Aggregation], levels: Sequence[dict[str, Partial]]) -> dict[str, Partial]:
    return {
        child.name: child.merge([level[child.name] for level in levels if child.name in level]) for child in children
    }


def finish_level(
    children: Sequence[Aggregation], siblings: Sequence[Pipeline], partials: dict[str, Partial], budget: BucketBudget
) -> dict[str, Answer]:
    answers = {}
    for child in children:
        partial = partials[child.name] if child.name in partials else child.merge([])
        answers[child.name] = child.finish(partial, budget)
    for pipeline in ordered(siblings):
        answer = pipeline.run_on_siblings(answers)
        answer.meta = pipeline.meta
        answers[pipeline.name] = answer
    return answers


@dataclass(slots=True)
class RawBucket:
    """A bucket as one shard found it: `condition` selects its documents, None all of the scope."""

    key: Any
    doc_count: int
    condition: Callable[[], tantivy.Query] | None
    answers: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class BucketAggregation(Aggregation):
    """A multi-bucket aggregation that tantivy computes, children included where it can.

    Subclasses give `ask` (own requests), `buckets` (the raw buckets in its answer), `select` (which of them leave the
    shard) and `pack` (the partial). When the bucket limit stops `ask` even without children, `collect_large` steps in.
    """

    takes_children: ClassVar[bool] = True
    is_multi_bucket: ClassVar[bool] = True

    @property
    def counts_documents(self) -> bool:
        """Whether a raw bucket's count is that of the documents its condition selects, which saves counting them."""
        return True

    def _inside(self, scope: Scope, bucket: RawBucket) -> Scope:
        return scope.narrow(bucket.condition, bucket.doc_count if self.counts_documents else None)

    def ask(self, scope: Scope) -> Native | None:
        raise NotImplementedError(self.type)

    def buckets(self, scope: Scope, parts: dict[str, Any]) -> list[RawBucket]:
        raise NotImplementedError(self.type)

    def select(self, scope: Scope, found: list[RawBucket]) -> tuple[list[RawBucket], dict[str, Any]]:
        """The buckets that leave the shard and what else goes into the partial."""
        return found, {}

    def children_for_select(self) -> list[Aggregation]:
        """Children whose values decide `select` (ordering by a metric)."""
        return []

    def collect_large(self, scope: Scope) -> list[RawBucket]:
        raise TooManyBucketsError.of(scope.run.context.max_buckets)

    def native(self, scope: Scope) -> Native | None:
        return self._with_children(scope, self.children)

    def _with_children(self, scope: Scope, children: Sequence[Aggregation]) -> Native | None:
        own = self.ask(scope)
        if not own or not children:
            return own
        requests = native_requests(children, scope)
        return {part: {**request, "aggs": requests} if requests else request for part, request in own.items()}

    def read(self, scope: Scope, parts: dict[str, Any]) -> Partial:
        return self._pack(scope, self.buckets(scope, parts))

    def collect(self, scope: Scope) -> Partial:
        """By calls of its own: first without any child that is not needed to choose buckets, then bucket by bucket."""
        requests = self._with_children(scope, self.children_for_select())
        if requests is None:
            return self._pack(scope, self.collect_large(scope))
        try:
            answers = scope.run.aggregate(scope.query, requests)
        except BucketLimitError:
            return self._pack(scope, self.collect_large(scope))
        return self._pack(scope, self.buckets(scope, answers))

    def child_partial(self, scope: Scope, bucket: RawBucket, child: Aggregation) -> Partial:
        """A child's partial inside a bucket: from tantivy's answer where it is there, else collected."""
        inner = self._inside(scope, bucket)
        parts = parts_of(bucket.answers, child.name)
        return child.read(inner, parts) if parts else collect_level([child], inner)[child.name]

    def _pack(self, scope: Scope, found: list[RawBucket]) -> Partial:
        kept, extra = self.select(scope, found)
        rows = [[bucket.key, bucket.doc_count, self._children_of(scope, bucket)] for bucket in kept]
        return {"buckets": rows, **extra}

    def _children_of(self, scope: Scope, bucket: RawBucket) -> dict[str, Partial]:
        if not self.children:
            return {}
        inner = self._inside(scope, bucket)
        partials: dict[str, Partial] = {}
        rest = []
        for child in self.children:
            parts = parts_of(bucket.answers, child.name)
            if parts:
                partials[child.name] = child.read(inner, parts)
            else:
                rest.append(child)
        if rest:
            partials.update(collect_level(rest, inner))
        return partials
