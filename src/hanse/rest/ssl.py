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
    answer = await request.run(RELOAD, Empty())
    whole = sum(all(entry["reloaded"] for entry in report.contexts.values()) for report in answer.reports)
    total = len(answer.reports) + len(answer.failures)
    counts = {"total": total, "successful": whole, "failed": total - whole}
    return RestResponse.json(
        {
            "_nodes": {**counts, "failures": answer.failures} if answer.failures else counts,
            "nodes": {
                report.node_id: {"name": report.node_name, "contexts": report.contexts} for report in answer.reports
            },
        }
    )
