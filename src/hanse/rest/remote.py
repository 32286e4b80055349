"""REST of remote clusters: `_remote/info`.

Tests: tests/journeys/test_trust.py.
"""

from __future__ import annotations

from hanse.remote.status import REMOTE_INFO
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.transport.actions import Empty


def register(routes: Routes) -> None:
    routes.add("GET", "/_remote/info", info)


async def info(request: RestRequest) -> RestResponse:
    return RestResponse.json(await request.run(REMOTE_INFO, Empty()))
