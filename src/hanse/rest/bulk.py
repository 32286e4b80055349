"""REST of `_bulk`: many writes in one request, each with its own outcome.

The answer is compact and begins with `took`, `errors`, `items` in this order, without a space: Fluent Bit looks for
the bytes `"errors":false,"items":[` in answers it cut short. Tests: tests/rest/test_bulk.py, tests/journeys/.
"""

from __future__ import annotations

import asyncio

import orjson

from hanse.errors import ActionRequestValidationError
from hanse.index.document_actions import ITEMS_AT_A_TIME
from hanse.index.document_requests import BULK, BulkItemResult, BulkRequest, BulkResult
from hanse.rest.bulk_lines import BulkDefaults, ParsedItem, parse_bulk
from hanse.rest.document_json import updated_get, written_members
from hanse.rest.errors import item_error, unwrapped
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.rest.source_filter import source_parameters
from hanse.rest.write_parameters import active_shards, check_pipeline, refresh_policy


def register(routes: Routes) -> None:
    for method in ("POST", "PUT"):
        routes.add(method, "/_bulk", bulk, stream=True)
        routes.add(method, "/{index}/_bulk", bulk, stream=True)


async def bulk(request: RestRequest) -> RestResponse:
    request.accept(
        "batch_size",
        "type",
        "list_executed_pipelines",
        "require_data_stream",
        "include_source_on_error",
    )
    check_pipeline(request.text("pipeline"))
    defaults = BulkDefaults(
        request.path("index") if request.has_path("index") else None,
        request.text("routing"),
        request.flag("require_alias"),
        source_parameters(request),
    )
    refresh = refresh_policy(request)
    parsed = await _parsed(request.required_content(), defaults)
    if not parsed:
        raise ActionRequestValidationError.of("no requests added")
    items = [one.item for one in parsed]
    answer = await request.run(
        BULK, BulkRequest(items, refresh, request.time_s("timeout", 60.0), active_shards(request))
    )
    return RestResponse.raw(await _rendered(parsed, answer))


async def _parsed(body: bytes, defaults: BulkDefaults) -> list[ParsedItem]:
    """Gives way to others now and then: a large request must not hold the event loop."""
    parsed = []
    for number, item in enumerate(parse_bulk(body, defaults), 1):
        parsed.append(item)
        if number % ITEMS_AT_A_TIME == 0:
            await asyncio.sleep(0)
    return parsed


async def _rendered(parsed: list[ParsedItem], answer: BulkResult) -> bytes:
    items: list[bytes] = []
    quoted: dict[str, bytes] = {}
    failed = False
    for number, (asked, outcome) in enumerate(zip(parsed, answer.items, strict=True), 1):
        index = quoted.get(outcome.index)
        if index is None:
            index = quoted[outcome.index] = orjson.dumps(outcome.index)
        items.append(_item(asked, outcome, index, answer.forced_refresh))
        failed |= outcome.error is not None
        if number % ITEMS_AT_A_TIME == 0:
            await asyncio.sleep(0)
    errors = b"true" if failed else b"false"
    return b'{"took":%d,"errors":%b,"items":[%b]}' % (answer.took_ms, errors, b",".join(items))


def _item(asked: ParsedItem, outcome: BulkItemResult, index: bytes, forced_refresh: bool) -> bytes:
    op = asked.item.op
    result = outcome.result
    if result is None:
        assert outcome.error is not None
        error = unwrapped(outcome.error)
        shown = {"_index": outcome.index, "_id": op.id, "status": error.status, "error": item_error(error)}
        return b'{"%b":%b}' % (op.op.encode(), orjson.dumps(shown))
    status = 201 if result.result == "created" else 404 if result.result == "not_found" else 200
    forced = forced_refresh and result.result != "noop"
    members = written_members(index, result, outcome.copies, outcome.active, forced)
    return b'{"%b":{%b,"status":%d%b}}' % (op.op.encode(), members, status, updated_get(result, asked.source))
