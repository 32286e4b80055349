"""`inner_hits` of `collapse`: for each collapsed hit a search of its group, spliced into the hit.

Tests: tests/search/test_query_phase.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import orjson

from hanse.errors import IllegalArgumentError, XContentParseError
from hanse.search.body import SearchBody, parse_request
from hanse.search.merge import render
from hanse.search.request import Hit, SearchRequest, SearchResult

DEFAULT_INNER_SIZE = 3
_NOT_IN_INNER = ("name", "ignore_unmapped")
Search = Callable[[SearchBody, SearchRequest], Awaitable[SearchResult]]


async def expand_groups(hits: list[Hit], body: SearchBody, search: Search, *, totals_as_int: bool) -> None:
    """Adds `inner_hits` to every hit. `search` runs a body, which the request has as bytes, over the same shards."""
    assert body.collapse is not None
    wanted = body.collapse.get("inner_hits")
    if not wanted:
        return
    inner = wanted if isinstance(wanted, list) else [wanted]
    for hit in hits:
        groups = [await _group(hit, body, settings, search, totals_as_int) for settings in inner]
        hit.json = hit.json[:-1] + b',"inner_hits":{' + b",".join(groups) + b"}}"


async def _group(hit: Hit, body: SearchBody, settings: dict[str, Any], search: Search, totals_as_int: bool) -> bytes:
    assert body.collapse is not None
    members = {key: value for key, value in settings.items() if key not in _NOT_IN_INNER}
    members.setdefault("size", DEFAULT_INNER_SIZE)
    for key in members.get("collapse", {}):
        if key != "field":
            raise XContentParseError(f"[collapse] failed to parse field [collapse]: unknown field [{key}]")
    name = settings.get("name")
    if name is None:
        raise IllegalArgumentError("[inner_hits] must have a [name]")
    field = body.collapse["field"]
    same: dict[str, Any]
    if hit.collapse is None:
        same = {"bool": {"must_not": {"exists": {"field": field}}}}
    else:
        same = {"term": {field: hit.collapse}}
    request = SearchRequest(body=orjson.dumps(members), total_hits_as_int=totals_as_int)
    group = parse_request(request)
    group = SearchBody(**{name: getattr(group, name) for name in SearchBody.__dataclass_fields__ if name != "plans"})
    group.query = {"bool": {"must": [body.query or {"match_all": {}}], "filter": [same]}}
    whole = msgspec.structs.replace(request, body=orjson.dumps({**members, "query": group.query}))
    rendered = render(await search(group, whole), request)
    hits = rendered[rendered.index(b'"hits":{') : -1]
    return orjson.dumps(name) + b":{" + hits + b"}"
