"""REST of trust in one step: `_security/trust`.

Tests: tests/rest/test_trust.py, tests/journeys/test_trust_in_one_step.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.security.requests import Answer, ByNames
from hanse.security.trust import requests
from hanse.transport.actions import Action, Empty


def register(routes: Routes) -> None:
    routes.add("POST", "/_security/trust/invite", _posted(requests.INVITE, requests.Invite))
    routes.add("POST", "/_security/trust/accept", _posted(requests.ACCEPT, requests.Accept))
    routes.add("POST", "/_security/trust/confirm", _posted(requests.CONFIRM, requests.Confirm))
    routes.add("POST", "/_security/trust/exchange", _posted(requests.EXCHANGE, requests.Turn))
    routes.add("GET", "/_security/trust/pending", pending)
    routes.add("GET", "/_security/trust/pending/{id}", pending)
    routes.add("DELETE", "/_security/trust/pending/{id}", cancel)
    routes.add("GET", "/_security/trust", trusted)
    routes.add("DELETE", "/_security/trust/{alias}", distrust)


def _posted(action: Action[Any, Answer], build: Callable[[dict[str, Any]], Any]) -> Any:
    """A step that has its body as its request."""

    async def handler(request: RestRequest) -> RestResponse:
        return RestResponse.answered(await request.run(action, build(request.json_object(required=True))))

    return handler


async def pending(request: RestRequest) -> RestResponse:
    names = (request.path("id"),) if request.has_path("id") else ()
    return RestResponse.answered(await request.run(requests.GET_PENDING, ByNames(names)))


async def cancel(request: RestRequest) -> RestResponse:
    return RestResponse.answered(await request.run(requests.CANCEL, ByNames((request.path("id"),))))


async def trusted(request: RestRequest) -> RestResponse:
    return RestResponse.answered(await request.run(requests.GET_TRUSTED, Empty()))


async def distrust(request: RestRequest) -> RestResponse:
    return RestResponse.answered(await request.run(requests.DELETE_TRUSTED, ByNames((request.path("alias"),))))
