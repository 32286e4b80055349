"""REST of single documents: `_doc`, `_create`, `_source`, `_update`.

Tests: tests/rest/test_documents.py, tests/journeys/.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from hanse.errors import ActionRequestValidationError, IllegalArgumentError, ResourceNotFoundError
from hanse.index import document_requests as actions
from hanse.index.document_requests import GetDocument, GotDocument, WriteDocument, Written
from hanse.index.writing import WriteOp
from hanse.rest.document_json import got_document, written_document
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Handler, Routes
from hanse.rest.source_filter import NOTHING, WHOLE, chosen, source_member, source_parameters
from hanse.rest.update_body import parse_update
from hanse.rest.write_parameters import (
    active_shards,
    check_pipeline,
    refresh_policy,
    version_type,
    write_problems,
)
from hanse.search.field_selection import SourceFilter

_IGNORED_BY_WRITES = ("include_source_on_error", "require_data_stream")


def register(routes: Routes) -> None:
    add = routes.add
    for method in ("PUT", "POST"):
        add(method, "/{index}/_doc/{id}", _write("index"))
        add(method, "/{index}/_create/{id}", _write("create"))
    add("POST", "/{index}/_doc", _write("index"))
    add("DELETE", "/{index}/_doc/{id}", delete)
    add("GET", "/{index}/_doc/{id}", get)
    add("HEAD", "/{index}/_doc/{id}", exists)
    add("GET", "/{index}/_source/{id}", get_source)
    add("HEAD", "/{index}/_source/{id}", source_exists)
    add("POST", "/{index}/_update/{id}", update)


def _write(kind: str) -> Handler:
    async def handler(request: RestRequest) -> RestResponse:
        """Index or create; `op_type` may turn the one into the other."""
        wanted = request.text("op_type") or kind
        if wanted not in ("index", "create"):
            raise IllegalArgumentError(f"opType must be 'create' or 'index', found: [{wanted}]")
        check_pipeline(request.text("pipeline"))
        op = _op(request, "create" if "create" in (wanted, kind) else "index")
        op.source = request.required_content()
        return await _run(request, actions.INDEX, op)

    return handler


def _op(request: RestRequest, kind: Any) -> WriteOp:
    request.accept(*_IGNORED_BY_WRITES)
    return WriteOp(
        kind,
        request.path("id") if request.has_path("id") else None,
        routing=request.text("routing"),
        if_seq_no=request.long("if_seq_no"),
        if_primary_term=request.long("if_primary_term"),
        version=request.long("version"),
        version_type=version_type(request.text("version_type")),
    )


async def _run(request: RestRequest, action: Any, op: WriteOp, source: SourceFilter | None = None) -> RestResponse:
    refresh = refresh_policy(request)
    require_alias = request.flag("require_alias")
    problems = write_problems(op)
    if problems:
        raise ActionRequestValidationError.of(*problems)
    written: Written = await request.run(
        action,
        WriteDocument(
            (request.path("index"),),
            op,
            refresh,
            require_alias,
            timeout_s=request.time_s("timeout", 60.0),
            active_shards=active_shards(request),
        ),
    )
    result = written.result
    assert result is not None
    status = 201 if result.result == "created" else 404 if result.result == "not_found" else 200
    headers = {"Location": _location(written)} if status == 201 else None
    return RestResponse.raw(written_document(written, source), status, headers)


def _location(written: Written) -> str:
    assert written.result is not None
    place = f"/{quote(written.index, safe='')}/_doc/{quote(written.result.id, safe='')}"
    routing = written.result.routing
    return place if routing is None else f"{place}?routing={quote(routing, safe='')}"


async def delete(request: RestRequest) -> RestResponse:
    return await _run(request, actions.DELETE, _op(request, "delete"))


async def update(request: RestRequest) -> RestResponse:
    """The partial document goes down as the bytes that came; the shard merges it with what it finds."""
    request.accept("retry_on_conflict", "lang")
    request.integer("retry_on_conflict")
    parsed = parse_update(request.required_content())
    source = source_parameters(request)
    if parsed.source is not None:
        source = source_member(parsed.source)
    if "version" in request.parameters or "version_type" in request.parameters:
        raise ActionRequestValidationError.of(
            "internal versioning can not be used for optimistic concurrency control. Please use `if_seq_no` and "
            "`if_primary_term` instead"
        )
    op = _op(request, "update")
    op.update = parsed.body
    if parsed.if_seq_no is not None:
        op.if_seq_no = parsed.if_seq_no
    if parsed.if_primary_term is not None:
        op.if_primary_term = parsed.if_primary_term
    return await _run(request, actions.UPDATE, op, source)


# -- reads


def _get_request(request: RestRequest, stored_fields: tuple[str, ...] = ()) -> GetDocument:
    request.accept("preference", "force_synthetic_source")
    version = request.long("version")
    return GetDocument(
        (request.path("index"),),
        request.path("id"),
        request.text("routing"),
        request.flag("realtime", default=True),
        request.flag("refresh"),
        version,
        version_type(request.text("version_type")),
        stored_fields,
    )


async def get(request: RestRequest) -> RestResponse:
    found, source = await _get(request)
    return RestResponse.raw(got_document(found, source), 200 if found.found else 404)


async def exists(request: RestRequest) -> RestResponse:
    found, _ = await _get(request)
    return RestResponse.empty(200 if found.found else 404)


async def _get(request: RestRequest) -> tuple[GotDocument, SourceFilter]:
    stored = tuple(request.list("stored_fields"))
    if "fields" in request.parameters:
        raise IllegalArgumentError(
            "the parameter [fields] is no longer supported, please use [stored_fields] to retrieve stored fields or "
            "[_source] to load the field from _source"
        )
    source = source_parameters(request)
    if source is None:
        source = NOTHING if stored and "_source" not in stored else WHOLE
    names = tuple(name for name in stored if not name.startswith("_"))
    return await request.run(actions.GET, _get_request(request, names)), source


async def get_source(request: RestRequest) -> RestResponse:
    source = source_parameters(request) or WHOLE
    if not source.enabled:
        raise ActionRequestValidationError.of("fetching source can not be disabled")
    found = await request.run(actions.GET, _get_request(request))
    return RestResponse.raw(chosen(_source_of(found), source))


async def source_exists(request: RestRequest) -> RestResponse:
    source = source_parameters(request) or WHOLE
    if not source.enabled:
        raise ActionRequestValidationError.of("fetching source can not be disabled")
    _source_of(await request.run(actions.GET, _get_request(request)))
    return RestResponse.empty()


def _source_of(found: GotDocument) -> bytes:
    if not found.found:
        raise ResourceNotFoundError(f"Document not found [{found.index}]/[{found.id}]")
    if found.source is None:
        raise ResourceNotFoundError(f"Source not found [{found.index}]/[{found.id}]")
    return found.source
