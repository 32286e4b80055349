"""`top_hits`: the best documents of each bucket, rendered by the search room.

Hits travel as JSON with their sort values, in the order of the sort asked, and are merged like the pages of a search.
Tests: tests/search/aggregation/test_top_hits.py.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.search.aggregation.answer import Answer, BucketBudget
from hanse.search.aggregation.node import Aggregation
from hanse.search.aggregation.parameters import Parameters
from hanse.search.aggregation.run import Partial, Scope

DEFAULT_SIZE = 3
RESULT_WINDOW_MAX = 100
_PASSED_ON = (
    "_source", "sort", "highlight", "explain", "version", "seq_no_primary_term", "docvalue_fields", "fields",
    "stored_fields", "track_scores", "ext",
)  # fmt: skip


@dataclass(kw_only=True)
class TopHitsAggregation(Aggregation):
    type: ClassVar[str] = "top_hits"

    size: int = DEFAULT_SIZE
    skip: int = 0
    body: dict[str, Any] = field(default_factory=dict)
    descending: list[bool] = field(default_factory=lambda: [True])
    missing_first: list[bool] = field(default_factory=lambda: [False])

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        size, skip = parameters.integer("size", DEFAULT_SIZE) or 0, parameters.integer("from", 0) or 0
        if size < 0 or skip < 0:
            raise IllegalArgumentError(f"[size] and [from] must be non-negative in [{name}]")
        if skip + size > RESULT_WINDOW_MAX:
            raise IllegalArgumentError(
                f"Top hits result window is too large, the top hits aggregator [{name}]'s from + size must be less "
                f"than or equal to: [{RESULT_WINDOW_MAX}] but was [{skip + size}]. This limit can be set by changing "
                "the [index.max_inner_result_window] index level setting."
            )
        if "script_fields" in parameters:
            raise IllegalArgumentError(f"[top_hits] aggregation [{name}]: scripts are not supported")
        node = cls(name=name, size=size, skip=skip)
        node.body = {part: parameters.raw(part) for part in _PASSED_ON if parameters.raw(part) is not None}
        node._read_directions(node.body.get("sort"))
        return node

    def _read_directions(self, sort: Any) -> None:
        if sort is None or sort == []:
            return
        self.descending, self.missing_first = [], []
        for entry in sort if isinstance(sort, list) else [sort]:
            if not isinstance(entry, str) and not (isinstance(entry, dict) and len(entry) == 1):
                raise ParsingError(
                    "malformed sort format, within the sort array, an object, or an actual string are allowed"
                )
            ((path, options),) = entry.items() if isinstance(entry, dict) else ((entry, {}),)
            detail = options if isinstance(options, dict) else {"order": options}
            default = "desc" if path == "_score" else "asc"
            self.descending.append(str(detail.get("order", default)).lower() == "desc")
            self.missing_first.append(detail.get("missing") == "_first")

    def collect(self, scope: Scope) -> Partial:
        render = scope.run.context.render_hits
        if render is None:
            raise IllegalArgumentError(f"[top_hits] aggregation [{self.name}] is not supported in this kind of request")
        found = render(scope.query, {**self.body, "from": 0, "size": self.skip + self.size})
        return {
            "total": found.total,
            "relation": found.relation,
            "max_score": found.max_score,
            "hits": [[list(key), hit, position] for position, (key, hit) in enumerate(found.hits)],
        }

    def merge(self, partials: Sequence[Partial]) -> Partial:
        hits = [hit for partial in partials for hit in partial["hits"]]
        hits.sort(key=functools.cmp_to_key(self._compare))
        scores = [partial["max_score"] for partial in partials if partial["max_score"] is not None]
        return {
            "total": sum(partial["total"] for partial in partials),
            "relation": "gte" if any(partial["relation"] == "gte" for partial in partials) else "eq",
            "max_score": max(scores, default=None),
            "hits": hits[: self.skip + self.size],
        }

    def _compare(self, left: list[Any], right: list[Any]) -> int:
        for i, (a, b) in enumerate(zip(left[0], right[0], strict=False)):
            descends = self.descending[i] if i < len(self.descending) else False
            if a == b:
                continue
            if a is None or b is None:
                first = self.missing_first[i] if i < len(self.missing_first) else False
                return -1 if (a is None) == first else 1
            return -1 if (a < b) != descends else 1
        # Equal sort values: as their shards had them, then by the hit itself, never by the order of the partials.
        return -1 if (left[2], left[1]) < (right[2], right[1]) else 1

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        shown = partial["hits"][self.skip : self.skip + self.size]
        hits = {
            "total": {"value": partial["total"], "relation": partial["relation"]},
            "max_score": partial["max_score"],
            "hits": [orjson.loads(hit) for _, hit, _ in shown],
        }
        return Answer(self.type, {"hits": hits}, self.meta)
