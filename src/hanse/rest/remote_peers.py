"""REST of remote peers and explanations: `_security/remote_peer`, `_security/_explain`.

Tests: tests/rest/test_remote_peers.py, tests/journeys/test_peer_ceilings.py.
"""

from __future__ import annotations

from hanse.errors import IllegalArgumentError
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.security import peer_requests
from hanse.security.requests import ByNames


def register(routes: Routes) -> None:
    routes.add("GET", "/_security/remote_peer", show)
    routes.add("GET", "/_security/remote_peer/{name}", show)
    routes.add("PUT", "/_security/remote_peer/{name}", put)
    routes.add("POST", "/_security/remote_peer/{name}", put)
    routes.add("DELETE", "/_security/remote_peer/{name}", delete)
    routes.add("GET", "/_security/_explain", explain)


async def show(request: RestRequest) -> RestResponse:
    names = request.names("name") if request.has_path("name") else ()
    return RestResponse.answered(await request.run(peer_requests.GET_REMOTE_PEERS, ByNames(names)))


async def put(request: RestRequest) -> RestResponse:
    asked = peer_requests.PutRemotePeer(request.path("name"), request.json_object(required=True))
    return RestResponse.answered(await request.run(peer_requests.PUT_REMOTE_PEER, asked))


async def delete(request: RestRequest) -> RestResponse:
    return RestResponse.answered(await request.run(peer_requests.DELETE_REMOTE_PEER, ByNames((request.path("name"),))))


async def explain(request: RestRequest) -> RestResponse:
    username, dn = request.text("user"), request.text("dn")
    if bool(username) is bool(dn):
        raise IllegalArgumentError("either [user] or [dn] has to say whose rights are to be explained")
    roles = request.text("roles")
    asked = peer_requests.Explain(
        username=username or "",
        action=request.text("action") or "search",
        indices=tuple(part for part in (request.text("index") or "").split(",") if part),
        peer=request.text("peer"),
        roles=None if roles is None else tuple(part.strip() for part in roles.split(",") if part.strip()),
        dn=dn or None,
    )
    return RestResponse.answered(await request.run(peer_requests.EXPLAIN, asked))
