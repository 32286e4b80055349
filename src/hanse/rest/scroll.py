"""REST of open search contexts: scroll and point in time.

Tests: tests/rest/test_scroll.py, tests/journeys/.
"""

from __future__ import annotations

from typing import Any

from hanse.errors import ActionRequestValidationError, IllegalArgumentError
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.search import merge
from hanse.search.request import (
    CLEAR_SCROLL,
    CLOSE_PIT,
    OPEN_PIT,
    SCROLL,
    ClearedContexts,
    ClearScrollRequest,
    ClosePitRequest,
    OpenPitRequest,
    ScrollRequest,
    SearchRequest,
)
from hanse.transport.actions import IndicesOptions


def register(routes: Routes) -> None:
    for method in ("GET", "POST"):
        routes.add(method, "/_search/scroll", scroll, cancellable=True)
        routes.add(method, "/_search/scroll/{scroll_id}", scroll, cancellable=True)
    routes.add("DELETE", "/_search/scroll", clear_scroll)
    routes.add("DELETE", "/_search/scroll/{scroll_id}", clear_scroll)
    routes.add("POST", "/{index}/_pit", open_pit)
    routes.add("DELETE", "/_pit", close_pit)


async def scroll(request: RestRequest) -> RestResponse:
    """The body wins over the URI, as in Elasticsearch."""
    body = request.json_object()
    unknown = sorted(set(body) - {"scroll_id", "scroll"})
    if unknown:
        raise IllegalArgumentError(
            f"Unknown parameter [{unknown[0]}] in request body or parameter is of the wrong type"
        )
    in_uri = request.path("scroll_id") if request.has_path("scroll_id") else request.text("scroll_id")
    keep_alive = body.get("scroll", request.text("scroll"))
    scroll_id = body.get("scroll_id", in_uri)
    as_int = request.flag("rest_total_hits_as_int")
    if not isinstance(scroll_id, str) or not scroll_id:
        raise ActionRequestValidationError.of("scrollId is missing")
    result = await request.run(SCROLL, ScrollRequest(scroll_id, keep_alive, as_int))
    return RestResponse.raw(merge.render(result, SearchRequest(total_hits_as_int=as_int)))


async def clear_scroll(request: RestRequest) -> RestResponse:
    body = request.json_object()
    in_uri = request.path("scroll_id") if request.has_path("scroll_id") else request.text("scroll_id")
    wanted: Any = body.get("scroll_id", in_uri.split(",") if in_uri else None)
    if isinstance(wanted, str):
        wanted = [wanted]
    if not wanted:
        raise ActionRequestValidationError.of("no scroll ids specified")
    return _cleared(await request.run(CLEAR_SCROLL, ClearScrollRequest(tuple(str(id) for id in wanted))))


async def open_pit(request: RestRequest) -> RestResponse:
    request.accept("max_concurrent_shard_requests")
    keep_alive = request.text("keep_alive")
    if keep_alive is None:
        raise ActionRequestValidationError.of("[keep_alive] is not specified")
    partial = request.text("allow_partial_search_results")
    asked = OpenPitRequest(
        indices=request.names("index"),
        options=request.indices_options(IndicesOptions()),
        keep_alive=keep_alive,
        preference=request.text("preference"),
        routing=request.text("routing"),
        allow_partial_search_results=None if partial is None else request.flag("allow_partial_search_results"),
        body=request.content,
    )
    opened = await request.run(OPEN_PIT, asked)
    shards = {
        "total": opened.total_shards,
        "successful": opened.successful,
        "skipped": opened.skipped,
        "failed": opened.failed,
    }
    return RestResponse.json({"id": opened.id, "_shards": shards})


async def close_pit(request: RestRequest) -> RestResponse:
    body = request.json_object(required=True)
    if not isinstance(body.get("id"), str):
        raise IllegalArgumentError("[id] is required to close a point in time")
    return _cleared(await request.run(CLOSE_PIT, ClosePitRequest(body["id"])))


def _cleared(answer: ClearedContexts) -> RestResponse:
    shown = {"succeeded": answer.succeeded, "num_freed": answer.num_freed}
    return RestResponse.json(shown, status=200 if answer.num_freed else 404)
