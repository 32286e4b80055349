"""REST of searches: `_search`, `_count`, `_field_caps`, `_validate/query`, `_search_shards`, `_explain`.

Tests: tests/rest/test_search.py, tests/journeys/.
"""

from __future__ import annotations

from typing import Any

from hanse.errors import ActionRequestValidationError, IllegalArgumentError
from hanse.index.administration.requests import SEARCH_SHARDS, SearchShards
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.search import field_caps, merge
from hanse.search.json_input import load_object
from hanse.search.parameters import COUNT_PARAMETERS, SEARCH_PARAMETERS, count_request, operator, search_request
from hanse.search.request import (
    EXPLAIN,
    FIELD_CAPS,
    SEARCH,
    VALIDATE_QUERY,
    ExplainRequest,
    FieldCapsRequest,
    ValidateQueryRequest,
)
from hanse.transport.actions import IndicesOptions

_SEARCHED = IndicesOptions()
_ONE_INDEX = IndicesOptions(allow_no_indices=False, expand_open=False, allow_aliases_to_multiple_indices=False)


def register(routes: Routes) -> None:
    for method in ("GET", "POST"):
        for prefix in ("", "/{index}"):
            routes.add(method, f"{prefix}/_search", search, cancellable=True)
            routes.add(method, f"{prefix}/_count", count, cancellable=True)
            routes.add(method, f"{prefix}/_field_caps", capabilities, cancellable=True)
            routes.add(method, f"{prefix}/_validate/query", validate)
            routes.add(method, f"{prefix}/_search_shards", search_shards)
        routes.add(method, "/{index}/_explain/{id}", explain)


async def search(request: RestRequest) -> RestResponse:
    indices, options = request.names("index"), request.indices_options(_SEARCHED)
    asked = search_request(indices, options, request.accept_all(SEARCH_PARAMETERS), request.content)
    return RestResponse.raw(merge.render(await request.run(SEARCH, asked), asked))


async def count(request: RestRequest) -> RestResponse:
    indices, options = request.names("index"), request.indices_options(_SEARCHED)
    asked = count_request(indices, options, request.accept_all(COUNT_PARAMETERS), request.content)
    return RestResponse.raw(merge.render_count(await request.run(SEARCH, asked)))


async def capabilities(request: RestRequest) -> RestResponse:
    """Fields may come in the body or, as of old, in the URI, but not in both."""
    body = request.json_object()
    fields = tuple(request.list("fields"))
    in_body = body.pop("fields", None)
    if fields and in_body is not None:
        raise IllegalArgumentError("can't specify a request body and [fields] request parameter, either specify one")
    if in_body is not None:
        fields = (in_body,) if isinstance(in_body, str) else tuple(str(name) for name in in_body)
    if not fields:
        raise ActionRequestValidationError.of("no fields specified")
    unknown = sorted(set(body) - {"index_filter", "runtime_mappings"})
    if unknown:
        raise IllegalArgumentError(f"[field_caps_request] unknown field [{unknown[0]}]")
    asked = FieldCapsRequest(
        indices=request.names("index"),
        options=request.indices_options(_SEARCHED),
        fields=fields,
        include_unmapped=request.flag("include_unmapped"),
        index_filter=body.get("index_filter"),
        runtime_mappings=body.get("runtime_mappings"),
        types=tuple(request.list("types")),
        filters=tuple(request.list("filters")),
        include_empty_fields=request.flag("include_empty_fields", default=True),
    )
    return RestResponse.raw(field_caps.render(await request.run(FIELD_CAPS, asked), asked))


async def validate(request: RestRequest) -> RestResponse:
    asked = ValidateQueryRequest(
        indices=request.names("index"),
        options=request.indices_options(_SEARCHED),
        body=request.content,
        explain=request.flag("explain"),
        rewrite=request.flag("rewrite"),
        all_shards=request.flag("all_shards"),
        **_query_parameters(request),
    )
    answer = await request.run(VALIDATE_QUERY, asked)
    return RestResponse.raw(answer.body, answer.status)


async def search_shards(request: RestRequest) -> RestResponse:
    request.accept("preference", "local", "master_timeout")
    options = request.indices_options(IndicesOptions())
    asked = SearchShards(request.names("index"), options, request.text("routing"))
    return RestResponse.json(await request.run(SEARCH_SHARDS, asked))


async def explain(request: RestRequest) -> RestResponse:
    request.accept("preference")
    if request.content:
        load_object(request.content)
    asked = ExplainRequest(
        indices=request.names("index"),
        id=request.path("id"),
        options=_ONE_INDEX,
        body=request.content,
        routing=request.text("routing"),
        source=request.text("_source"),
        source_includes=request.text("_source_includes"),
        source_excludes=request.text("_source_excludes"),
        stored_fields=request.text("stored_fields"),
        **_query_parameters(request),
    )
    answer = await request.run(EXPLAIN, asked)
    return RestResponse.raw(answer.body, answer.status)


def _query_parameters(request: RestRequest) -> dict[str, Any]:
    """`q` and how it is read."""
    return {
        "q": request.text("q"),
        "df": request.text("df"),
        "default_operator": operator(request.text("default_operator") or "OR"),
        "analyzer": request.text("analyzer"),
        "analyze_wildcard": request.flag("analyze_wildcard"),
        "lenient": request.flag("lenient") if request.text("lenient") is not None else None,
    }
