"""REST of `_mget`: documents of any indices, each with its own place, routing and part of the source.

Tests: tests/rest/test_mget.py, tests/journeys/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from hanse.errors import ActionRequestValidationError, HanseError, IllegalArgumentError, ParsingError
from hanse.index.document_requests import MULTI_GET, GetDocument, MultiGet
from hanse.rest.document_json import got_document
from hanse.rest.errors import error_body
from hanse.rest.json_body import token_of
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.rest.source_filter import NOTHING, WHOLE, source_member, source_parameters
from hanse.rest.write_parameters import version_type
from hanse.search.field_selection import SourceFilter

_ITEM_KEYS = ("_index", "_id", "routing", "stored_fields", "_source", "version", "version_type", "_version_type")


@dataclass(frozen=True, slots=True)
class _Defaults:
    """What the URI says for items that say nothing themselves."""

    index: str | None
    routing: str | None
    realtime: bool
    refresh: bool
    source: SourceFilter | None
    stored_fields: tuple[str, ...]


def register(routes: Routes) -> None:
    for method in ("GET", "POST"):
        routes.add(method, "/_mget", multi_get)
        routes.add(method, "/{index}/_mget", multi_get)


async def multi_get(request: RestRequest) -> RestResponse:
    request.accept("preference", "force_synthetic_source")
    defaults = _Defaults(
        request.path("index") if request.has_path("index") else None,
        request.text("routing"),
        request.flag("realtime", default=True),
        request.flag("refresh"),
        source_parameters(request),
        tuple(request.list("stored_fields")),
    )
    items = _items(request.json_object(required=True), defaults)
    if not items:
        raise ActionRequestValidationError.of("no documents to get")
    _check(items)
    answer = await request.run(MULTI_GET, MultiGet(tuple(wanted for wanted, _ in items)))
    shown = [_shown(wanted, source, got) for (wanted, source), got in zip(items, answer.documents, strict=True)]
    return RestResponse.raw(b'{"docs":[%b]}' % b",".join(shown))


def _items(body: dict[str, Any], defaults: _Defaults) -> list[tuple[GetDocument, SourceFilter]]:
    items = []
    for key, value in body.items():
        if key not in ("docs", "ids"):
            raise ParsingError(f"unknown key [{key}] for a {token_of(value)}, expected [docs] or [ids]", line=1, col=2)
        if not isinstance(value, list):
            raise ParsingError(f"unexpected token [{token_of(value)}], expected [START_ARRAY]", line=1, col=2)
        for entry in value:
            if key == "docs":
                items.append(_item(entry, defaults))
            elif isinstance(entry, str | int | float):
                items.append(_item({"_id": entry}, defaults))
            else:
                raise IllegalArgumentError("ids array element should only contain ids")
    return items


def _item(entry: Any, defaults: _Defaults) -> tuple[GetDocument, SourceFilter]:
    if not isinstance(entry, dict):
        raise IllegalArgumentError("docs array element should include an object")
    for key in entry:
        if key not in _ITEM_KEYS:
            raise ParsingError(f"unexpected field [{key}] in a document to get", line=1, col=2)
    stored = entry.get("stored_fields")
    names = defaults.stored_fields if stored is None else (stored,) if isinstance(stored, str) else tuple(stored)
    source = source_member(entry.get("_source"))
    if source is None:
        source = defaults.source
    if source is None:
        source = NOTHING if names and "_source" not in names else WHOLE
    routing = entry.get("routing", defaults.routing)
    index, id = entry.get("_index", defaults.index), entry.get("_id")
    wanted = GetDocument(
        (index,) if index else (),
        "" if id is None else str(id),
        None if routing is None else str(routing),
        defaults.realtime,
        defaults.refresh,
        entry.get("version"),
        version_type(entry.get("version_type", entry.get("_version_type"))),
        tuple(str(name) for name in names if not str(name).startswith("_")),
    )
    return wanted, source


def _check(items: list[tuple[GetDocument, SourceFilter]]) -> None:
    problems = []
    for number, (wanted, _) in enumerate(items):
        if not wanted.indices:
            problems.append(f"index is missing for doc {number}")
        if not wanted.id:
            problems.append(f"id is missing for doc {number}")
    if problems:
        raise ActionRequestValidationError.of(*problems)


def _shown(wanted: GetDocument, source: SourceFilter, got: Any) -> bytes:
    if isinstance(got, HanseError):
        return orjson.dumps({"_index": wanted.indices[0], "_id": wanted.id, "error": error_body(got)["error"]})
    return got_document(got, source)
