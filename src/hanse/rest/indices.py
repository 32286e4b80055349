"""REST of index administration: create, delete, get, open, close, mappings, settings, aliases, statistics.

Tests: tests/rest/test_indices.py, tests/journeys/.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from hanse.errors import ActionRequestValidationError, IllegalArgumentError, ParsingError
from hanse.index.administration import requests as actions
from hanse.index.administration.requests import (
    AliasAction,
    Analyze,
    Block,
    ByNames,
    CreateIndex,
    GetAliases,
    PutMapping,
    PutSettings,
    Recovery,
    Rollover,
    Stats,
    UpdateAliases,
)
from hanse.rest.field_mappings import chosen_field_mappings
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.rest.statistics import chosen_statistics
from hanse.rest.write_parameters import active_shards
from hanse.settings.registry import nest
from hanse.transport.actions import IndicesOptions

_ACTIVE_SHARDS = ("wait_for_active_shards", "master_timeout", "timeout", "cluster_manager_timeout")


def register(routes: Routes) -> None:
    add = routes.add
    add("PUT", "/{index}", create)
    add("DELETE", "/{index}", delete)
    add("GET", "/{index}", get_index)
    add("HEAD", "/{index}", exists)
    add("POST", "/{index}/_open", open_index)
    add("POST", "/{index}/_close", close_index)
    add("PUT", "/{index}/_block/{block}", _block(actions.BLOCK))
    add("DELETE", "/{index}/_block/{block}", _block(actions.UNBLOCK))
    add("POST", "/{index}/_rollover", rollover)
    add("POST", "/{index}/_rollover/{new_index}", rollover)
    for method in ("GET", "POST"):
        for action, path in (
            (actions.REFRESH, "_refresh"),
            (actions.FLUSH, "_flush"),
            (actions.FORCE_MERGE, "_forcemerge"),
            (actions.CLEAR_CACHE, "_cache/clear"),
        ):
            if method == "GET" and path in ("_forcemerge", "_cache/clear"):
                continue
            add(method, f"/{path}", _whole_index(action))
            add(method, f"/{{index}}/{path}", _whole_index(action))
    for prefix in ("", "/{index}"):
        add("GET", f"{prefix}/_mapping", get_mapping)
        add("GET", f"{prefix}/_mappings", get_mapping)
        add("GET", f"{prefix}/_mapping/field/{{fields}}", get_field_mapping)
        add("GET", f"{prefix}/_settings", get_settings)
        add("GET", f"{prefix}/_settings/{{name}}", get_settings)
        add("PUT", f"{prefix}/_settings", put_settings)
        add("GET", f"{prefix}/_alias", get_alias)
        add("GET", f"{prefix}/_aliases", get_alias)
        add("GET", f"{prefix}/_alias/{{name}}", get_alias)
        add("HEAD", f"{prefix}/_alias/{{name}}", alias_exists)
        add("GET", f"{prefix}/_stats", get_statistics)
        add("GET", f"{prefix}/_stats/{{metric}}", get_statistics)
        add("GET", f"{prefix}/_segments", _read(actions.SEGMENTS))
        add("GET", f"{prefix}/_recovery", recovery)
        add("GET", f"{prefix}/_analyze", analyze)
        add("POST", f"{prefix}/_analyze", analyze)
    for method in ("PUT", "POST"):
        add(method, "/{index}/_mapping", put_mapping)
        add(method, "/{index}/_mappings", put_mapping)
        add(method, "/{index}/_alias/{name}", put_alias)
        add(method, "/{index}/_aliases/{name}", put_alias)
    add("DELETE", "/{index}/_alias/{name}", delete_alias)
    add("DELETE", "/{index}/_aliases/{name}", delete_alias)
    add("POST", "/_aliases", update_aliases)
    add("GET", "/_resolve/index/{index}", resolve)
    add("POST", "/_resolve/index/{index}", resolve)


async def create(request: RestRequest) -> RestResponse:
    request.accept(*_ACTIVE_SHARDS)
    body = request.json_object()
    asked = CreateIndex(
        (request.path("index"),), body, active_shards=active_shards(request), timeout_s=request.time_s("timeout", 30.0)
    )
    answer = await request.run(actions.CREATE, asked)
    return RestResponse.json(
        {"acknowledged": True, "shards_acknowledged": answer.shards_acknowledged, "index": answer.index}
    )


async def delete(request: RestRequest) -> RestResponse:
    request.accept(*_ACTIVE_SHARDS)
    names = request.names("index")
    options = request.indices_options(actions.NO_ALIASES)
    await request.run(actions.DELETE, ByNames(names, options))
    return RestResponse.json({"acknowledged": True})


async def get_index(request: RestRequest) -> RestResponse:
    """`features` chooses of aliases, mappings and settings."""
    request.accept("local", *_ACTIVE_SHARDS)
    flat = request.flag("flat_settings")
    defaults, human = request.flag("include_defaults"), request.flag("human")
    features = (request.text("features") or "aliases,mappings,settings").split(",")
    answer = await request.run(actions.GET_INDEX, ByNames(request.names("index"), _options(request)))
    shown = {}
    for name, index in answer.items():
        entry = {key: value for key, value in index.items() if key in (*features, "data_stream")}
        if "settings" in entry:
            settings = _readable(index["settings"]) if human else index["settings"]
            entry["settings"] = _chosen(settings, (), flat=flat)
            if defaults:
                entry["defaults"] = _chosen(index["defaults"], (), flat=flat)
        shown[name] = entry
    return RestResponse.json(shown)


def _readable(settings: dict[str, Any]) -> dict[str, Any]:
    """With `human`, the moment and the version also as people write them."""
    created = datetime.fromtimestamp(int(settings["index.creation_date"]) / 1000, UTC)
    version = int(settings["index.version.created"])
    return {
        **settings,
        "index.creation_date_string": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "index.version.created_string": f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}",
    }


async def exists(request: RestRequest) -> RestResponse:
    request.accept("local", "flat_settings", "include_defaults")
    await request.run(actions.GET_INDEX, ByNames(request.names("index"), _options(request)))
    return RestResponse.empty()


async def open_index(request: RestRequest) -> RestResponse:
    request.accept(*_ACTIVE_SHARDS)
    options = request.indices_options(
        IndicesOptions(expand_open=False, expand_closed=True, forbid_closed_indices=False)
    )
    return RestResponse.json(await request.run(actions.OPEN, ByNames(request.names("index"), options)))


async def close_index(request: RestRequest) -> RestResponse:
    request.accept(*_ACTIVE_SHARDS)
    options = request.indices_options(IndicesOptions(forbid_closed_indices=False))
    return RestResponse.json(await request.run(actions.CLOSE, ByNames(request.names("index"), options)))


def _block(action: Any) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        request.accept(*_ACTIVE_SHARDS)
        asked = Block(request.names("index"), request.path("block"), _options(request))
        return RestResponse.json(await request.run(action, asked))

    return handler


def _whole_index(action: Any) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        request.accept(
            "max_num_segments",
            "only_expunge_deletes",
            "flush",
            "wait_for_completion",
            "fielddata",
            "fields",
            "query",
            "request",
        )
        if request.flag("force") and not request.flag("wait_if_ongoing", True):
            raise ActionRequestValidationError.of("wait_if_ongoing must be true for a force flush")
        options = request.indices_options(IndicesOptions())
        return RestResponse.json(await request.run(action, ByNames(request.names("index"), options)))

    return handler


def _read(action: Any) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        request.accept("verbose")
        options = request.indices_options(IndicesOptions())
        return RestResponse.json(await request.run(action, ByNames(request.names("index"), options)))

    return handler


async def get_mapping(request: RestRequest) -> RestResponse:
    request.accept("local", *_ACTIVE_SHARDS)
    options = request.indices_options(actions.STRICT)
    return RestResponse.json(await request.run(actions.GET_MAPPINGS, ByNames(request.names("index"), options)))


async def get_field_mapping(request: RestRequest) -> RestResponse:
    request.accept("local")
    fields, defaults = request.names("fields"), request.flag("include_defaults")
    mappings = await request.run(actions.GET_FIELD_MAPPINGS, ByNames(request.names("index"), _options(request)))
    found = {
        name: {"mappings": chosen_field_mappings(entry["mappings"], fields, defaults=defaults)}
        for name, entry in mappings.items()
    }
    return RestResponse.json(found)


async def put_mapping(request: RestRequest) -> RestResponse:
    request.accept(*_ACTIVE_SHARDS)
    body = request.json_object(required=True)
    write_index_only = request.flag("write_index_only")
    await request.run(
        actions.PUT_MAPPING,
        PutMapping(request.names("index"), body, _options(request), write_index_only),
    )
    return RestResponse.json({"acknowledged": True})


async def get_settings(request: RestRequest) -> RestResponse:
    request.accept("local", *_ACTIVE_SHARDS)
    flat = request.flag("flat_settings")
    defaults = request.flag("include_defaults")
    patterns = request.names("name")
    answer = await request.run(actions.GET_SETTINGS, ByNames(request.names("index"), _options(request)))
    shown = {}
    for name, index in answer.items():
        entry = {"settings": _chosen(index["settings"], patterns, flat=flat)}
        if defaults:
            entry["defaults"] = _chosen(index["defaults"], patterns, flat=flat)
        if entry["settings"] or not patterns:
            shown[name] = entry
    return RestResponse.json(shown)


def _chosen(settings: dict[str, Any], patterns: tuple[str, ...], *, flat: bool) -> dict[str, Any]:
    kept = {
        key: value
        for key, value in sorted(settings.items())
        if not patterns or any(pattern == "_all" or fnmatchcase(key, pattern) for pattern in patterns)
    }
    return kept if flat else nest(kept)


async def put_settings(request: RestRequest) -> RestResponse:
    request.accept("flat_settings", *_ACTIVE_SHARDS)
    body = request.json_object(required=True)
    preserve = request.flag("preserve_existing")
    reopen = request.flag("reopen")
    await request.run(
        actions.PUT_SETTINGS, PutSettings(request.names("index"), body, _options(request), preserve, reopen)
    )
    return RestResponse.json({"acknowledged": True})


async def get_alias(request: RestRequest) -> RestResponse:
    request.accept("local", *_ACTIVE_SHARDS)
    answer = await _aliases(request)
    if answer["missing"]:
        missing = answer["missing"]
        text = f"alias [{missing[0]}] missing" if len(missing) == 1 else f"aliases [{','.join(missing)}] missing"
        return RestResponse.json({"error": text, "status": 404, **answer["indices"]}, status=404)
    return RestResponse.json(answer["indices"])


async def alias_exists(request: RestRequest) -> RestResponse:
    request.accept("local")
    answer = await _aliases(request)
    found = any(entry["aliases"] for entry in answer["indices"].values())
    return RestResponse.empty(status=200 if found and not answer["missing"] else 404)


async def _aliases(request: RestRequest) -> dict[str, Any]:
    options = request.indices_options(actions.EVERY)
    answer: dict[str, Any] = await request.run(
        actions.GET_ALIASES, GetAliases(request.names("index"), request.names("name"), options)
    )
    return answer


async def put_alias(request: RestRequest) -> RestResponse:
    request.accept(*_ACTIVE_SHARDS)
    body = request.json_object()
    action = AliasAction("add", request.names("index"), request.names("name"), body)
    await request.run(actions.UPDATE_ALIASES, UpdateAliases((action,)))
    return RestResponse.json({"acknowledged": True})


async def delete_alias(request: RestRequest) -> RestResponse:
    request.accept(*_ACTIVE_SHARDS)
    action = AliasAction("remove", request.names("index"), request.names("name"))
    await request.run(actions.UPDATE_ALIASES, UpdateAliases((action,)))
    return RestResponse.json({"acknowledged": True})


_ALIAS_BODY_KEYS = ("filter", "routing", "index_routing", "search_routing", "is_write_index", "is_hidden")


async def update_aliases(request: RestRequest) -> RestResponse:
    request.accept(*_ACTIVE_SHARDS)
    body = request.json_object(required=True)
    unknown = sorted(set(body) - {"actions"})
    if unknown:
        raise ParsingError(f"[aliases] unknown field [{unknown[0]}]")
    entries = body.get("actions") or []
    if not isinstance(entries, list):
        raise ParsingError("[aliases] [actions] must be a list")
    parsed = tuple(_alias_action(entry) for entry in entries)
    if not parsed:
        raise IllegalArgumentError("No action specified")
    await request.run(actions.UPDATE_ALIASES, UpdateAliases(parsed))
    return RestResponse.json({"acknowledged": True})


def _alias_action(entry: Any) -> AliasAction:
    if not isinstance(entry, dict) or len(entry) != 1:
        raise ParsingError("[aliases] an action is an object with one of [add], [remove], [remove_index]")
    ((kind, body),) = entry.items()
    if kind not in ("add", "remove", "remove_index"):
        raise ParsingError(f"[alias_action] unknown field [{kind}]")
    if not isinstance(body, dict):
        raise ParsingError(f"[{kind}] must be an object")
    indices = _texts(body, "index", "indices")
    aliases = _texts(body, "alias", "aliases")
    if not indices:
        raise IllegalArgumentError("One of [index] or [indices] is required")
    if kind != "remove_index" and not aliases:
        raise IllegalArgumentError("One of [alias] or [aliases] is required")
    known = {"index", "indices", "alias", "aliases", "must_exist", *_ALIAS_BODY_KEYS}
    unknown = sorted(set(body) - known)
    if unknown:
        raise ParsingError(f"[{kind}] unknown field [{unknown[0]}]")
    properties = {key: body[key] for key in _ALIAS_BODY_KEYS if key in body}
    return AliasAction(kind, indices, aliases, properties, body.get("must_exist"))


def _texts(body: dict[str, Any], one: str, many: str) -> tuple[str, ...]:
    value = body.get(one, body.get(many))
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list) else (str(value),)


async def get_statistics(request: RestRequest) -> RestResponse:
    request.accept(
        "completion_fields",
        "fielddata_fields",
        "fields",
        "include_segment_file_sizes",
        "include_unloaded_segments",
        "forbid_closed_indices",
    )
    level = request.text("level") or "indices"
    metrics, groups = request.names("metric"), request.list("groups")
    options = request.indices_options(IndicesOptions(forbid_closed_indices=False))
    answer = await request.run(actions.STATS, Stats(request.names("index"), options))
    return RestResponse.json(chosen_statistics(answer, metrics, level, path=request.uri_path, groups=groups))


async def rollover(request: RestRequest) -> RestResponse:
    request.accept(*_ACTIVE_SHARDS, "lazy")
    asked = Rollover(
        (request.path("index"),),
        request.json_object(),
        request.path("new_index") if request.has_path("new_index") else None,
        request.flag("dry_run"),
    )
    return RestResponse.json(await request.run(actions.ROLLOVER, asked))


async def recovery(request: RestRequest) -> RestResponse:
    """Files are not copied, so `detailed` adds nothing."""
    request.accept("detailed")
    options = request.indices_options(Recovery().options)
    asked = Recovery(request.names("index"), options, request.flag("active_only"))
    return RestResponse.json(await request.run(actions.RECOVERY, asked))


async def analyze(request: RestRequest) -> RestResponse:
    body = request.json_object(required=True)
    index = request.text("index") or (request.path("index") if request.has_path("index") else None)
    names = (index,) if index else ()
    return RestResponse.json(await request.run(actions.ANALYZE, Analyze(body, names)))


async def resolve(request: RestRequest) -> RestResponse:
    request.accept("mode")
    options = request.indices_options(IndicesOptions(forbid_closed_indices=False))
    return RestResponse.json(await request.run(actions.RESOLVE, ByNames(request.names("index"), options)))


def _options(request: RestRequest) -> IndicesOptions:
    return request.indices_options(actions.STRICT)
