"""One shard's collecting: the calls to tantivy, and the cut from a whole query to the part of it inside a bucket.

`collect_level` sends every aggregation of a level that tantivy can compute, with all of their descendants that it can
compute, in one call; the others run on their own. When tantivy's bucket limit stops such a call the level falls apart
into single aggregations, each then collected bucket by bucket, so the answer is the same, only dearer.
Tests: tests/search/aggregation/test_merge_equals_whole.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import tantivy

from hanse.errors import AggregationExecutionError, IllegalArgumentError
from hanse.search.aggregation.columns import Column, FieldLookup, index_name, resolve
from hanse.search.aggregation.date_text import to_millis
from hanse.settings.cluster_settings import MAX_BUCKETS

if TYPE_CHECKING:
    from hanse.search.aggregation.node import Aggregation

ALL = 2**32 - 1  # size for "every term" in tantivy's terms aggregation
ENGINE_BUCKET_LIMIT = 65_000
Partial = Any
Native = dict[str, dict[str, Any]]


class BucketLimitError(Exception):
    """tantivy refused to build more than its bucket limit; never leaves this room."""


@dataclass(slots=True)
class TopHits:
    """What the search room renders for `top_hits`: hits with comparable sort values in the order of the sort asked."""

    total: int
    relation: str
    max_score: float | None
    hits: list[tuple[list[Any], bytes]]


@dataclass(frozen=True, slots=True)
class CollectContext:
    """What collecting needs from the search around it.

    `global_query` is everything the caller may see (match_all under document-level security); `render_hits` renders
    the hits of a query for a `top_hits` body; `shown_index` is the index as the caller sees it, with a remote's alias.
    """

    index: str
    global_query: tantivy.Query
    shown_index: str = ""
    render_hits: Callable[[tantivy.Query, dict[str, Any]], TopHits] | None = None
    max_buckets: int = MAX_BUCKETS.default
    now_ms: int | None = None


@dataclass
class Run:
    """The collecting of one plan on one shard."""

    searcher: tantivy.Searcher
    schema: tantivy.Schema
    mapping: FieldLookup
    compile_query: Callable[[dict[str, Any]], tantivy.Query]
    context: CollectContext
    _columns: dict[str, Column | None] = field(default_factory=dict)
    now_ms: int = 0

    def __post_init__(self) -> None:
        # One moment for the whole run: bounds are computed when asking and again when reading the answer.
        given = self.context.now_ms
        self.now_ms = to_millis(datetime.now(UTC)) if given is None else given

    def column(self, name: str) -> Column | None:
        if name not in self._columns:
            if name == "_index":
                self._columns[name] = index_name(self.context.shown_index or self.context.index)
            else:
                self._columns[name] = resolve(self.mapping, name, self.context.index)
        return self._columns[name]

    def aggregate(self, query: tantivy.Query, native: Native) -> dict[str, Any]:
        """tantivy's answers by request name; raises BucketLimitError."""
        if not native:
            return {}
        try:
            answers: dict[str, Any] = self.searcher.aggregate(query, native)
        except ValueError as failure:
            if "bucket limit" in str(failure) or "memory" in str(failure).lower():
                raise BucketLimitError(str(failure)) from failure
            raise IllegalArgumentError(f"the aggregation cannot be computed: {failure}") from failure
        except BaseException as failure:
            # A panic of the library is no Exception and would end the thread; its class cannot be imported.
            if type(failure).__name__ != "PanicException":
                raise
            raise AggregationExecutionError(f"the search library gave up on the aggregation: {failure}") from failure
        return answers

    def count(self, query: tantivy.Query) -> int:
        found = self.searcher.search(query, 1, count=True)
        return int(found.count)  # type: ignore[attr-defined]  # missing in the wheel's stub


class Scope:
    """A query narrowed bucket by bucket; the tantivy query is built only when somebody needs it.

    `docs` is how many documents it has: what the bucket that made it counted, else asked once.
    """

    __slots__ = ("_bounds", "_conditions", "_docs", "_query", "run")

    def __init__(self, run: Run, query: tantivy.Query, bounds: dict[str, tuple[float, float] | None] | None = None):
        self.run = run
        self._query: tantivy.Query | None = query
        self._docs: int | None = None
        self._conditions: tuple[Scope, Callable[[], tantivy.Query]] | None = None
        # Least and greatest value of a column in the outermost query: a superset of every bucket's values.
        self._bounds: dict[str, tuple[float, float] | None] = {} if bounds is None else bounds

    def narrow(self, condition: Callable[[], tantivy.Query] | None, docs: int | None = None) -> Scope:
        """The documents of a bucket, of which it may have counted `docs`. None is no condition: all of this scope."""
        if condition is None:
            return self
        inner = Scope.__new__(Scope)
        inner.run, inner._query, inner._bounds = self.run, None, self._bounds
        inner._docs = docs
        inner._conditions = (self, condition)
        return inner

    @property
    def docs(self) -> int:
        if self._docs is None:
            self._docs = self.run.count(self.query)
        return self._docs

    @property
    def query(self) -> tantivy.Query:
        if self._query is None:
            assert self._conditions is not None
            outer, condition = self._conditions
            self._query = both(outer.query, condition())
        return self._query

    def bounds(self, column: Column) -> tuple[float, float] | None:
        """The least and greatest value of a column over the outermost query, None when there is no value."""
        if column.slot not in self._bounds:
            outermost = self
            while outermost._conditions is not None:
                outermost = outermost._conditions[0]
            found = self.run.aggregate(outermost.query, {"s": {"stats": {"field": column.slot}}})["s"]
            self._bounds[column.slot] = None if found["min"] is None else (found["min"], found["max"])
        return self._bounds[column.slot]


def both(left: tantivy.Query, right: tantivy.Query) -> tantivy.Query:
    """Documents that match both; scores do not matter to aggregations."""
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, left), (tantivy.Occur.Must, right)])


def either(*queries: tantivy.Query) -> tantivy.Query:
    """Documents that match at least one."""
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query in queries])


def without(query: tantivy.Query) -> tantivy.Query:
    """Documents that do not match."""
    return tantivy.Query.boolean_query(
        [(tantivy.Occur.Must, tantivy.Query.all_query()), (tantivy.Occur.MustNot, query)]
    )


def native_requests(children: Iterable[Aggregation], scope: Scope) -> Native:
    """The joint tantivy request of the children it can compute (names cannot contain '>')."""
    requests: Native = {}
    for child in children:
        parts = child.native(scope) or {}
        requests.update({f"{child.name}>{part}": request for part, request in parts.items()})
    return requests


def parts_of(answers: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The answers to the requests of one aggregation."""
    prefix = f"{name}>"
    return {key[len(prefix) :]: value for key, value in answers.items() if key.startswith(prefix)}


def collect_level(children: Sequence[Aggregation], scope: Scope) -> dict[str, Partial]:
    """The partials of sibling aggregations over one query."""
    try:
        answers = scope.run.aggregate(scope.query, native_requests(children, scope))
    except BucketLimitError:
        if len(children) > 1:
            return {child.name: collect_level([child], scope)[child.name] for child in children}
        answers = {}
    partials = {}
    for child in children:
        parts = parts_of(answers, child.name)
        partials[child.name] = child.read(scope, parts) if parts else child.collect(scope)
    return partials
