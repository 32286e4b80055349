"""`GET /`: the answer by which every client decides whether it may talk to us.

It names the Elasticsearch version we are compatible with (`hanse.compatibility.version`); our own name and version
stand in headers (strict decoders refuse members they do not know) and in `_nodes`. Tests: tests/rest/test_root.py.
"""

from __future__ import annotations

from hanse import __version__
from hanse.cluster.requests import MAIN
from hanse.rest.build import BUILD_DATE, BUILD_HASH, LUCENE_VERSION
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.settings.node_settings import COMPATIBILITY_VERSION, MINIMUM_INDEX_VERSION, MINIMUM_WIRE_VERSION
from hanse.transport.actions import Empty


def register(routes: Routes) -> None:
    routes.add("GET", "/", root)
    routes.add("HEAD", "/", root)


async def root(request: RestRequest) -> RestResponse:
    answer = await request.run(MAIN, Empty())
    return RestResponse.json(
        {
            "name": answer["name"],
            "cluster_name": answer["cluster_name"],
            "cluster_uuid": answer["cluster_uuid"],
            "version": {
                "number": request.settings.read(COMPATIBILITY_VERSION),
                "build_flavor": "default",
                "build_type": "tar",
                "build_hash": BUILD_HASH,
                "build_date": BUILD_DATE,
                "build_snapshot": False,
                "lucene_version": LUCENE_VERSION,
                "minimum_wire_compatibility_version": MINIMUM_WIRE_VERSION,
                "minimum_index_compatibility_version": MINIMUM_INDEX_VERSION,
            },
            "tagline": "You Know, for Search",
        },
        headers={"X-Hanse-Version": __version__},
    )
