"""REST of TLS: `_ssl/certificates` and `_ssl/reload`.

Tests: tests/rest/test_ssl.py, tests/journeys/test_rotation.py.
"""

from __future__ import annotations

from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.security.ssl_actions import CERTIFICATES, RELOAD
from hanse.transport.actions import Empty


def register(routes: Routes) -> None:
    routes.add("GET", "/_ssl/certificates", certificates)
    routes.add("POST", "/_ssl/reload", reload)


async def certificates(request: RestRequest) -> RestResponse:
    return RestResponse.json((await request.run(CERTIFICATES, Empty())).certificates)


async def reload(request: RestRequest) -> RestResponse:
    """By node, in the shape of the other APIs that ask every node."""
    report = await request.run(RELOAD, Empty())
    has_failed = any(not entry["reloaded"] for entry in report.contexts.values())
    return RestResponse.json(
        {
            "_nodes": {"total": 1, "successful": int(not has_failed), "failed": int(has_failed)},
            "nodes": {report.node_id: {"name": report.node_name, "contexts": report.contexts}},
        }
    )
