"""Queries that take values from other documents (`terms` lookup, `more_like_this`), resolved before they are built.

The documents are read through the gate as the same caller, so a lookup shows nobody more than a get would.
Tests: tests/search/test_lookups.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from hanse.errors import IllegalArgumentError, IndexNotFoundError, ParsingError
from hanse.index.document_requests import GET, GetDocument, GotDocument
from hanse.search.body import SearchBody
from hanse.search.document_fields import values_at
from hanse.transport.actions import Call

_KEYS = ("index", "id", "path", "routing", "store")


async def resolve_lookups(call: Call, body: SearchBody) -> SearchBody:
    """The same body, or one with the looked-up values in place."""
    aggregations = body.aggregations
    nested = aggregations.queries if aggregations else []
    if not _has_lookup(body.query) and not _has_lookup(nested):
        return body
    if aggregations and nested:
        aggregations = aggregations.with_queries([await _resolved(call, clause) for clause in nested])
    return replace(body, query=await _resolved(call, body.query), aggregations=aggregations, plans={})


def _has_lookup(clause: Any) -> bool:
    if isinstance(clause, list):
        return any(_has_lookup(item) for item in clause)
    if not isinstance(clause, dict):
        return False
    return any(_is_lookup(name, body) or _has_lookup(body) for name, body in clause.items())


def _is_lookup(name: str, body: Any) -> bool:
    if not isinstance(body, dict):
        return False
    if name == "terms":
        return any(isinstance(value, dict) for value in body.values())
    return name == "more_like_this" and any(
        _is_item(item) for key in ("like", "unlike") for item in _list(body.get(key))
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _is_item(value: Any) -> bool:
    return isinstance(value, dict) and "_id" in value


async def _resolved(call: Call, clause: Any) -> Any:
    if isinstance(clause, list):
        return [await _resolved(call, item) for item in clause]
    if not isinstance(clause, dict):
        return clause
    built: dict[str, Any] = {}
    for name, body in clause.items():
        if not _is_lookup(name, body):
            built[name] = await _resolved(call, body)
        elif name == "terms":
            built[name] = {
                key: await _values(call, value) if isinstance(value, dict) else value for key, value in body.items()
            }
        else:
            built[name] = await _with_documents(call, body)
    return built


async def _values(call: Call, lookup: dict[str, Any]) -> list[Any]:
    for key in lookup:
        if key not in _KEYS:
            raise ParsingError(f"[terms_lookup] unknown field [{key}]", line=1, col=1)
    for key in ("index", "id", "path"):
        if lookup.get(key) is None:
            raise IllegalArgumentError(f"[terms] query lookup element requires specifying the {key}.")
    source = await _source(call, str(lookup["index"]), str(lookup["id"]), lookup.get("routing"))
    return [value for value in values_at(source, str(lookup["path"])) if value is not None]


async def _source(call: Call, index: str, id: str, routing: str | None) -> dict[str, Any]:
    got: GotDocument = await call.run(GET, GetDocument((index,), id, routing))
    return orjson.loads(got.source) if got.found and got.source else {}


async def _with_documents(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """`{"_index", "_id"}` items get their document as `doc`; the query keeps the ids, to leave those documents out."""
    resolved = dict(body)
    for key in ("like", "unlike"):
        items = []
        for item in _list(body.get(key)):
            if _is_item(item) and "doc" not in item:
                items.append({**item, "doc": await _liked(call, item)})
            else:
                items.append(item)
        resolved[key] = items
    return resolved


async def _liked(call: Call, item: dict[str, Any]) -> dict[str, Any]:
    index = item.get("_index") or (call.targets.local[0].index if call.targets.local else None)
    if index is None:
        return {}
    try:
        return await _source(call, str(index), str(item["_id"]), item.get("routing"))
    except IndexNotFoundError:
        return {}
