"""Several searches in one request, and questions about a query: is it valid, how does it score a document.

The room's other actions: SEARCH and FIELD_CAPS may cross borders and belong to `remote`; spread_contexts.py has those
of search contexts; shard_questions.py asks the questions here of shards on other nodes.

Tests: tests/search/test_actions.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Any

import orjson
import tantivy

from hanse import clock
from hanse.errors import ActionRequestValidationError, HanseError, ParsingError
from hanse.index.service import IndexService, Indices
from hanse.index.shard import ShardReader
from hanse.search.body import SearchBody, unknown_member, uri_query
from hanse.search.fetch_phase import explanation
from hanse.search.field_selection import SourceFilter, filter_source, parse_source, restrict_source
from hanse.search.json_input import load_object
from hanse.search.plan import Plan, RequestRefusedError, Shape, build_plan
from hanse.search.query.context import MUST, unscored
from hanse.search.request import (
    MSEARCH,
    SEARCH,
    ExplainRequest,
    JsonResult,
    MultiSearchRequest,
    MultiSearchResult,
    SearchRequest,
    ValidateQueryRequest,
)
from hanse.search.shard_requests import Shards
from hanse.transport.actions import ActionRegistry, Call, Target

CONCURRENT_SEARCHES_MAX = 8


def register(registry: ActionRegistry) -> None:
    registry.register(MSEARCH, multi_search)


async def multi_search(call: Call, request: MultiSearchRequest) -> MultiSearchResult:
    """Runs each search through the gate as the same caller; one that fails leaves the others alone."""
    started = perf_counter()
    allowed = asyncio.Semaphore(request.max_concurrent_searches or CONCURRENT_SEARCHES_MAX)

    async def one(search: SearchRequest) -> Any:
        async with allowed:
            try:
                return await call.run(SEARCH, search)
            except HanseError as error:
                return error

    responses = await asyncio.gather(*(one(search) for search in request.searches))
    return MultiSearchResult(list(responses), int((perf_counter() - started) * 1000))


def _query_of(request: ValidateQueryRequest | ExplainRequest) -> dict[str, Any] | None:
    """The query of the body, or of `q`. Other members of the body are refused."""
    if request.q is not None:
        return uri_query(request)
    members = load_object(request.body)
    for key, value in members.items():
        if key != "query":
            raise unknown_member("request does not support", key, value, request.body)
    query_member = members.get("query")
    if query_member is not None and not isinstance(query_member, dict):
        raise ParsingError("[_na] query malformed, must start with start_object")
    return query_member


def _shape(service: IndexService, reader: ShardReader, target: Target) -> Shape:
    metadata = service.metadata
    return Shape(
        service.name, reader.mapping, reader.schema, metadata.settings, target, aliases=tuple(metadata.aliases)
    )


async def validate_query(indices: Indices, call: Call, request: ValidateQueryRequest) -> JsonResult:
    """Whether the query can be built for every index; with `explain`, what became of it. All shards serve here."""
    return validated(request, *validate_here(indices, call.targets.local, request))


def validate_here(
    indices: Indices, targets: Iterable[Target], request: ValidateQueryRequest, named: Shards | None = None
) -> tuple[list[dict[str, Any]], int]:
    """What became of the query on one shard of each index, on all, or on those named; and how many that are."""
    explanations: list[dict[str, Any]] = []
    try:
        query = _query_of(request)
    except HanseError as error:
        return [{"valid": False, "error": _problem(error)}], 0
    for target in targets:
        service = indices.get(target.index)
        shards = service.shards[: None if request.all_shards else 1]
        if named is not None:
            shards = [service.shard(number) for number, _ in named.get(target.index, ())]
        for shard in shards:
            with shard.reader() as reader:
                shape = _shape(service, reader, target)
                entry: dict[str, Any] = {"index": service.name}
                if request.all_shards:
                    entry["shard"] = shard.number
                try:
                    plan = build_plan(SearchBody(query=query), shape, reader.searcher, clock.now_ms())
                    entry |= {"valid": True, "explanation": str(plan.asked.query)}
                except (HanseError, RequestRefusedError) as error:
                    cause = error.error if isinstance(error, RequestRefusedError) else error
                    entry |= {"valid": False, "error": _problem(cause)}
                explanations.append(entry)
    return explanations, len(explanations)


def _problem(error: HanseError) -> str:
    text = f"org.elasticsearch.{error.name}: {error.reason}"
    return f"{text}; {_problem(error.caused_by)}" if error.caused_by is not None else text


def validated(
    request: ValidateQueryRequest, explanations: list[dict[str, Any]], shards: int, failures: Sequence[HanseError] = ()
) -> JsonResult:
    """The answer; `shards` are those that were asked, `failures` are of those that could not be."""
    valid = not failures and all(entry["valid"] for entry in explanations)
    answer: dict[str, Any] = {
        "_shards": {"total": shards + len(failures), "successful": shards, "failed": len(failures)},
        "valid": valid,
    }
    explanations += [{"valid": False, "error": _problem(failure)} for failure in failures]
    if explanations and (request.explain or (request.rewrite and shards)):
        answer["explanations"] = explanations
        first = next((item for item in explanations if "error" in item), None)
        if first is not None and not shards:
            answer["error"] = first["error"]
    return JsonResult(orjson.dumps(answer))


async def explain(indices: Indices, call: Call, request: ExplainRequest) -> JsonResult:
    """How the query scores one document, or that it does not match or exist (404)."""
    query = _query_of(request)
    if query is None:
        raise ActionRequestValidationError.of("query is missing")
    target = call.targets.local[0]
    service = indices.get(target.index)
    shard = service.shard_for(request.id, request.routing or target.routing)
    with shard.reader() as reader:
        shape = _shape(service, reader, target)
        try:
            plan = build_plan(SearchBody(query=query), shape, reader.searcher, clock.now_ms())
        except RequestRefusedError as refused:
            raise refused.error from refused
        return _explained(reader, plan, request, service.name)


def _explained(reader: Any, plan: Plan, request: ExplainRequest, index: str) -> JsonResult:
    answer: dict[str, Any] = {"_index": index, "_id": request.id, "matched": False}
    own = tantivy.Query.term_query(reader.schema, "_id", request.id, index_option="basic")
    visible = tantivy.Query.boolean_query([(MUST, unscored(own)), (MUST, plan.visible)])
    found = reader.searcher.search(visible, 1, False).hits
    if not found:
        return JsonResult(orjson.dumps(answer), 404)
    matching = tantivy.Query.boolean_query([(MUST, unscored(own)), (MUST, plan.hits.query)])
    matches = reader.searcher.search(matching, 1, False).hits
    if matches:
        answer |= {"matched": True, "explanation": explanation(plan.hits.query, reader.searcher, found[0][1])}
    else:
        answer["explanation"] = {"value": 0.0, "description": "no matching clause", "details": []}
    selected = _source_filter(request)
    if selected is not None and selected.enabled:
        seq_no = reader.searcher.fast_field_values("_seq_no", [found[0][1]])[0]
        source = orjson.loads(reader.fetch([int(seq_no)])[0].source)
        if plan.allows is not None:
            source = restrict_source(source, plan.allows)
        answer["get"] = {"found": True, "_source": filter_source(source, selected)}
    return JsonResult(orjson.dumps(answer))


def _source_filter(request: ExplainRequest) -> SourceFilter | None:
    if request.source is None and request.source_includes is None and request.source_excludes is None:
        return None
    if request.source in ("true", "false"):
        return SourceFilter(enabled=request.source == "true")
    includes = (request.source_includes or request.source or "").split(",")
    excludes = (request.source_excludes or "").split(",")
    return parse_source({"includes": [i for i in includes if i], "excludes": [e for e in excludes if e]})
