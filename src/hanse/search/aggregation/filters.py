"""Aggregations whose buckets are queries: filter, filters, adjacency_matrix, missing, global, nested, reverse_nested.

tantivy cannot nest a query inside its aggregations, so each bucket is a call of its own over the narrowed query.
Objects of `nested` fields are indexed flattened: nested and reverse_nested pass their documents through and count
documents.
Tests: tests/search/aggregation/test_filters.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, ClassVar

import tantivy

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.search.aggregation.answer import Answer, BucketAnswer, BucketBudget
from hanse.search.aggregation.distribution import lacks_value
from hanse.search.aggregation.node import Aggregation, BucketAggregation, RawBucket
from hanse.search.aggregation.parameters import Parameters
from hanse.search.aggregation.run import Native, Partial, Scope, both, either, without

Condition = Callable[[], tantivy.Query]


def _same(query: tantivy.Query) -> tantivy.Query:
    return query


@dataclass(kw_only=True)
class SingleBucket(Aggregation):
    """One bucket: the documents of `scope_of`."""

    takes_children: ClassVar[bool] = True

    def scope_of(self, scope: Scope) -> Scope:
        raise NotImplementedError

    def collect(self, scope: Scope) -> Partial:
        inner = self.scope_of(scope)
        return {"count": inner.docs, "subs": self.collect_children(inner)}

    def merge(self, partials: Sequence[Partial]) -> Partial:
        return {
            "count": sum(partial["count"] for partial in partials),
            "subs": self.merge_children([partial["subs"] for partial in partials]),
        }

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        subs = self.finish_children(partial["subs"], budget)
        return Answer(self.type, meta=self.meta, subs=subs, doc_count=partial["count"])


@dataclass(kw_only=True)
class Filter(SingleBucket):
    type: ClassVar[str] = "filter"

    query: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse_body(cls, name: str, body: Any) -> Aggregation:
        if not isinstance(body, dict):
            raise ParsingError(f"Expected [START_OBJECT] under [filter], but got a value in [{name}]")
        return cls(name=name, query=body or {"match_all": {}})

    def scope_of(self, scope: Scope) -> Scope:
        return scope.narrow(lambda: scope.run.compile_query(self.query))


@dataclass(kw_only=True)
class Missing(SingleBucket):
    type: ClassVar[str] = "missing"

    field_name: str = ""
    has_default: bool = False

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        return cls(name=name, field_name=parameters.field(), has_default=parameters.scalar("missing") is not None)

    def scope_of(self, scope: Scope) -> Scope:
        if self.has_default:
            return scope.narrow(tantivy.Query.empty_query)
        column = scope.run.column(self.field_name)
        if column is None:
            return scope
        return scope.narrow(lambda: lacks_value(scope, column))


@dataclass(kw_only=True)
class Global(SingleBucket):
    type: ClassVar[str] = "global"

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        return cls(name=name)

    def scope_of(self, scope: Scope) -> Scope:
        """All documents the caller may see, whatever the search's query."""
        return Scope(scope.run, scope.run.context.global_query)

    @property
    def sees_all_documents(self) -> bool:
        return True


@dataclass(kw_only=True)
class Nested(SingleBucket):
    type: ClassVar[str] = "nested"

    path: str = ""

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        return cls(name=name, path=str(parameters.required("path")))

    def scope_of(self, scope: Scope) -> Scope:
        return scope


@dataclass(kw_only=True)
class ReverseNested(Nested):
    type: ClassVar[str] = "reverse_nested"

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        return cls(name=name, path=parameters.text("path") or "")


@dataclass(kw_only=True)
class NamedQueries(BucketAggregation):
    """Buckets by query; raw keys are their names."""

    def ask(self, scope: Scope) -> Native | None:
        return None

    def conditions(self, scope: Scope) -> list[tuple[str, Condition]]:
        raise NotImplementedError

    def collect_large(self, scope: Scope) -> list[RawBucket]:
        return [RawBucket(name, scope.narrow(condition).docs, condition) for name, condition in self.conditions(scope)]

    def merge(self, partials: Sequence[Partial]) -> Partial:
        counts: dict[str, int] = dict.fromkeys(self.names(), 0)
        subs: dict[str, list[dict[str, Partial]]] = {name: [] for name in counts}
        for partial in partials:
            for name, count, below in partial["buckets"]:
                counts[name] = counts.get(name, 0) + count
                subs.setdefault(name, []).append(below)
        fixed = self.names()
        shown = fixed or sorted(counts)
        return {"buckets": [[name, counts[name], self.merge_children(subs[name])] for name in shown]}

    def names(self) -> list[str]:
        """The buckets that are always there, in order; none means: those that partials bring, by name."""
        raise NotImplementedError


@dataclass(kw_only=True)
class Filters(NamedQueries):
    type: ClassVar[str] = "filters"

    queries: dict[str, dict[str, Any]] = field(default_factory=dict)
    keyed: bool = True
    is_named: bool = True
    other: str | None = None

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        is_keyed = isinstance(parameters.raw("filters"), dict)
        given = parameters.queries("filters")
        entries = sorted(given.items()) if is_keyed else list(given.items())
        node = cls(name=name, queries=dict(entries), keyed=parameters.boolean("keyed", True) and is_keyed)
        node.is_named = is_keyed
        other_key = parameters.text("other_bucket_key")
        if parameters.boolean("other_bucket") or other_key is not None:
            node.other = (other_key or "_other_") if is_keyed else str(len(entries))
        return node

    def conditions(self, scope: Scope) -> list[tuple[str, Condition]]:
        compiled = {name: scope.run.compile_query(query) for name, query in self.queries.items()}
        found: list[tuple[str, Condition]] = [
            (name, functools.partial(_same, query)) for name, query in compiled.items()
        ]
        if self.other is not None:
            found.append((self.other, lambda: without(either(*compiled.values()))))
        return found

    def names(self) -> list[str]:
        return [*self.queries, *([] if self.other is None else [self.other])]

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        buckets = []
        for name, count, subs in partial["buckets"]:
            head = {"key": name} if self.is_named and not self.keyed else {}
            bucket = BucketAnswer(name, count, head, label=name)
            bucket.subs = self.finish_children(subs, budget)
            buckets.append(bucket)
        return self.finish_buckets(buckets, keyed=self.keyed)


@dataclass(kw_only=True)
class AdjacencyMatrix(NamedQueries):
    type: ClassVar[str] = "adjacency_matrix"

    queries: dict[str, dict[str, Any]] = field(default_factory=dict)
    separator: str = "&"
    filters_max: ClassVar[int] = 100

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        given = parameters.queries("filters")
        if len(given) > cls.filters_max:
            raise IllegalArgumentError(
                f"Number of filters is too large, must be less than or equal to: "
                f"[{cls.filters_max}] but was [{len(given)}]."
            )
        return cls(name=name, queries=dict(sorted(given.items())), separator=parameters.text("separator") or "&")

    def conditions(self, scope: Scope) -> list[tuple[str, Condition]]:
        compiled = {name: scope.run.compile_query(query) for name, query in self.queries.items()}
        found: list[tuple[str, Condition]] = [
            (name, functools.partial(_same, query)) for name, query in compiled.items()
        ]
        for (one, left), (two, right) in combinations(compiled.items(), 2):
            found.append((f"{one}{self.separator}{two}", functools.partial(both, left, right)))
        return found

    def names(self) -> list[str]:
        return []

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        buckets = []
        for name, count, subs in sorted(partial["buckets"]):
            if count:
                bucket = BucketAnswer(name, count, {"key": name}, label=name)
                bucket.subs = self.finish_children(subs, budget)
                buckets.append(bucket)
        return self.finish_buckets(buckets)
