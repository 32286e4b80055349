"""REST of `_msearch`: many searches in one request, each with its own outcome.

Tests: tests/rest/test_msearch.py, tests/journeys/.
"""

from __future__ import annotations

from typing import Any

import orjson

from hanse.errors import HanseError
from hanse.rest.errors import error_body
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.search import merge
from hanse.search.parameters import MSEARCH_PARAMETERS, multi_search_request
from hanse.search.request import MSEARCH, SearchRequest
from hanse.transport.actions import IndicesOptions


def register(routes: Routes) -> None:
    for method in ("GET", "POST"):
        routes.add(method, "/_msearch", multi_search, cancellable=True, stream=True)
        routes.add(method, "/{index}/_msearch", multi_search, cancellable=True, stream=True)


async def multi_search(request: RestRequest) -> RestResponse:
    indices, options = request.names("index"), request.indices_options(IndicesOptions())
    parameters = request.accept_all(MSEARCH_PARAMETERS)
    asked = multi_search_request(request.required_content(), indices, options, parameters)
    answer = await request.run(MSEARCH, asked)
    shown = [_shown(result, one) for result, one in zip(answer.responses, asked.searches, strict=True)]
    return RestResponse.raw(b'{"took":%d,"responses":[%b]}' % (answer.took_ms, b",".join(shown)))


def _shown(result: Any, asked: SearchRequest) -> bytes:
    """One item; what goes wrong in its last reduce is its own error, too."""
    try:
        if not isinstance(result, HanseError):
            return merge.render(result, asked, status=200)
    except HanseError as error:
        result = error
    return orjson.dumps(error_body(result))
