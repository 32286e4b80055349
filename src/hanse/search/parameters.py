"""URI parameters of `_search`, `_count` and `_msearch` folded into requests. Tests: tests/search/test_parameters.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from hanse.errors import ActionRequestValidationError, IllegalArgumentError, JsonParseError
from hanse.search.json_input import as_bool, as_int, as_strings, load_object, number_format
from hanse.search.pit_id import indices_of
from hanse.search.request import MultiSearchRequest, SearchRequest
from hanse.transport.actions import IndicesOptions

_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_INTEGERS = {"from": "from_", "size": "size", "terminate_after": "terminate_after"}
_BOOLEANS = (
    "track_scores",
    "version",
    "seq_no_primary_term",
    "explain",
    "lenient",
    "analyze_wildcard",
    "allow_partial_search_results",
    "ccs_minimize_roundtrips",
    "typed_keys",
    "request_cache",
)
_TEXTS = {
    "q": "q",
    "df": "df",
    "analyzer": "analyzer",
    "sort": "sort",
    "_source": "source",
    "_source_includes": "source_includes",
    "_source_include": "source_includes",
    "_source_excludes": "source_excludes",
    "_source_exclude": "source_excludes",
    "stored_fields": "stored_fields",
    "docvalue_fields": "docvalue_fields",
    "timeout": "timeout",
    "preference": "preference",
    "routing": "routing",
    "scroll": "scroll",
}
_IGNORED = (
    "max_concurrent_shard_requests",
    "include_named_queries_score",
    "force_synthetic_source",
    "suggest_field",
    "suggest_mode",
    "suggest_size",
    "suggest_text",
)
_QUERY_TEXTS = ("q", "df", "analyzer", "default_operator", "lenient", "analyze_wildcard")
_INDEX_OPTIONS = ("ignore_unavailable", "allow_no_indices", "expand_wildcards", "ignore_throttled")

_OTHERS = (
    "track_total_hits",
    "min_score",
    "search_type",
    "default_operator",
    "batched_reduce_size",
    "rest_total_hits_as_int",
    "pre_filter_shard_size",
)
SEARCH_PARAMETERS: frozenset[str] = frozenset((*_INTEGERS, *_BOOLEANS, *_TEXTS, *_IGNORED, *_INDEX_OPTIONS, *_OTHERS))
COUNT_PARAMETERS: frozenset[str] = frozenset(
    (*_QUERY_TEXTS, *_INDEX_OPTIONS, "preference", "routing", "min_score", "terminate_after")
)
MSEARCH_PARAMETERS: frozenset[str] = frozenset(
    (
        "ccs_minimize_roundtrips",
        "max_concurrent_searches",
        "max_concurrent_shard_requests",
        "pre_filter_shard_size",
        "rest_total_hits_as_int",
        "search_type",
        "typed_keys",
        "include_named_queries_score",
        "routing",
        *_INDEX_OPTIONS,
    )
)


def search_request(
    indices: tuple[str, ...], options: IndicesOptions, parameters: Mapping[str, str], body: bytes
) -> SearchRequest:
    """The search that path, query string and body ask for. A point in time in the body names the indices."""
    members: dict[str, Any] = {}
    if parameters:
        _fold(parameters, members)
    if members.get("total_hits_as_int") and b'"track_total_hits"' in body:
        _check_exact_totals(load_object(body))
    if b'"pit"' in body:
        indices, options = _pit_indices(indices, options, body)
    return SearchRequest(indices, options, body, **members)


def _fold(parameters: Mapping[str, str], members: dict[str, Any]) -> None:
    for name, text in parameters.items():
        if name in _TEXTS:
            members[_TEXTS[name]] = text
        elif name in _INTEGERS:
            members[_INTEGERS[name]] = int_parameter(name, text)
        elif name in _BOOLEANS:
            members[name] = flag(text, name)
        elif name == "default_operator":
            members["default_operator"] = operator(text)
        elif name == "search_type":
            members["search_type"] = _search_type(text)
        elif name == "min_score":
            members["min_score"] = float_parameter(name, text)
        elif name == "batched_reduce_size":
            members["batched_reduce_size"] = _batched_reduce_size(int_parameter(name, text))
        elif name == "pre_filter_shard_size":
            members[name] = _pre_filter_shard_size(int_parameter(name, text))
        elif name == "track_total_hits":
            members["track_total_hits"] = track_total_hits(text)
        elif name == "rest_total_hits_as_int":
            members["total_hits_as_int"] = flag(text, name)
    if members.get("total_hits_as_int"):
        _check_exact_totals(members)


def int_parameter(name: str, text: str) -> int:
    """A URI parameter that is an int of Java, 32 bits; raises IllegalArgumentError with Elasticsearch's wording."""
    return _whole("int", 32, name, text)


def long_parameter(name: str, text: str) -> int:
    """A URI parameter of 64 bits: versions, sequence numbers and terms are such."""
    return _whole("long", 64, name, text)


def _whole(kind: str, bits: int, name: str, text: str) -> int:
    number = int(text) if _WHOLE.fullmatch(text) else None
    if number is None or not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise _unparsed(kind, name, text)
    return number


def float_parameter(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise _unparsed("float", name, text) from error


def _unparsed(kind: str, name: str, text: str) -> IllegalArgumentError:
    return IllegalArgumentError(
        f"Failed to parse {kind} parameter [{name}] with value [{text}]", caused_by=number_format(text)
    )


def flag(text: str, name: str) -> bool:
    """A URI boolean: present without a value means true."""
    return True if text == "" else as_bool(text, name)


def operator(text: Any) -> str:
    upper = str(text).upper()
    if upper not in ("AND", "OR"):
        raise IllegalArgumentError(f"No enum constant org.elasticsearch.index.query.Operator.{upper}")
    return upper


def track_total_hits(value: Any) -> bool | int:
    """`true`, `false` or a threshold; -1 stands for true."""
    if value in (True, False) and isinstance(value, bool):
        return value
    if isinstance(value, str) and value in ("true", "false", ""):
        return value != "false"
    is_text = isinstance(value, str)
    threshold = int_parameter("track_total_hits", value) if is_text else as_int(value, "track_total_hits")
    if threshold < -1:
        raise IllegalArgumentError(f"[track_total_hits] parameter must be positive or equals to -1, got {threshold}")
    return True if threshold == -1 else threshold


def _search_type(text: str) -> str:
    if text not in ("query_then_fetch", "dfs_query_then_fetch"):
        raise IllegalArgumentError(f"No search type for [{text}]")
    return text


def _batched_reduce_size(value: int) -> int:
    if value < 2:
        raise IllegalArgumentError("batchedReduceSize must be >= 2")
    return value


def _pre_filter_shard_size(value: int) -> int:
    if value < 1:
        raise IllegalArgumentError("preFilterShardSize must be >= 1")
    return value


def _check_exact_totals(members: dict[str, Any]) -> None:
    threshold = members.get("track_total_hits")
    if isinstance(threshold, int) and not isinstance(threshold, bool):
        raise IllegalArgumentError(
            f"[rest_total_hits_as_int] cannot be used if the tracking of total hits is not accurate, got {threshold}"
        )


def _pit_indices(
    indices: tuple[str, ...], options: IndicesOptions, body: bytes
) -> tuple[tuple[str, ...], IndicesOptions]:
    pit = load_object(body).get("pit")
    if not isinstance(pit, dict) or not isinstance(pit.get("id"), str):
        return indices, options
    if indices:
        raise ActionRequestValidationError.of(
            "[indices] cannot be used with point in time. Do not specify any index with point in time."
        )
    # An index that was deleted meanwhile must not hide the others.
    return indices_of(pit["id"]), msgspec.structs.replace(options, ignore_unavailable=True)


def count_request(
    indices: tuple[str, ...], options: IndicesOptions, parameters: Mapping[str, str], body: bytes
) -> SearchRequest:
    """A count is a search of size 0 that counts exactly. Its body may hold nothing but a query."""
    source = load_object(body)
    for key, value in source.items():
        if key != "query":
            from hanse.search.body import unknown_member

            raise unknown_member("request does not support", key, value)
    members: dict[str, Any] = {"indices": indices, "options": options, "body": body}
    _fold(parameters, members)
    members |= {"size": 0, "track_total_hits": True}
    return SearchRequest(**members)


def multi_search_request(
    body: bytes, indices: tuple[str, ...], options: IndicesOptions, parameters: Mapping[str, str]
) -> MultiSearchRequest:
    """Pairs of a header line and a body line. Raises what Elasticsearch says of malformed ones."""
    concurrent = parameters.get("max_concurrent_searches")
    if concurrent is not None and int_parameter("max_concurrent_searches", concurrent) < 1:
        raise IllegalArgumentError("maxConcurrentSearchRequests must be positive")
    if body and not body.endswith(b"\n"):
        raise IllegalArgumentError("The msearch request must be terminated by a newline [\\n]")
    lines = body.split(b"\n")[:-1]
    searches, position = [], 0
    while position < len(lines):
        header = lines[position].strip()
        if not header and position + 1 >= len(lines):
            break
        if position + 1 >= len(lines):
            break
        searches.append(_one_of_many(header, lines[position + 1], indices, options, parameters))
        position += 2
    if not searches:
        raise ActionRequestValidationError.of("no requests added")
    return MultiSearchRequest(
        tuple(searches), int_parameter("max_concurrent_searches", concurrent) if concurrent is not None else None
    )


_HEADER_TEXTS = ("search_type", "preference", "routing", "ccs_minimize_roundtrips", "allow_partial_search_results")


def _one_of_many(
    header: bytes, body: bytes, indices: tuple[str, ...], options: IndicesOptions, parameters: Mapping[str, str]
) -> SearchRequest:
    try:
        members = orjson.loads(header) if header else {}
    except orjson.JSONDecodeError as error:
        raise JsonParseError(f"{error.msg} at [line: {error.lineno}, column: {error.colno}]") from error
    if not isinstance(members, dict):
        raise IllegalArgumentError("[_msearch] metadata must be an object")
    folded = {
        k: v for k, v in parameters.items() if k in ("search_type", "ccs_minimize_roundtrips", "typed_keys", "routing")
    }
    if "rest_total_hits_as_int" in parameters:
        folded["rest_total_hits_as_int"] = parameters["rest_total_hits_as_int"]
    changes: dict[str, Any] = {}
    for key, value in members.items():
        if key in ("index", "indices"):
            indices = tuple(part for text in as_strings(value, key) for part in text.split(",")) if value else ()
        elif key in _HEADER_TEXTS:
            folded[key] = value if isinstance(value, str) else orjson.dumps(value).decode()
        elif key in ("ignore_unavailable", "ignoreUnavailable"):
            changes["ignore_unavailable"] = as_bool(value, key)
        elif key in ("allow_no_indices", "allowNoIndices"):
            changes["allow_no_indices"] = as_bool(value, key)
        elif key in ("expand_wildcards", "expandWildcards"):
            changes |= expand_wildcards(as_strings(value, key))
        elif key not in (
            "ignore_throttled",
            "request_cache",
            "max_concurrent_shard_requests",
            "pre_filter_shard_size",
            "type",
        ):
            raise IllegalArgumentError(f"key [{key}] is not supported in the metadata section")
    if changes:
        options = msgspec.structs.replace(options, **changes)
    return search_request(indices, options, folded, body)


def expand_wildcards(states: list[str]) -> dict[str, bool]:
    """The members of IndicesOptions that `expand_wildcards` sets. Raises IllegalArgumentError on an unknown state."""
    chosen = {"expand_open": False, "expand_closed": False, "expand_hidden": False}
    for state in (part.strip() for text in states for part in text.split(",")):
        if state == "all":
            chosen = dict.fromkeys(chosen, True)
        elif state == "none":
            chosen = dict.fromkeys(chosen, False)
        elif f"expand_{state}" in chosen:
            chosen[f"expand_{state}"] = True
        else:
            raise IllegalArgumentError(f"No valid expand wildcard value [{state}]")
    return chosen
