"""Field capabilities: what can be searched and aggregated, per index, and many indices in one answer.

Results of clusters merge by joining their indices. Tests: tests/search/test_field_caps.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from hanse import clock
from hanse.errors import ActionRequestValidationError, HanseError
from hanse.index.mapping import FieldType
from hanse.index.mapping import Mapping as IndexMapping
from hanse.index.service import IndexService, Indices
from hanse.index.shard import Shard
from hanse.search import engine
from hanse.search.body import SearchBody, unsupported
from hanse.search.failures import error_object
from hanse.search.field_selection import matches_any
from hanse.search.plan import Shape, build_plan
from hanse.search.request import FieldCapability, FieldCapsRequest, FieldCapsResult
from hanse.search.shard_requests import Shards
from hanse.transport.actions import Call, Target

_METADATA = {
    "_doc_count": FieldCapability("integer", False, False, True),
    "_feature": FieldCapability("_feature", False, False, True),
    "_field_names": FieldCapability("_field_names", True, False, True),
    "_id": FieldCapability("_id", True, False, True),
    "_ignored": FieldCapability("_ignored", True, False, True),
    "_index": FieldCapability("_index", True, True, True),
    "_routing": FieldCapability("_routing", True, False, True),
    "_seq_no": FieldCapability("_seq_no", True, True, True),
    "_source": FieldCapability("_source", False, False, True),
    "_version": FieldCapability("_version", False, True, True),
}
_FAMILIES = {"match_only_text": "text", "constant_keyword": "keyword", "wildcard": "keyword"}


Matches = Mapping[str, bool | HanseError]
"""By index whether something in it may match the filter, or why that cannot be said."""


async def field_caps_local(
    indices: Indices, call: Call, request: FieldCapsRequest, matches: Matches | None = None
) -> FieldCapsResult:
    """The capabilities of the indices the request resolved to, as far as the caller may see their fields.

    `matches` is given when the filter had to be asked of other nodes.
    """
    if not request.fields:
        raise ActionRequestValidationError.of("no fields specified")
    if request.runtime_mappings:
        # As in a search: to show fields that no search here can use would be a false promise.
        raise unsupported("runtime_mappings")
    result = FieldCapsResult()
    first: HanseError | None = None
    if request.index_filter is not None and matches is None:
        matches = matches_of(indices, call.targets.local, request)
    for target in call.targets.local:
        name = f"{request.cluster_alias}:{target.index}" if request.cluster_alias else target.index
        try:
            outcome = True if matches is None else matches[target.index]
            if isinstance(outcome, HanseError):
                raise outcome
            if outcome:
                result.indices[name] = _capabilities(indices.get(target.index), target, request)
        except HanseError as error:
            first = first or error
            result.failures.append({"indices": [name], "failure": _failure(error)})
    if first is not None and not result.indices and len(result.failures) == len(call.targets.local):
        raise first
    return result


def _failure(error: HanseError) -> dict[str, Any]:
    return {"error": {"root_cause": [error_object(error)], **error_object(error)}, "status": error.status}


def matches_of(
    indices: Indices, targets: Iterable[Target], request: FieldCapsRequest, shards: Shards | None = None
) -> dict[str, bool | HanseError]:
    """Judges the filter on the shards that serve here, or only on those named."""
    now_ms = request.now_ms if request.now_ms is not None else clock.now_ms()
    matches: dict[str, bool | HanseError] = {}
    for target in targets:
        if shards is not None and target.index not in shards:
            continue
        try:
            service = indices.get(target.index)
            searched = (
                service.shards if shards is None else [service.shard(number) for number, _ in shards[target.index]]
            )
            matches[target.index] = any(_may_match(service, shard, target, request, now_ms) for shard in searched)
        except HanseError as error:
            matches[target.index] = error
    return matches


def _may_match(service: IndexService, shard: Shard, target: Target, request: FieldCapsRequest, now_ms: int) -> bool:
    body = SearchBody(query=request.index_filter)
    with shard.reader() as reader:
        shape = Shape(
            service.name,
            reader.mapping,
            reader.schema,
            service.metadata.settings,
            target,
            request.cluster_alias,
            aliases=tuple(service.metadata.aliases),
        )
        plan = build_plan(body, shape, reader.searcher, now_ms)
        return not plan.hits.matches_none and engine.count(reader.searcher, plan.hits.query) > 0


def _capabilities(service: IndexService, target: Target, request: FieldCapsRequest) -> dict[str, FieldCapability]:
    from hanse.search.plan import allowed_fields

    allows = allowed_fields(target)
    mapping = service.mapping if allows is None else service.mapping.restricted(allows)
    found = {path: capability for path, capability in _all(mapping, request) if matches_any(path, request.fields)}
    if request.types:
        found = {path: item for path, item in found.items() if item.type in request.types}
    return found


def _all(mapping: IndexMapping, request: FieldCapsRequest) -> Iterator[tuple[str, FieldCapability]]:
    filters = request.filters
    if "-metadata" not in filters:
        yield from _METADATA.items()
    if "+metadata" in filters:
        return
    nested = [path for path, kind in mapping.objects() if kind == "nested"]
    leaves = [(path, field) for path, field in mapping.fields()]
    paths = {path for path, _ in leaves}
    for path, field in leaves:
        if "-multifield" in filters and path.rpartition(".")[0] in paths:
            continue
        if "-nested" in filters and any(path.startswith(parent + ".") for parent in nested):
            continue
        yield path, _capability(field)
    if "-parent" in filters:
        return
    for path, kind in mapping.objects():
        if kind != "nested" or "-nested" not in filters:
            yield path, FieldCapability(kind, False, False)


def _capability(field: FieldType) -> FieldCapability:
    meta = field.params.get("meta") or {}
    return FieldCapability(
        _FAMILIES.get(field.type, field.type), field.is_searchable, field.is_aggregatable, False, dict(meta)
    )


def merge_field_caps(results: Sequence[FieldCapsResult]) -> FieldCapsResult:
    merged = FieldCapsResult()
    for result in results:
        merged.indices.update(result.indices)
        merged.failures.extend(result.failures)
    return merged


def render(result: FieldCapsResult, request: FieldCapsRequest) -> bytes:
    """The answer of `_field_caps`."""
    names = sorted(result.indices)
    by_field: dict[str, dict[str, list[str]]] = {}
    for name in names:
        for path, capability in result.indices[name].items():
            by_field.setdefault(path, {}).setdefault(capability.type, []).append(name)
    fields = {path: _field(path, types, names, result, request) for path, types in sorted(by_field.items())}
    answer: dict[str, Any] = {"indices": names, "fields": fields}
    if result.failures:
        answer["failed_indices"] = sum(len(failure["indices"]) for failure in result.failures)
        answer["failures"] = result.failures
    return orjson.dumps(answer)


def _field(
    path: str, types: dict[str, list[str]], names: list[str], result: FieldCapsResult, request: FieldCapsRequest
) -> dict[str, Any]:
    mapped = {name for members in types.values() for name in members}
    unmapped = [name for name in names if name not in mapped] if request.include_unmapped else []
    several = len(types) > 1 or bool(unmapped)
    shown = {
        kind: _type(kind, [(name, result.indices[name][path]) for name in members], several)
        for kind, members in sorted(types.items())
    }
    if unmapped:
        shown["unmapped"] = {
            "type": "unmapped",
            "metadata_field": False,
            "searchable": False,
            "aggregatable": False,
            "indices": unmapped,
        }
    return shown


def _type(kind: str, members: list[tuple[str, FieldCapability]], several: bool) -> dict[str, Any]:
    searchable = [name for name, capability in members if capability.searchable]
    aggregatable = [name for name, capability in members if capability.aggregatable]
    shown: dict[str, Any] = {
        "type": kind,
        "metadata_field": members[0][1].metadata_field,
        "searchable": len(searchable) == len(members),
        "aggregatable": len(aggregatable) == len(members),
    }
    names = [name for name, _ in members]
    if several:
        shown["indices"] = names
    if searchable and len(searchable) < len(members):
        shown["non_searchable_indices"] = [name for name in names if name not in searchable]
    if aggregatable and len(aggregatable) < len(members):
        shown["non_aggregatable_indices"] = [name for name in names if name not in aggregatable]
    meta: dict[str, set[str]] = {}
    for _, capability in members:
        for key, value in capability.meta.items():
            meta.setdefault(key, set()).add(value)
    if meta:
        shown["meta"] = {key: sorted(values) for key, values in sorted(meta.items())}
    return shown
