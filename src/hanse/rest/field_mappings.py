"""`_mapping/field`: the mapping of single fields, picked out of whole mappings.

Tests: tests/rest/test_field_mappings.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

_DEFAULTS: dict[str, dict[str, Any]] = {
    "text": {"analyzer": "default", "search_analyzer": "default", "index": True, "store": False, "norms": True},
    "keyword": {"index": True, "store": False, "doc_values": True, "ignore_above": 2_147_483_647},
}
"""What `include_defaults` adds, for the types people ask about."""


def chosen_field_mappings(
    mappings: dict[str, Any], patterns: tuple[str, ...], *, defaults: bool = False
) -> dict[str, Any]:
    """By full name: `{"full_name": ..., "mapping": {leaf: {...}}}` for every field a pattern fits."""
    chosen = {}
    for path, definition in _fields(mappings.get("properties", {}), ""):
        if any(fnmatchcase(path, pattern) for pattern in patterns):
            if defaults:
                definition = {**_DEFAULTS.get(definition.get("type", ""), {}), **definition}
            chosen[path] = {"full_name": path, "mapping": {path.rpartition(".")[2]: definition}}
    return chosen


def _fields(properties: dict[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, definition in properties.items():
        path = prefix + name
        if "properties" in definition:
            yield from _fields(definition["properties"], path + ".")
        else:
            yield path, definition
            yield from _fields(definition.get("fields", {}), path + ".")
