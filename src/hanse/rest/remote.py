"""REST of remote clusters: `_remote/info`, `_resolve/cluster`.

Tests: tests/journeys/test_trust.py.
"""

from __future__ import annotations

import msgspec

from hanse.errors import IllegalArgumentError
from hanse.remote.resolve_cluster import EVERY_REMOTE, RESOLVE_CLUSTER, ResolveCluster
from hanse.remote.status import REMOTE_INFO
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.transport.actions import Empty, IndicesOptions

_INDEX_OPTIONS = frozenset({"allow_no_indices", "expand_wildcards", "ignore_unavailable", "ignore_throttled"})


def register(routes: Routes) -> None:
    routes.add("GET", "/_remote/info", info)
    routes.add("GET", "/_resolve/cluster", resolve_clusters)
    routes.add("GET", "/_resolve/cluster/{index}", resolve_clusters)


async def info(request: RestRequest) -> RestResponse:
    return RestResponse.json(await request.run(REMOTE_INFO, Empty()))


async def resolve_clusters(request: RestRequest) -> RestResponse:
    """Without an expression every remote cluster is looked at, and index options make no sense."""
    timeout_s = request.time_s("timeout", -1.0)
    asked_options = request.indices_options(IndicesOptions(forbid_closed_indices=False))
    options = msgspec.structs.replace(asked_options, ignore_unavailable=True)
    indices = request.names("index") if request.has_path("index") else ()
    if not indices:
        given = sorted(_INDEX_OPTIONS & request.parameters.keys())
        if given:
            raise IllegalArgumentError(
                "No index options are allowed on _resolve/cluster when no index expression is specified, but received: "
                f"[{', '.join(given)}]"
            )
    asked = ResolveCluster(
        indices or EVERY_REMOTE,
        options,
        names_must_exist=not asked_options.ignore_unavailable,
        matches=bool(indices),
        timeout_s=timeout_s if timeout_s > 0 else None,
    )
    return RestResponse.json(await request.run(RESOLVE_CLUSTER, asked))
