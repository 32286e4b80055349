"""REST of data streams.

Tests: tests/journeys/test_data_streams.py.
"""

from __future__ import annotations

import msgspec

from hanse.index.administration import requests as actions
from hanse.index.administration.requests import ByNames, CreateIndex
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.transport.actions import IndicesOptions


def register(routes: Routes) -> None:
    routes.add("PUT", "/_data_stream/{name}", create)
    routes.add("GET", "/_data_stream", show)
    routes.add("GET", "/_data_stream/{name}", show)
    routes.add("DELETE", "/_data_stream/{name}", delete)


async def create(request: RestRequest) -> RestResponse:
    request.accept("master_timeout")
    asked = CreateIndex((request.path("name"),), timeout_s=request.time_s("timeout", 30.0))
    await request.run(actions.CREATE_DATA_STREAM, asked)
    return RestResponse.json({"acknowledged": True})


async def show(request: RestRequest) -> RestResponse:
    request.accept("master_timeout", "include_defaults", "verbose")
    names = request.names("name") if request.has_path("name") else ("*",)
    return RestResponse.json(await request.run(actions.GET_DATA_STREAM, ByNames(names, _options(request))))


async def delete(request: RestRequest) -> RestResponse:
    request.accept("master_timeout")
    await request.run(actions.DELETE_DATA_STREAM, ByNames(request.names("name"), _options(request)))
    return RestResponse.json({"acknowledged": True})


def _options(request: RestRequest) -> IndicesOptions:
    """Streams are never hidden; their backing indices always are, and are not what a wildcard means here."""
    return msgspec.structs.replace(request.indices_options(actions.STRICT), expand_hidden=False)
