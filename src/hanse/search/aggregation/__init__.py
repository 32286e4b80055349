"""Aggregations: parse a request, collect on one shard, join the partials, finish the answer.

    plan = parse_aggregations(body["aggs"])
    partial = collect(plan, searcher=..., schema=..., query=..., mapping=..., compile_query=..., context=...)
    merged = merge_partials(plan, [partial, ...])
    answer = finish(plan, merged, typed_keys=False)

Promises: a partial is plain MessagePack data; joining is associative and commutative with `[]` as identity, so shards,
nodes and clusters may join in any grouping; the answer equals what one shard with all documents would give, save where
`terms` cut (it says so), beyond 4096 distinct values in `cardinality` (1.6 % standard error) and beyond 10,000 in
percentiles (0.1 % of the value). `collect` blocks: run it off the event loop. Nothing here knows rights.
Tests: tests/search/aggregation/.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import tantivy

from hanse.search.aggregation.answer import BucketBudget, count_buckets, render_all
from hanse.search.aggregation.columns import FieldLookup
from hanse.search.aggregation.embedded_queries import queries_in, with_queries
from hanse.search.aggregation.node import Aggregation, Pipeline, finish_level, merge_level
from hanse.search.aggregation.parse import parse_level
from hanse.search.aggregation.run import CollectContext, Run, Scope, TopHits, collect_level
from hanse.settings.cluster_settings import MAX_BUCKETS

__all__ = [
    "AggregationPlan",
    "CollectContext",
    "TopHits",
    "collect",
    "finish",
    "merge_partials",
    "parse_aggregations",
]


@dataclass(frozen=True, slots=True)
class AggregationPlan:
    """A parsed `aggs` object; false when it is empty. Immutable, shared by all shards of a search."""

    nodes: list[Aggregation] = field(default_factory=list)
    pipelines: list[Pipeline] = field(default_factory=list)

    @property
    def queries(self) -> list[dict[str, Any]]:
        """The queries of filter, filters and adjacency_matrix at every depth."""
        return queries_in(self.nodes)

    def with_queries(self, queries: Sequence[dict[str, Any]]) -> AggregationPlan:
        """The plan with other queries in the places of `queries`, in the same order."""
        return AggregationPlan(with_queries(self.nodes, iter(queries)), self.pipelines)

    @property
    def sees_all_documents(self) -> bool:
        """Whether some aggregation, at any depth, shows documents or values that the query does not match."""
        return any(node.sees_all_documents for node in self.nodes)

    def __bool__(self) -> bool:
        return bool(self.nodes or self.pipelines)


def parse_aggregations(body: dict[str, Any] | None) -> AggregationPlan:
    """The plan of the value of `aggs`; raises Elasticsearch's errors (400)."""
    nodes, pipelines = parse_level(body or {}, ())
    return AggregationPlan(nodes, pipelines)


def collect(
    plan: AggregationPlan,
    *,
    searcher: tantivy.Searcher,
    schema: tantivy.Schema,
    query: tantivy.Query,
    mapping: FieldLookup,
    compile_query: Callable[[dict[str, Any]], tantivy.Query],
    context: CollectContext,
) -> dict[str, Any]:
    """The partial of one shard over the documents of `query`; may take long, holds no lock."""
    run = Run(searcher, schema, mapping, compile_query, context)
    return collect_level(plan.nodes, Scope(run, query))


def merge_partials(plan: AggregationPlan, partials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One partial that stands for all of them."""
    return merge_level(plan.nodes, partials)


def finish(
    plan: AggregationPlan,
    partials: dict[str, Any] | Sequence[dict[str, Any]],
    *,
    typed_keys: bool = False,
    max_buckets: int = MAX_BUCKETS.default,
) -> dict[str, Any]:
    """The `aggregations` member of the answer; runs the pipelines, fills gaps, cuts to size."""
    merged = merge_partials(plan, [partials] if isinstance(partials, dict) else partials)
    budget = BucketBudget(max_buckets)
    answers = finish_level(plan.nodes, plan.pipelines, merged, budget)
    BucketBudget(max_buckets).spend(count_buckets(answers))
    return render_all(answers, typed_keys)
