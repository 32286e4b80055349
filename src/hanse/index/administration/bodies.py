"""Reading the JSON bodies index administration shares: settings, aliases, mappings.

Tests: tests/index/administration/test_bodies.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanse.cluster.state import AliasMetadata
from hanse.errors import IllegalArgumentError, MapperParsingError, ParsingError
from hanse.index import settings as index_settings
from hanse.index.administration.names import check_alias_name
from hanse.settings.registry import RawValue, flatten

_ALIAS_KEYS = frozenset({"filter", "routing", "index_routing", "search_routing", "is_write_index", "is_hidden"})
_MAPPING_ROOT_KEYS = frozenset(
    {
        "properties",
        "dynamic",
        "dynamic_templates",
        "dynamic_date_formats",
        "date_detection",
        "numeric_detection",
        "_source",
        "_routing",
        "_meta",
        "_field_names",
        "_data_stream_timestamp",
        "_size",
        "_doc_count",
        "runtime",
        "subobjects",
        "enabled",
    }
)


def settings_of(raw: Any) -> dict[str, RawValue | None]:
    """A `settings` object, nested or dotted, with or without the `index.` prefix, as flat raw settings."""
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise ParsingError("key [settings] must be an object")
    flat = index_settings.with_prefix(flatten(raw))
    return {key[len("index.") :] if key.startswith("index.index.") else key: value for key, value in flat.items()}


def parse_aliases(raw: Any) -> dict[str, AliasMetadata]:
    """An `aliases` object of create index or a template."""
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise ParsingError("key [aliases] must be an object")
    return {name: alias_of(name, body) for name, body in raw.items()}


def alias_of(name: str, body: Any) -> AliasMetadata:
    check_alias_name(name)
    if not isinstance(body, Mapping):
        raise IllegalArgumentError(f"alias [{name}] must be an object")
    unknown = sorted(set(body) - _ALIAS_KEYS)
    if unknown:
        raise IllegalArgumentError(f"Unknown field [{unknown[0]}] in alias [{name}]")
    query = body.get("filter")
    if query is not None and not isinstance(query, dict):
        raise IllegalArgumentError(f"failed to parse filter for alias [{name}]")
    routing = body.get("routing")
    return AliasMetadata(
        filter=query or None,
        index_routing=_text(body.get("index_routing", routing)),
        search_routing=_text(body.get("search_routing", routing)),
        is_write_index=_flag(name, body, "is_write_index"),
        is_hidden=_flag(name, body, "is_hidden"),
    )


def mappings_of(raw: Any) -> dict[str, Any]:
    """A `mappings` object. Types (a single unknown root key) are gone since version 8."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise ParsingError("Failed to parse mapping: expected an object")
    if set(raw) == {"_doc"} and isinstance(raw["_doc"], dict):
        raw = raw["_doc"]
    unknown = [key for key in raw if key not in _MAPPING_ROOT_KEYS]
    if unknown:
        detail = "  ".join(f"[{key} : {_shown(raw[key])}]" for key in unknown)
        reason = f"Root mapping definition has unsupported parameters:  {detail}"
        raise MapperParsingError(
            f"Failed to parse mapping: {reason}", caused_by=MapperParsingError(reason), root_causes=()
        )
    return dict(raw)


def alias_json(alias: AliasMetadata) -> dict[str, Any]:
    """As GET _alias shows it: only what is set."""
    shown = {
        "filter": alias.filter,
        "index_routing": alias.index_routing,
        "search_routing": alias.search_routing,
        "is_write_index": alias.is_write_index,
        "is_hidden": alias.is_hidden,
    }
    return {key: value for key, value in shown.items() if value is not None}


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_shown(item)}" for key, item in value.items()) + "}"
    return str(value)


def _flag(alias: str, body: Mapping[str, Any], key: str) -> bool | None:
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise IllegalArgumentError(f"Failed to parse value [{value}] of [{key}] of alias [{alias}] as a boolean")
    return value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
