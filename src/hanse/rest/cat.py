"""`_cat`: what operators read in a terminal. Each page runs the same actions as its JSON sister.

The pages are in cat_indices.py and cat_cluster.py, how a table is shown in cat_table.py.
Tests: tests/rest/test_cat.py, tests/journeys/.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from hanse.rest import cat_cluster, cat_indices
from hanse.rest.cat_table import Table, Units
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes

Page = Callable[[RestRequest], Awaitable[Table]]


def register(routes: Routes) -> None:
    pages: dict[str, tuple[Page, tuple[str, ...]]] = {
        "indices": (cat_indices.indices, ("index",)),
        "health": (cat_cluster.health, ()),
        "nodes": (cat_cluster.nodes, ()),
        "shards": (cat_indices.shards, ("index",)),
        "aliases": (cat_indices.aliases, ("name",)),
        "count": (cat_indices.count, ("index",)),
        "master": (cat_cluster.master, ()),
        "cluster_manager": (cat_cluster.master, ()),
        "allocation": (cat_cluster.allocation, ("node",)),
        "templates": (cat_indices.templates, ("name",)),
        "nodeattrs": (cat_cluster.nodeattrs, ()),
        "plugins": (cat_cluster.plugins, ()),
        "pending_tasks": (cat_cluster.pending_tasks, ()),
        "thread_pool": (cat_cluster.thread_pool, ("pools",)),
        "recovery": (cat_indices.recovery, ("index",)),
        "segments": (cat_indices.segments, ("index",)),
        "fielddata": (cat_indices.fielddata, ("fields",)),
        "tasks": (cat_cluster.tasks, ()),
        "repositories": (cat_cluster.repositories, ()),
    }
    routes.add("GET", "/_cat", _listing(sorted(pages)))
    for name, (page, parameters) in pages.items():
        handler = _rendered(page)
        routes.add("GET", f"/_cat/{name}", handler)
        for parameter in parameters:
            routes.add("GET", f"/_cat/{name}/{{{parameter}}}", handler)


def _listing(names: list[str]) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        return RestResponse.text("=^.^=\n" + "".join(f"/_cat/{name}\n" for name in names))

    return handler


def _rendered(page: Page) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        """`v`, `h`, `s`, `help`, `format`, `bytes`, `time`; JSON also when the Accept header asks for it."""
        request.accept("local", "master_timeout", "pri", "full_id", "include_unloaded_segments", "size")
        request.accept("expand_wildcards", "active_only", "detailed", "timeout", "health", "include_bootstrap")
        help_wanted, header = request.flag("help"), request.flag("v")
        names, keys = tuple(request.list("h")), tuple(request.list("s"))
        units, wanted = Units(request.text("bytes"), request.text("time")), request.text("format")
        table = await page(request)
        if help_wanted:
            return RestResponse.text(table.help_text())
        table.sort(keys)
        if (wanted or request.accepted_format) in ("json", "yaml"):
            return RestResponse.json(table.objects(names, units=units))
        return RestResponse.text(table.text(names, header=header, units=units))

    return handler
