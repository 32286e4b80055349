"""Every API of a node: joins the families of this room. A family is a module with `register(routes)`.

Tests: tests/rest/test_application.py.
"""

from __future__ import annotations

from hanse.rest import (
    async_search,
    bulk,
    cat,
    ccr,
    cluster,
    data_streams,
    documents,
    indices,
    mget,
    msearch,
    prometheus,
    remote,
    remote_peers,
    root,
    scroll,
    search,
    security,
    ssl,
    tasks,
    templates,
    trust,
)
from hanse.rest.routes import Routes

FAMILIES = (
    root,
    documents,
    mget,
    bulk,
    search,
    msearch,
    async_search,
    scroll,
    indices,
    templates,
    data_streams,
    cat,
    cluster,
    security,
    remote_peers,
    trust,
    ssl,
    remote,
    ccr,
    tasks,
    prometheus,
)


def all_routes() -> Routes:
    routes = Routes()
    for family in FAMILIES:
        family.register(routes)
    return routes
