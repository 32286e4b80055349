"""Queries that take values from another document (`terms` lookup): resolved before the query is built.

The document is read through the gate as the same caller, so a lookup shows nobody more than a search would.
Tests: tests/search/test_lookups.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.search.body import SearchBody
from hanse.search.document_fields import values_at
from hanse.search.request import SEARCH, SearchRequest, SearchResult
from hanse.transport.actions import Call

_KEYS = ("index", "id", "path", "routing", "store")


async def resolve_lookups(call: Call, body: SearchBody) -> SearchBody:
    """The same body, or one with the looked-up values in place."""
    if not _has_lookup(body.query):
        return body
    return replace(body, query=await _resolved(call, body.query), plans={})


def _has_lookup(clause: Any) -> bool:
    if isinstance(clause, list):
        return any(_has_lookup(item) for item in clause)
    if not isinstance(clause, dict):
        return False
    return any(_is_lookup(name, body) or _has_lookup(body) for name, body in clause.items())


def _is_lookup(name: str, body: Any) -> bool:
    return name == "terms" and isinstance(body, dict) and any(isinstance(value, dict) for value in body.values())


async def _resolved(call: Call, clause: Any) -> Any:
    if isinstance(clause, list):
        return [await _resolved(call, item) for item in clause]
    if not isinstance(clause, dict):
        return clause
    built = {}
    for name, body in clause.items():
        if _is_lookup(name, body):
            built[name] = {
                key: await _values(call, value) if isinstance(value, dict) else value for key, value in body.items()
            }
        else:
            built[name] = await _resolved(call, body)
    return built


async def _values(call: Call, lookup: dict[str, Any]) -> list[Any]:
    for key in lookup:
        if key not in _KEYS:
            raise ParsingError(f"[terms_lookup] unknown field [{key}]", line=1, col=1)
    for key in ("index", "id", "path"):
        if lookup.get(key) is None:
            raise IllegalArgumentError(f"[terms] query lookup element requires specifying the {key}.")
    query = {"query": {"ids": {"values": [str(lookup["id"])]}}, "_source": [lookup["path"]], "size": 1}
    request = SearchRequest(
        indices=(str(lookup["index"]),), body=orjson.dumps(query), routing=lookup.get("routing"), lenient=None
    )
    result: SearchResult = await call.run(SEARCH, request)
    if not result.hits:
        return []
    source = orjson.loads(result.hits[0].json).get("_source", {})
    return [value for value in values_at(source, str(lookup["path"])) if value is not None]
