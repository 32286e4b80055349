"""Writing documents: index, create, update, delete and bulk.

Every write is authorized under the name the caller used, item by item in a bulk request; missing indices are created
under the caller's rights; then what goes to one shard is written in the order it was asked for. Reads are in
document_reads.py. Tests: tests/index/test_document_actions.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from hanse.cluster.blocks import refuse_change
from hanse.errors import HanseError, IllegalArgumentError, RetryOnPrimaryError, RoutingMissingError
from hanse.index import settings as index_settings
from hanse.index.administration.data_streams import is_stream, refuse_overwriting
from hanse.index.administration.requests import AUTO_CREATE, CreatedIndex, CreateIndex
from hanse.index.auto_create import check_alias, check_auto_create
from hanse.index.bulk_names import Named, refuse_together
from hanse.index.document_reads import DocumentReads, DocumentView
from hanse.index.document_requests import (
    BULK,
    BULK_PRIMARY,
    BULK_SHARD,
    DELETE,
    GET,
    GET_FROM_COPY,
    INDEX,
    INDEX_ANY,
    INDEX_NEW,
    MULTI_GET,
    MULTI_GET_ITEM,
    UPDATE,
    BulkItem,
    BulkItemResult,
    BulkRequest,
    BulkResult,
    Refresh,
    ShardWritten,
    WriteAtPrimary,
    WriteDocument,
    WriteShard,
    Written,
    WrittenAtPrimary,
)
from hanse.index.primaries import Primaries
from hanse.index.refreshing import Refreshing
from hanse.index.service import IndexService
from hanse.index.shard import Shard
from hanse.index.writing import WriteOp, WriteResult, new_id
from hanse.settings.registry import Settings
from hanse.transport.actions import Action, ActionRegistry, Call, Target
from hanse.transport.wire_errors import from_wire, to_wire

ITEMS_AT_A_TIME = 200
"""Items of a bulk request handled before others get the event loop; less than a millisecond."""

_ITEM_ACTIONS: dict[str, Action[WriteDocument, Written]] = {
    "index": INDEX_ANY,
    "create": INDEX_NEW,
    "update": UPDATE,
    "delete": DELETE,
}
_Results = list[WriteResult | HanseError]


def _right_to(op: WriteOp) -> Action[WriteDocument, Written]:
    """The right an operation needs. A document whose id the shard makes can overwrite nothing: it is a create."""
    return INDEX_NEW if op.op == "index" and op.id is None else _ITEM_ACTIONS[op.op]


def register(
    registry: ActionRegistry,
    primaries: Primaries,
    refreshing: Refreshing,
    settings: Settings,
    view: DocumentView | None = None,
) -> None:
    """`view` applies document- and field-level security to reads by id; without one, restricted reads are refused."""
    writes = DocumentWrites(primaries, refreshing, settings)
    reads = DocumentReads(primaries, refreshing, view)
    registry.register(INDEX, writes.index)
    for action in _ITEM_ACTIONS.values():
        registry.register(action, writes.write)
    registry.register(BULK, writes.bulk)
    registry.register(BULK_SHARD, writes.bulk_shard)
    registry.register(BULK_PRIMARY, writes.at_primary)
    registry.register(GET, reads.get)
    registry.register(GET_FROM_COPY, reads.get_from_copy)
    registry.register(MULTI_GET_ITEM, reads.get)
    registry.register(MULTI_GET, reads.multi_get)


class DocumentWrites:
    """Handlers of the write actions."""

    def __init__(self, primaries: Primaries, refreshing: Refreshing, settings: Settings) -> None:
        self._primaries = primaries
        self._refreshing = refreshing
        self._cluster = primaries.cluster
        self._indices = primaries.indices
        self._settings = settings

    # -- one document

    async def index(self, call: Call, request: WriteDocument) -> Written:
        """A second look at rights, since a role may grant new documents but no overwriting."""
        assert request.op is not None
        written: Written = await call.run(_right_to(request.op), request)
        return written

    async def write(self, call: Call, request: WriteDocument) -> Written:
        target = await self._located(call, request)
        if request.op is None:
            return Written(target.index, routing=target.routing)
        kind = "create" if _right_to(request.op) is INDEX_NEW else request.op.op
        refuse_overwriting(self._cluster.state, target.name, target.index, kind)
        service = self._indices.get(target.index)
        op = _routed(request.op, target.routing, target.name)
        _check_routing(service, op)
        number = _number_for(service, op)
        (outcome,) = await self._write_shard(call, service, number, [op], target.name or target.index, request)
        if isinstance(outcome, HanseError):
            raise outcome
        return Written(
            target.index, outcome, _copies(service), request.refresh == "true", active=_active(service, number)
        )

    async def _located(self, call: Call, request: WriteDocument) -> Target:
        """The target of a write; creates the index where that is allowed."""
        state = self._cluster.state
        if request.require_alias:
            check_alias(request.indices[0], state)
        target = call.targets.local[0]
        if target.index not in state.indices and call.action.creates:
            check_auto_create(target.index, state, self._settings)
            created: CreatedIndex = await call.run(AUTO_CREATE, CreateIndex((target.index,), cause="auto"))
            target = msgspec.structs.replace(target, name=target.index, index=created.index)
        return target

    async def _write_shard(
        self,
        call: Call,
        service: IndexService,
        number: int,
        ops: Sequence[WriteOp],
        name: str,
        asked: WriteDocument | WriteShard,
    ) -> _Results:
        """Writes to one shard, wherever its primary is. `name`: how the caller named the index, which another node's
        gate has to be shown."""
        refuse_change(self._cluster.state)
        wanted = asked.active_shards or service.metadata.typed_settings.read(index_settings.WAIT_FOR_ACTIVE_SHARDS)
        if wanted != "1":
            await self._primaries.enough_copies(service, number, wanted, asked.timeout_s)
        nodes = self._primaries.nodes

        async def here(shard: Shard) -> _Results:
            return await self._write_here(shard, ops, asked.refresh)

        async def there(node: str) -> _Results:
            assert nodes is not None
            request = WriteAtPrimary((name,), number, list(ops), self._cluster.state.version, asked.refresh)
            answer = await nodes.forward(node, call, BULK_PRIMARY, request)
            return [from_wire(answer.errors[at]) if one is None else one for at, one in enumerate(answer.results)]

        return await self._primaries.run(service, number, here, there, timeout_s=asked.timeout_s)

    async def _write_here(self, shard: Shard, ops: Sequence[WriteOp], refresh: Refresh) -> _Results:
        """Writes to the primary on this node. Raises RetryOnPrimaryError when it turned out to be none."""
        results = await shard.write(ops)
        if results and isinstance(results[0], RetryOnPrimaryError):
            raise results[0]
        if refresh != "false":
            # `wait_for` does not wait for the next periodic refresh: it happens now, and those that wait share it.
            await self._refreshing.refresh_written(shard)
        return results

    async def at_primary(self, call: Call, request: WriteAtPrimary) -> WrittenAtPrimary:
        """The part of a write that another node asks of this one."""
        service = self._indices.get(call.targets.local[0].index)
        outcomes = await self._write_here(service.shard(request.shard), request.ops, request.refresh)
        return WrittenAtPrimary(
            [None if isinstance(one, HanseError) else one for one in outcomes],
            {at: to_wire(one) for at, one in enumerate(outcomes) if isinstance(one, HanseError)},
        )

    # -- many documents

    async def bulk(self, call: Call, request: BulkRequest) -> BulkResult:
        started = time.monotonic()
        bulk = _Bulk(request.items)
        await self._place_items(call, bulk)
        await asyncio.gather(*(self._write_index(call, bulk, part, request) for part in bulk.parts.values()))
        took_ms = int((time.monotonic() - started) * 1000)
        assert None not in bulk.results, "every item has an outcome"
        return BulkResult([result for result in bulk.results if result is not None], took_ms, request.refresh == "true")

    async def _place_items(self, call: Call, bulk: _Bulk) -> None:
        """Finds the concrete index of each item. What may not be done fails item by item."""
        places: dict[Named, Written | HanseError] = {}
        for number, item in enumerate(bulk.items):
            if number % ITEMS_AT_A_TIME == ITEMS_AT_A_TIME - 1:
                await asyncio.sleep(0)
            named = Named(item.index, _right_to(item.op).name, item.require_alias)
            if item.problem is None and named not in places:
                places[named] = await _asked(call, item)
        state = self._cluster.state
        refuse_together(places, state)
        streams = {
            named
            for named, place in places.items()
            if not isinstance(place, HanseError) and is_stream(state, named.name, place.index)
        }
        for number, item in enumerate(bulk.items):
            if number % ITEMS_AT_A_TIME == ITEMS_AT_A_TIME - 1:
                await asyncio.sleep(0)
            if item.problem is not None:
                bulk.fail(number, item.index, item.problem)
                continue
            named = Named(item.index, _right_to(item.op).name, item.require_alias)
            place = places[named]
            if isinstance(place, HanseError):
                bulk.fail(number, item.index, place)
                continue
            try:
                if named in streams:
                    refuse_overwriting(state, named.name, place.index, item.op.op)
                bulk.place(number, place, item)
            except HanseError as error:
                bulk.fail(number, place.index, error)

    async def _write_index(self, call: Call, bulk: _Bulk, part: _Part, request: BulkRequest) -> None:
        """One index' items, under the name by which it was first named."""
        ops = [bulk.items[number].op for number in part.numbers]
        try:
            asked = WriteShard(
                (part.name,), ops, request.refresh, timeout_s=request.timeout_s, active_shards=request.active_shards
            )
            answer: ShardWritten = await call.run(BULK_SHARD, asked)
        except HanseError as error:
            for number in part.numbers:
                bulk.fail(number, part.index, error)
            return
        for number, outcome in zip(part.numbers, answer.results, strict=True):
            if number % ITEMS_AT_A_TIME == 0:
                await asyncio.sleep(0)
            if isinstance(outcome, HanseError):
                bulk.fail(number, part.index, outcome)
            else:
                bulk.results[number] = BulkItemResult(part.index, outcome, None, answer.copies, answer.active)

    async def bulk_shard(self, call: Call, request: WriteShard) -> ShardWritten:
        service = self._indices.get(call.targets.local[0].index)
        results: list[Any] = [None] * len(request.ops)
        by_shard: dict[int, list[int]] = {}
        for number, op in enumerate(request.ops):
            if number % ITEMS_AT_A_TIME == ITEMS_AT_A_TIME - 1:
                await asyncio.sleep(0)
            try:
                _check_routing(service, op)
                by_shard.setdefault(_number_for(service, op), []).append(number)
            except HanseError as error:
                results[number] = error
        answers = await asyncio.gather(
            *(self._write_part(call, service, shard, numbers, request) for shard, numbers in by_shard.items())
        )
        for numbers, outcomes in zip(by_shard.values(), answers, strict=True):
            for number, outcome in zip(numbers, outcomes, strict=True):
                results[number] = outcome
        return ShardWritten(results, _copies(service), min((_active(service, shard) for shard in by_shard), default=1))

    async def _write_part(
        self, call: Call, service: IndexService, shard: int, numbers: list[int], request: WriteShard
    ) -> _Results:
        ops = [request.ops[number] for number in numbers]
        try:
            return await self._write_shard(call, service, shard, ops, request.indices[0], request)
        except HanseError as error:
            return [error] * len(numbers)


class _Part(msgspec.Struct):
    """The items of one index; `name` is how the request named it first."""

    index: str
    name: str
    numbers: list[int]


class _Bulk:
    """A bulk request under way."""

    def __init__(self, items: Sequence[BulkItem]) -> None:
        self.items = items
        self.results: list[BulkItemResult | None] = [None] * len(items)
        self.parts: dict[str, _Part] = {}

    def fail(self, number: int, index: str, error: HanseError) -> None:
        self.results[number] = BulkItemResult(index, None, error)

    def place(self, number: int, place: Written, item: BulkItem) -> None:
        if place.routing is not None:
            item.op = _routed(item.op, place.routing, item.index)
        part = self.parts.get(place.index)
        if part is None:
            part = self.parts[place.index] = _Part(place.index, item.index, [])
        part.numbers.append(number)


async def _asked(call: Call, item: BulkItem) -> Written | HanseError:
    """Where an item goes, or why it may not."""
    try:
        request = WriteDocument((item.index,), require_alias=item.require_alias)
        written: Written = await call.run(_right_to(item.op), request)
    except HanseError as error:
        return error
    return written


def _routed(op: WriteOp, of_alias: str | None, alias: str) -> WriteOp:
    """The op with the alias' routing. Raises IllegalArgumentError when they contradict each other."""
    if of_alias is None:
        return op
    if "," in of_alias:
        raise IllegalArgumentError(
            f"index/alias [{alias}] provided with routing value [{of_alias}] that resolved to several routing values, "
            f"rejecting operation"
        )
    if op.routing is not None and op.routing != of_alias:
        raise IllegalArgumentError(
            f"Alias [{alias}] has index routing associated with it [{of_alias}], and was provided with routing value "
            f"[{op.routing}], rejecting operation"
        )
    return msgspec.structs.replace(op, routing=of_alias)


def _check_routing(service: IndexService, op: WriteOp) -> None:
    if op.routing is None and service.mapping.routing_required:
        raise RoutingMissingError.of(service.name, op.id or "null")


def _number_for(service: IndexService, op: WriteOp) -> int:
    """The op's shard. Where there are several, a missing id is made here, since the id chooses the shard."""
    if service.metadata.number_of_shards > 1 and op.id is None:
        op.id = new_id()
    return service.number_for(op.id or "", op.routing)


def _copies(service: IndexService) -> int:
    return service.metadata.number_of_replicas + 1


def _active(service: IndexService, number: int) -> int:
    return max(1, sum(1 for _ in service.routing(number).active()))
