"""REST of trust in one step: `_security/trust`.

Tests: tests/rest/test_trust.py, tests/journeys/test_trust_in_one_step.py.
"""

from __future__ import annotations

from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.security.requests import Answer, ByNames
from hanse.security.trust import requests
from hanse.transport.actions import Empty


def register(routes: Routes) -> None:
    routes.add("POST", "/_security/trust/invite", invite)
    routes.add("POST", "/_security/trust/accept", accept)
    routes.add("POST", "/_security/trust/confirm", confirm)
    routes.add("POST", "/_security/trust/exchange", exchange)
    routes.add("GET", "/_security/trust/pending", pending)
    routes.add("GET", "/_security/trust/pending/{id}", pending)
    routes.add("DELETE", "/_security/trust/pending/{id}", cancel)
    routes.add("GET", "/_security/trust", trusted)
    routes.add("DELETE", "/_security/trust/{alias}", distrust)


async def invite(request: RestRequest) -> RestResponse:
    return _answered(await request.run(requests.INVITE, requests.Invite(request.json_object(required=True))))


async def accept(request: RestRequest) -> RestResponse:
    return _answered(await request.run(requests.ACCEPT, requests.Accept(request.json_object(required=True))))


async def confirm(request: RestRequest) -> RestResponse:
    return _answered(await request.run(requests.CONFIRM, requests.Confirm(request.json_object(required=True))))


async def exchange(request: RestRequest) -> RestResponse:
    return _answered(await request.run(requests.EXCHANGE, requests.Turn(request.json_object(required=True))))


async def pending(request: RestRequest) -> RestResponse:
    names = (request.path("id"),) if request.has_path("id") else ()
    return _answered(await request.run(requests.GET_PENDING, ByNames(names)))


async def cancel(request: RestRequest) -> RestResponse:
    return _answered(await request.run(requests.CANCEL, ByNames((request.path("id"),))))


async def trusted(request: RestRequest) -> RestResponse:
    return _answered(await request.run(requests.GET_TRUSTED, Empty()))


async def distrust(request: RestRequest) -> RestResponse:
    return _answered(await request.run(requests.DELETE_TRUSTED, ByNames((request.path("alias"),))))


def _answered(answer: Answer) -> RestResponse:
    return RestResponse.json(answer.body, status=answer.status)
