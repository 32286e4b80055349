"""`multi_terms`: terms over combinations of fields; cut, error and order are those of `terms`.

Tests: tests/search/aggregation/test_composite.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import tantivy

from hanse.errors import IllegalArgumentError, TooManyBucketsError
from hanse.search.aggregation.columns import Column
from hanse.search.aggregation.distribution import NO_TERM, engine_missing, lacks_value, value_condition
from hanse.search.aggregation.formats import Format, format_of, join_formats, key_as_string, shown_key, text_key
from hanse.search.aggregation.metrics import stored_value
from hanse.search.aggregation.node import Aggregation, RawBucket
from hanse.search.aggregation.parameters import Parameters
from hanse.search.aggregation.run import ALL, Native, Partial, Scope, both, either
from hanse.search.aggregation.terms import Terms, without_doubles

Key = tuple[Any, ...]


@dataclass
class Part:
    """One field of the combination."""

    field_name: str
    missing: Any = None
    format: str | None = None


@dataclass(kw_only=True)
class MultiTerms(Terms):
    type: ClassVar[str] = "multi_terms"

    parts: list[Part] = field(default_factory=list)

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        node = cls(name=name)
        given = parameters.raw("terms")
        if not isinstance(given, list) or len(given) < 2:
            raise IllegalArgumentError(
                f"The [terms] parameter in the aggregation [{name}] must be present and have at least 2 "
                "fields or scripts."
            )
        for entry in given:
            inner = Parameters("terms", name, entry)
            node.parts.append(Part(inner.field(), inner.scalar("missing"), inner.text("format")))
            inner.raw("value_type")
            inner.finish()
        node.read_size(parameters)
        parameters.raw("collect_mode")
        return node

    def _columns(self, scope: Scope) -> list[Column | None] | None:
        """The columns (None: unmapped, its missing value stands in); None when no document can have a key.

        Such a field and `_index` have one value for the whole shard: tantivy is not asked about them.
        """
        columns = [scope.run.column(part.field_name) for part in self.parts]
        if any(column is not None and column.prefix for column in columns):
            raise IllegalArgumentError(
                f"[{self.type}] aggregation [{self.name}] is not supported on the keys of flattened fields"
            )
        if any(column is None and part.missing is None for part, column in zip(self.parts, columns, strict=True)):
            return None
        return columns

    def _missing(self, part: Part, column: Column) -> Any:
        return None if part.missing is None else stored_value(column, part.missing, part.format)

    def ask(self, scope: Scope) -> Native | None:
        terms: list[dict[str, Any]] = []
        for part, column in zip(self.parts, self._columns(scope) or [], strict=False):
            if column is not None and column.constant is None:
                terms.append({"field": column.slot})
                if part.missing is not None:
                    terms[-1]["missing"] = engine_missing(column, self._missing(part, column))
        if len(terms) == 1:
            return {"t": {"terms": {**terms[0], "size": ALL, "segment_size": ALL}}}
        return {"t": {"multi_terms": {"terms": terms, "size": ALL, "segment_size": ALL}}} if terms else None

    def buckets(self, scope: Scope, parts: dict[str, Any]) -> list[RawBucket]:
        columns = self._columns(scope)
        assert columns is not None
        found = []
        for bucket in parts["t"]["buckets"]:
            values = iter(bucket["key"] if isinstance(bucket["key"], list) else [bucket["key"]])
            key = tuple(self._value(p, c, values) for p, c in zip(self.parts, columns, strict=True))
            found.append(RawBucket(key, bucket["doc_count"], self._condition(scope, columns, key), bucket))
        return without_doubles(found) if any(part.missing is not None for part in self.parts) else found

    def _value(self, part: Part, column: Column | None, values: Iterator[Any]) -> Any:
        if column is None:
            return part.missing
        if column.constant is not None:
            return column.constant
        value = next(values)
        if value == NO_TERM:
            return self._missing(part, column)
        return float(value) if column.kind == "double" else value

    def _condition(self, scope: Scope, columns: Sequence[Column | None], key: Key) -> Callable[[], tantivy.Query]:
        def one(part: Part, column: Column | None, value: Any) -> tantivy.Query:
            if column is None:
                return tantivy.Query.all_query()
            holds = value_condition(scope, column, value)
            if part.missing is None or value != self._missing(part, column):
                return holds
            return either(holds, lacks_value(scope, column))

        return lambda: functools.reduce(both, [one(*side) for side in zip(self.parts, columns, key, strict=True)])

    def collect_large(self, scope: Scope) -> list[RawBucket]:
        columns = self._columns(scope)
        if columns is None:
            return []
        if any(column is not None and column.constant is None for column in columns):
            raise TooManyBucketsError.of(scope.run.context.max_buckets)
        key = tuple(self._value(*side, iter(())) for side in zip(self.parts, columns, strict=True))
        return [RawBucket(key, scope.docs, None)] if scope.docs else []

    def _absent(self, scope: Scope, present: set[Any]) -> list[RawBucket]:
        everything = Scope(scope.run, scope.run.context.global_query)
        requests = self.ask(everything)
        if requests is None:
            return []
        found = self.buckets(everything, scope.run.aggregate(everything.query, requests))
        return [replace(bucket, doc_count=0, answers={}) for bucket in found if bucket.key not in present]

    def format_in(self, scope: Scope) -> Format:
        columns = [scope.run.column(part.field_name) for part in self.parts]
        return [format_of(column, part.format) for part, column in zip(self.parts, columns, strict=True)]

    def merge(self, partials: Sequence[Partial]) -> Partial:
        forms = [
            join_formats([partial["format"][i] for partial in partials], self.name) for i in range(len(self.parts))
        ]
        plain = [
            {**partial, "format": [], "buckets": [[tuple(row[0]), *row[1:]] for row in partial["buckets"]]}
            for partial in partials
        ]
        return {**super().merge(plain), "format": forms}

    def head(self, form: Format, key: Any) -> dict[str, Any]:
        shown = [
            key_as_string(part, value) if part and part[0] in ("date", "boolean") else shown_key(part, value)
            for part, value in zip(form, key, strict=True)
        ]
        if any(part and part[0] == "boolean" for part in form):
            shown = [v == "true" if p and p[0] == "boolean" else v for v, p in zip(shown, form, strict=True)]
        return {"key": shown, "key_as_string": "|".join(text_key(p, v) for p, v in zip(form, key, strict=True))}

    def answer_type(self, form: Format, prefix: str = "") -> str:
        return "multi_terms"
