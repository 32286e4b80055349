"""REST of `_async_search`: submit, get, status, delete.

Tests: tests/search/test_async_search.py, tests/journeys/test_async_search.py.
"""

from __future__ import annotations

from typing import Any

import orjson

from hanse.rest.errors import item_error
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.search.async_search import (
    DELETE,
    GET,
    KEEP_ALIVE_S,
    SUBMIT,
    WAIT_S,
    AskAsyncSearch,
    AsyncSearch,
    SubmitAsyncSearch,
)
from hanse.search.parameters import SEARCH_PARAMETERS, search_request
from hanse.transport.actions import IndicesOptions

_OWN = frozenset({"wait_for_completion_timeout", "keep_on_completion", "keep_alive"})
_DEFAULTS = {"ccs_minimize_roundtrips": "false"}


def register(routes: Routes) -> None:
    for prefix in ("", "/{index}"):
        routes.add("POST", f"{prefix}/_async_search", submit, cancellable=True)
    routes.add("GET", "/_async_search/{id}", get, cancellable=True)
    routes.add("GET", "/_async_search/status/{id}", status)
    routes.add("DELETE", "/_async_search/{id}", delete)


async def submit(request: RestRequest) -> RestResponse:
    given = request.accept_all(SEARCH_PARAMETERS | _OWN)
    of_search = _DEFAULTS | {name: text for name, text in given.items() if name not in _OWN}
    search = search_request(
        request.names("index"), request.indices_options(IndicesOptions()), of_search, request.content
    )
    asked = SubmitAsyncSearch(
        search,
        request.time_s("wait_for_completion_timeout", WAIT_S),
        request.time_s("keep_alive", KEEP_ALIVE_S),
        request.flag("keep_on_completion"),
    )
    return _answer(await request.run(SUBMIT, asked))


async def get(request: RestRequest) -> RestResponse:
    request.accept("typed_keys")
    return _answer(await request.run(GET, _asked(request)))


async def status(request: RestRequest) -> RestResponse:
    """What `get` says, without the answer itself."""
    state = await request.run(GET, _asked(request))
    response: dict[str, Any] = orjson.loads(state.response) if state.response else {}
    shown = _head(state) | {key: response[key] for key in ("_shards", "_clusters") if key in response}
    if not state.is_running:
        shown["completion_status"] = 200 if state.failure is None else state.failure.status
    return RestResponse.json(shown)


async def delete(request: RestRequest) -> RestResponse:
    await request.run(DELETE, AskAsyncSearch(request.path("id")))
    return RestResponse.json({"acknowledged": True})


def _asked(request: RestRequest) -> AskAsyncSearch:
    keep_alive_s = request.time_s("keep_alive", KEEP_ALIVE_S) if "keep_alive" in request.parameters else None
    return AskAsyncSearch(request.path("id"), request.time_s("wait_for_completion_timeout", 0.0), keep_alive_s)


def _head(state: AsyncSearch) -> dict[str, Any]:
    head: dict[str, Any] = {} if state.id is None else {"id": state.id}
    head["is_partial"] = state.is_running or state.error is not None
    head["is_running"] = state.is_running
    head["start_time_in_millis"] = state.started_ms
    head["expiration_time_in_millis"] = state.expires_ms
    if state.completed_ms is not None:
        head["completion_time_in_millis"] = state.completed_ms
    return head


def _answer(state: AsyncSearch) -> RestResponse:
    shown = _head(state)
    failure = state.failure
    if failure is not None:
        return RestResponse.json({**shown, "error": item_error(failure)}, status=failure.status)
    return RestResponse.raw(orjson.dumps({**shown, "response": orjson.Fragment(state.response)}))
