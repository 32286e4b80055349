"""`terms`, and what it shares with `rare_terms`: buckets by value, exact on every shard before the shard's cut.

tantivy is asked for every term, so a shard's own counts are never approximate; only the cut to `shard_size` loses
terms, and the partial says what: `other` (documents of terms left out) and `error` (the most a term left out can have
counted). Each row carries the errors of the shards that did report it, so that joining stays plain addition.
Tests: tests/search/aggregation/test_terms.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import tantivy

from hanse.errors import IllegalArgumentError
from hanse.search.aggregation.answer import Answer, BucketAnswer, BucketBudget
from hanse.search.aggregation.columns import UNMAPPED_KINDS, Column
from hanse.search.aggregation.distribution import (
    all_terms,
    all_values,
    lacks_value,
    read_terms,
    value_condition,
)
from hanse.search.aggregation.formats import Format, format_of, join_formats, key_as_string, shown_key
from hanse.search.aggregation.includes import Includes
from hanse.search.aggregation.metrics import stored_value
from hanse.search.aggregation.node import Aggregation, BucketAggregation, RawBucket
from hanse.search.aggregation.ordering import Order, metric_paths, parse_order, sort_buckets
from hanse.search.aggregation.parameters import Parameters
from hanse.search.aggregation.run import Native, Partial, Scope, either

DEFAULT_SIZE = 10
_TYPE_OF_KIND = {"keyword": "sterms", "ip": "sterms", "double": "dterms", None: "umterms"}


@dataclass(kw_only=True)
class ValueBuckets(BucketAggregation):
    """Buckets by distinct value of a field."""

    field_name: str = ""
    missing: Any = None
    format: str | None = None
    value_type: str | None = None
    includes: Includes = field(default_factory=Includes)

    def read_field(self, parameters: Parameters) -> None:
        self.field_name = parameters.field()
        self.missing = parameters.scalar("missing")
        self.format = parameters.text("format")
        self.value_type = parameters.text("value_type")
        self.includes = Includes.parse(parameters)
        parameters.raw("execution_hint")
        parameters.raw("collect_mode")

    def column(self, scope: Scope) -> Column | None:
        return scope.run.column(self.field_name)

    def missing_value(self, column: Column) -> Any:
        return None if self.missing is None else stored_value(column, self.missing, self.format)

    def ask(self, scope: Scope) -> Native | None:
        column = self.column(scope)
        if column is None or column.constant is not None or (column.prefix and self.missing is not None):
            return None
        request = all_terms(column, self.missing_value(column))
        chosen = self.includes.engine_list(column)
        if chosen is not None and self.missing is None and not column.prefix:
            request["terms"]["include"] = chosen
        return {"t": request}

    def buckets(self, scope: Scope, parts: dict[str, Any]) -> list[RawBucket]:
        column = self.column(scope)
        assert column is not None
        rows = zip(read_terms(parts["t"], column, self.missing_value(column)), parts["t"]["buckets"], strict=True)
        found = [self._bucket(scope, column, key, docs, answers) for (key, docs), answers in rows]
        return self._admit(scope, column, without_doubles(found) if self.missing is not None else found)

    def collect_large(self, scope: Scope) -> list[RawBucket]:
        column = self.column(scope)
        if column is None:
            return self._unmapped(scope)
        counts = all_values(scope, column, self.missing_value(column))
        return self._admit(scope, column, [self._bucket(scope, column, key, n, {}) for key, n in counts])

    def _admit(self, scope: Scope, column: Column, found: list[RawBucket]) -> list[RawBucket]:
        admits = self.includes.filter_for(column, self.format, self.name)
        return found if admits is None else [bucket for bucket in found if admits(bucket.key)]

    def _bucket(self, scope: Scope, column: Column, key: Any, docs: int, answers: dict[str, Any]) -> RawBucket:
        if column.constant is not None:
            return RawBucket(key, docs, None)
        if column.kind == "double":
            key = float(key)

        def condition() -> tantivy.Query:
            holds = value_condition(scope, column, key)
            if self.missing is None or key != self.missing_value(column):
                return holds
            return either(holds, lacks_value(scope, column))

        return RawBucket(key, docs, condition, answers)

    def _pretended(self) -> Column | None:
        """The column an unmapped field stands for, told by `value_type` or by the missing value's own type."""
        if self.missing is None:
            return None
        kind = UNMAPPED_KINDS.get(self.value_type or "", self.value_type)
        if kind is None:
            kind = "keyword" if isinstance(self.missing, str) else "boolean" if isinstance(self.missing, bool) else None
        if kind is None:
            kind = "long" if isinstance(self.missing, int) else "double"
        return Column(self.field_name, kind, "long" if kind == "unsigned_long" else kind, "", None)

    def _unmapped(self, scope: Scope) -> list[RawBucket]:
        column = self._pretended()
        if column is None or not scope.docs:
            return []
        key = stored_value(column, self.missing, self.format)
        found = [RawBucket(key, scope.docs, None)]
        admits = self.includes.filter_for(column, self.format, self.name)
        return found if admits is None or admits(key) else []

    def format_in(self, scope: Scope) -> Format:
        return format_of(self.column(scope) or self._pretended(), self.format)

    def joined_format(self, partials: Sequence[Partial]) -> Format:
        """The format of those that have buckets: an index without values does not make doubles of the others' keys."""
        filled = [partial["format"] for partial in partials if partial["buckets"]]
        return join_formats(filled or [partial["format"] for partial in partials], self.name)

    def head(self, form: Format, key: Any) -> dict[str, Any]:
        text = key_as_string(form, key)
        return {"key": shown_key(form, key), **({} if text is None else {"key_as_string": text})}

    def answer_type(self, form: Format, prefix: str = "") -> str:
        kind = form[0] if form else None
        return _TYPE_OF_KIND.get(kind, "lterms")


class CutBuckets(list[RawBucket]):
    """The buckets that leave the shard, already ordered and cut by tantivy; `other` counts the documents left out."""

    def __init__(self, found: list[RawBucket], other: int) -> None:
        super().__init__(found)
        self.other = other


@dataclass(kw_only=True)
class Terms(ValueBuckets):
    type: ClassVar[str] = "terms"

    size: int = DEFAULT_SIZE
    shard_size: int = 25
    min_doc_count: int = 1
    shard_min_doc_count: int = 0
    order: Order = field(default_factory=lambda: [("_count", False)])
    shows_error: bool = False

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        node = cls(name=name)
        node.read_field(parameters)
        node.read_size(parameters)
        return node

    def read_size(self, parameters: Parameters) -> None:
        size = parameters.integer("size", DEFAULT_SIZE)
        assert size is not None
        if size <= 0:
            raise IllegalArgumentError(f"[size] must be greater than 0. Found [{size}] in [{self.name}]")
        shard_size = parameters.integer("shard_size")
        if shard_size is not None and shard_size <= 0:
            raise IllegalArgumentError(f"[shard_size] must be greater than 0. Found [{shard_size}] in [{self.name}]")
        self.size = size
        self.shard_size = max(size, int(size * 1.5 + 10) if shard_size is None else shard_size)
        self.min_doc_count = parameters.integer("min_doc_count", 1) or 0
        self.shard_min_doc_count = parameters.integer("shard_min_doc_count", 0) or 0
        for label, value in (("min_doc_count", self.min_doc_count), ("shard_min_doc_count", self.shard_min_doc_count)):
            if value < 0:
                raise IllegalArgumentError(
                    f"[{label}] must be greater than or equal to 0. Found [{value}] in [{self.name}]"
                )
        self.shows_error = parameters.boolean("show_term_doc_count_error")
        if "order" in parameters:
            self.order = parse_order(self.type, parameters.raw("order"))

    @property
    def sees_all_documents(self) -> bool:
        return self.min_doc_count == 0 or super().sees_all_documents

    def children_for_select(self) -> list[Aggregation]:
        names = {path.partition(">")[0].partition(".")[0].partition("[")[0] for path in metric_paths(self.order)}
        return [child for child in self.children if child.name in names]

    def ask(self, scope: Scope) -> Native | None:
        requests = ValueBuckets.ask(self, scope)
        column = self.column(scope)
        if requests is None or column is None or not self._is_cut_by_engine(column):
            return requests
        ((path, ascending),) = self.order[:1]
        body = {**requests["t"]["terms"], "size": self.shard_size, "order": {path: "asc" if ascending else "desc"}}
        return {"t": {"terms": body}}

    def _is_cut_by_engine(self, column: Column) -> bool:
        """Whether tantivy orders and cuts as we do. (Not doubles: it sorts whole ones apart from the others.)"""
        is_plain = (
            self.missing is None and self.includes == Includes() and not column.prefix and column.kind != "double"
        )
        is_known = self.order in ([("_count", False)], [("_count", False), ("_key", True)]) or (
            len(self.order) == 1 and self.order[0][0] == "_key"
        )
        counts_all = self.min_doc_count > 0 and self.shard_min_doc_count <= 1
        return is_plain and is_known and counts_all and column.kind != "double"

    def buckets(self, scope: Scope, parts: dict[str, Any]) -> list[RawBucket]:
        found = super().buckets(scope, parts)
        column = self.column(scope)
        if column is None or not self._is_cut_by_engine(column):
            return found
        return CutBuckets(found, parts["t"]["sum_other_doc_count"])

    def select(self, scope: Scope, found: list[RawBucket]) -> tuple[list[RawBucket], dict[str, Any]]:
        if isinstance(found, CutBuckets):
            return found, self._rest(scope, found, found.other, is_cut=found.other > 0)
        if self.min_doc_count == 0:
            found = found + self._absent(scope, {bucket.key for bucket in found})
        found = [bucket for bucket in found if bucket.doc_count >= self.shard_min_doc_count]
        ordering = [self._for_ordering(scope, bucket) for bucket in found]
        ranked = sort_buckets(ordering, self.order) if len(found) > 1 else ordering
        by_key = {bucket.key: bucket for bucket in found}
        kept = [by_key[answer.key] for answer in ranked[: self.shard_size]]
        cut = ranked[self.shard_size :]
        return kept, self._rest(scope, kept, sum(answer.doc_count for answer in cut), is_cut=bool(cut))

    def _rest(self, scope: Scope, kept: list[RawBucket], other: int, *, is_cut: bool) -> dict[str, Any]:
        return {
            "other": other,
            "error": self._error(kept) if is_cut else 0,
            "shards": 1,
            "format": self.format_in(scope),
        }

    def _error(self, kept: list[RawBucket]) -> int:
        """What a term left out can have counted at most; -1 where the order tells nothing about counts."""
        path, ascending = self.order[0]
        if path == "_key":
            return 0
        return kept[-1].doc_count if path == "_count" and not ascending else -1

    def _for_ordering(self, scope: Scope, bucket: RawBucket) -> BucketAnswer:
        answer = BucketAnswer(bucket.key, bucket.doc_count, {})
        for child in self.children_for_select():
            partial = child.merge([self.child_partial(scope, bucket, child)])
            answer.subs[child.name] = child.finish(partial, BucketBudget(scope.run.context.max_buckets))
        return answer

    def _absent(self, scope: Scope, present: set[Any]) -> list[RawBucket]:
        """Terms of the shard that no matching document has (min_doc_count 0)."""
        column = self.column(scope)
        if column is None:
            return []
        everything = Scope(scope.run, scope.run.context.global_query)
        known = [self._bucket(scope, column, key, 0, {}) for key, _ in all_values(everything, column)]
        return [bucket for bucket in self._admit(scope, column, known) if bucket.key not in present]

    def merge(self, partials: Sequence[Partial]) -> Partial:
        rows: dict[Any, list[Any]] = {}
        for partial in partials:
            for row in partial["buckets"]:
                key, count, subs = row[:3]
                reported = row[3] if len(row) > 3 else partial["error"]
                known = rows.setdefault(key, [key, 0, [], 0])
                known[1] += count
                known[2].append(subs)
                known[3] = _add_errors(known[3], reported)
        errors = [partial["error"] for partial in partials]
        form = self.joined_format(partials)
        return {
            "buckets": [[key, n, self.merge_children(subs), e] for key, n, subs, e in _by_key(rows)],
            "other": sum(partial["other"] for partial in partials),
            "error": -1 if -1 in errors else sum(errors),
            "shards": sum(partial["shards"] for partial in partials),
            "format": form,
        }

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        form: Format = partial["format"]
        # With one shard nothing was left out that could have counted more elsewhere.
        total_error = partial["error"] if partial["shards"] > 1 else 0
        rows = [row for row in partial["buckets"] if row[1] >= self.min_doc_count]
        by_metric = bool(metric_paths(self.order))
        ranked, subs_of = [], {}
        for key, count, subs, reported in rows:
            bucket = BucketAnswer(key, count, self.head(form, key))
            subs_of[key] = subs
            if by_metric:
                bucket.subs = self.finish_children(subs, BucketBudget(budget.max_buckets))
            if self.shows_error:
                error = total_error - reported if total_error > 0 else total_error
                bucket.tail["doc_count_error_upper_bound"] = error
            ranked.append(bucket)
        ranked = sort_buckets(ranked, self.order)
        shown, cut = ranked[: self.size], ranked[self.size :]
        if not by_metric:
            for bucket in shown:
                bucket.subs = self.finish_children(subs_of[bucket.key], budget)
        body = {
            "doc_count_error_upper_bound": total_error,
            "sum_other_doc_count": partial["other"] + sum(bucket.doc_count for bucket in cut),
        }
        return self.finish_buckets(shown, type=self.answer_type(form), body=body)


def without_doubles(found: list[RawBucket]) -> list[RawBucket]:
    """A missing value that is also a term has two buckets: they become one.

    No document is in both. What is below them is collected again over the joined bucket.
    """
    by_key: dict[Any, RawBucket] = {}
    for bucket in found:
        known = by_key.get(bucket.key)
        if known is not None:
            known.doc_count += bucket.doc_count
            known.answers = {}
        else:
            by_key[bucket.key] = bucket
    return list(by_key.values())


def _add_errors(left: int, right: int) -> int:
    return -1 if left < 0 or right < 0 else left + right


def _by_key(rows: dict[Any, list[Any]]) -> list[list[Any]]:
    """In the order of keys, so that the joined partial does not depend on the order of joining."""
    return [rows[key] for key in sorted(rows)]


@dataclass(kw_only=True)
class RareTerms(ValueBuckets):
    """The values of at most `max_doc_count` documents over all shards: exact, where Elasticsearch estimates."""

    type: ClassVar[str] = "rare_terms"

    max_doc_count: int = 1

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        node = cls(name=name)
        node.read_field(parameters)
        count = parameters.integer("max_doc_count", 1) or 0
        if not 0 < count <= 100:
            raise IllegalArgumentError(
                f"[max_doc_count] must be greater than 0 and less than or equal to 100. Found [{count}] in [{name}]"
            )
        node.max_doc_count = count
        parameters.number("precision")
        return node

    def select(self, scope: Scope, found: list[RawBucket]) -> tuple[list[RawBucket], dict[str, Any]]:
        """Frequent values leave the shard as bare keys: elsewhere they may look rare."""
        frequent = [bucket.key for bucket in found if bucket.doc_count > self.max_doc_count]
        rare = [bucket for bucket in found if bucket.doc_count <= self.max_doc_count]
        return rare, {"frequent": sorted(frequent), "format": self.format_in(scope)}

    def merge(self, partials: Sequence[Partial]) -> Partial:
        frequent = {key for partial in partials for key in partial["frequent"]}
        rows: dict[Any, list[Any]] = {}
        for partial in partials:
            for key, count, subs in partial["buckets"]:
                known = rows.setdefault(key, [key, 0, []])
                known[1] += count
                known[2].append(subs)
        form = self.joined_format(partials)
        frequent |= {key for key, row in rows.items() if row[1] > self.max_doc_count}
        return {
            "buckets": [[k, n, self.merge_children(subs)] for k, n, subs in _by_key(rows) if k not in frequent],
            "frequent": sorted(frequent),
            "format": form,
        }

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        form: Format = partial["format"]
        buckets = []
        for key, count, subs in partial["buckets"]:
            bucket = BucketAnswer(key, count, self.head(form, key))
            bucket.subs = self.finish_children(subs, budget)
            buckets.append(bucket)
        kind = self.answer_type(form)
        shown = {"sterms": "srareterms", "umterms": "umrareterms"}.get(kind, "lrareterms")
        return self.finish_buckets(sort_buckets(buckets, [("_count", True)]), type=shown)
