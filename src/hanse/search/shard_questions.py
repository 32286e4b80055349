"""Questions that need a shard's files and are no search: explain, validate, the filter of field capabilities.

Where the shards serve on this node it answers by itself, else a node answers that has an active copy.
Tests: tests/search/test_shard_questions.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hanse.errors import HanseError
from hanse.search.actions import explain, validate_here, validate_query, validated
from hanse.search.copies import Place
from hanse.search.field_caps import field_caps_local, matches_of
from hanse.search.parts import by_index
from hanse.search.reach import Reach
from hanse.search.request import (
    EXPLAIN,
    VALIDATE_QUERY,
    ExplainRequest,
    FieldCapsRequest,
    FieldCapsResult,
    JsonResult,
    ValidateQueryRequest,
)
from hanse.search.shard_requests import (
    EXPLAIN_SHARD,
    FILTER_SHARDS,
    VALIDATE_SHARDS,
    ExplainShard,
    FilteredShards,
    FilterShards,
    ValidatedShards,
    ValidateShards,
)
from hanse.transport.actions import ActionRegistry, Call
from hanse.transport.wire_errors import from_wire, to_wire


class ShardQuestions:
    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._indices, self._copies = reach.indices, reach.copies

    def register(self, registry: ActionRegistry) -> None:
        registry.register(EXPLAIN, self.explain)
        registry.register(VALIDATE_QUERY, self.validate)
        registry.register(EXPLAIN_SHARD, self._explain_shard)
        registry.register(VALIDATE_SHARDS, self._validate_shards)
        registry.register(FILTER_SHARDS, self._filter_shards)

    # -- one document

    async def explain(self, call: Call, request: ExplainRequest) -> JsonResult:
        """How the query scores one document, or that it does not match or exist (404)."""
        target = call.targets.local[0]
        service = self._indices.get(target.index)
        number = service.number_for(request.id, request.routing or target.routing)
        if self._reach.nodes is None or service.may_be_searched(number):
            return await explain(self._indices, call, request)
        asked = ExplainShard(call.targets.expression, request, self._reach.state_version, request.options)

        async def ask(node: str, group: list[Place]) -> tuple[JsonResult, dict[int, HanseError]]:
            return await self._reach.answered(node, call, EXPLAIN_SHARD, asked, self._explain_shard), {}

        answers, lost = await self._copies.ask([self._copies.place(service, number)], ask)
        if lost and lost[0].failure is not None:
            raise lost[0].failure
        return answers[0]

    async def _explain_shard(self, call: Call, request: ExplainShard) -> JsonResult:
        return await explain(self._indices, call, request.explain)

    # -- validating

    async def validate(self, call: Call, request: ValidateQueryRequest) -> JsonResult:
        """Whether the query can be built for every index, on one shard of each or on all."""
        if self._reach.nodes is None or self._copies.all_serve_here(call.targets, None):
            return await validate_query(self._indices, call, request)
        places = self._copies.places(call.targets, None, None)
        if not request.all_shards:
            places = _one_of_each(places)

        async def ask(node: str, group: list[Place]) -> tuple[list[dict[str, Any]], dict[int, HanseError]]:
            asked = ValidateShards(
                call.targets.expression, request, by_index(group), self._reach.state_version, request.options
            )
            answer = await self._reach.answered(node, call, VALIDATE_SHARDS, asked, self._validate_shards)
            return answer.explanations, {}

        answers, lost = await self._copies.ask(places, ask)
        found = [entry for answer in answers for entry in answer]
        found.sort(key=lambda entry: (entry.get("index", ""), entry.get("shard", 0)))
        failures = [place.failure for place in lost if place.failure is not None]
        return validated(request, found, len(places) - len(lost), failures)

    async def _validate_shards(self, call: Call, request: ValidateShards) -> ValidatedShards:
        explanations, _ = validate_here(self._indices, call.targets.local, request.validate, request.shards)
        return ValidatedShards(explanations)

    # -- field capabilities

    async def field_caps(self, call: Call, request: FieldCapsRequest) -> FieldCapsResult:
        """Mappings are known everywhere; only a filter has to be asked of the shards."""
        if request.index_filter is None or self._copies.all_serve_here(call.targets, None):
            return await field_caps_local(self._indices, call, request)
        return await field_caps_local(self._indices, call, request, await self._matches(call, request))

    async def _matches(self, call: Call, request: FieldCapsRequest) -> dict[str, bool | HanseError]:
        """An index in which any shard matches does, whatever became of its others."""
        places = self._copies.places(call.targets, None, None)

        async def ask(node: str, group: list[Place]) -> tuple[FilteredShards, dict[int, HanseError]]:
            asked = FilterShards(
                call.targets.expression, request, by_index(group), self._reach.state_version, request.options
            )
            return await self._reach.answered(node, call, FILTER_SHARDS, asked, self._filter_shards), {}

        answers, lost = await self._copies.ask(places, ask)
        matches: dict[str, bool | HanseError] = {target.index: False for target in call.targets.local}
        matches |= {place.index: place.failure for place in lost if place.failure is not None}
        for answer in answers:
            matches |= {index: from_wire(error) for index, error in answer.errors.items()}
        for answer in answers:
            matches |= {index: True for index, found in answer.matches.items() if found}
        return matches

    async def _filter_shards(self, call: Call, request: FilterShards) -> FilteredShards:
        found = matches_of(self._indices, call.targets.local, request.field_caps, request.shards)
        return FilteredShards(
            {index: outcome for index, outcome in found.items() if isinstance(outcome, bool)},
            {index: to_wire(outcome) for index, outcome in found.items() if isinstance(outcome, HanseError)},
        )


def _one_of_each(places: Sequence[Place]) -> list[Place]:
    """One shard of each index, where possible one that some node has."""
    chosen: dict[str, Place] = {}
    for place in places:
        if place.index not in chosen or (place.nodes and not chosen[place.index].nodes):
            chosen[place.index] = place
    return list(chosen.values())
