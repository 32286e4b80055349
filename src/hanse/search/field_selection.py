"""Which parts of a document a search shows: `_source` filters and field lists, with their wildcards.

Tests: tests/search/test_field_selection.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hanse.errors import ParsingError
from hanse.search.json_input import as_strings, as_text, token_of


@dataclass(frozen=True, slots=True)
class SourceFilter:
    """`_source` of a request. Includes and excludes are patterns on dotted paths; `*` matches dots too."""

    enabled: bool = True
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        return self.enabled and not self.includes and not self.excludes


@dataclass(frozen=True, slots=True)
class FieldRequest:
    """One entry of `fields` or `docvalue_fields`: a name or pattern, and how dates are to be written."""

    pattern: str
    format: str | None = None
    include_unmapped: bool = False


def parse_source(value: Any) -> SourceFilter:
    if isinstance(value, bool):
        return SourceFilter(enabled=value)
    if isinstance(value, str | list):
        return SourceFilter(True, tuple(as_strings(value, "_source")))
    if not isinstance(value, dict):
        raise ParsingError(
            f"Expected one of [VALUE_BOOLEAN, VALUE_STRING, START_ARRAY, START_OBJECT] but found [{token_of(value)}]"
        )
    includes: list[str] = []
    excludes: list[str] = []
    for key, patterns in value.items():
        if key in ("includes", "include"):
            includes += as_strings(patterns, key)
        elif key in ("excludes", "exclude"):
            excludes += as_strings(patterns, key)
        else:
            raise ParsingError(f"Unknown key for a {token_of(patterns)} in [{key}].")
    return SourceFilter(True, tuple(includes), tuple(excludes))


def parse_fields(value: Sequence[Any], key: str) -> tuple[FieldRequest, ...]:
    requests = []
    for item in value:
        if isinstance(item, str):
            requests.append(FieldRequest(item))
            continue
        if not isinstance(item, dict) or "field" not in item:
            raise ParsingError(f"[{key}] expected a field name or an object with a [field]")
        for name in item:
            if name not in ("field", "format", "include_unmapped"):
                raise ParsingError(f"[{key}] unknown field [{name}]")
        text = item.get("format")
        requests.append(
            FieldRequest(
                as_text(item["field"], "field"),
                None if text is None or text == "use_field_mapping" else as_text(text, "format"),
                bool(item.get("include_unmapped", False)),
            )
        )
    return tuple(requests)


@lru_cache(maxsize=1024)
def wildcard(pattern: str) -> re.Pattern[str]:
    """A pattern whose only special character is `*`."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    return any(name == pattern or ("*" in pattern and wildcard(pattern).fullmatch(name)) for pattern in patterns)


def filter_source(source: dict[str, Any], selected: SourceFilter) -> dict[str, Any]:
    """The parts of a document that includes name and excludes do not. Naming an object names all below it."""
    includes = _Paths(selected.includes) if selected.includes else None
    excludes = _Paths(selected.excludes) if selected.excludes else None
    return _filter(source, "", includes, excludes, taken=includes is None)


class _Paths:
    """Patterns compiled for a walk through a document."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._whole = tuple(patterns)

    def covers(self, path: str) -> bool:
        """The path itself, or an object above it, is named."""
        return matches_any(path, self._whole) or any(
            "*" in pattern and wildcard(pattern + ".*").fullmatch(path) for pattern in self._whole
        )

    def may_lead_below(self, path: str) -> bool:
        """A pattern may name something inside this object."""
        prefix = path + "."
        return any(_prefix_may_match(pattern, prefix) for pattern in self._whole)


@lru_cache(maxsize=8192)
def _prefix_may_match(pattern: str, prefix: str) -> bool:
    head, star, _ = pattern.partition("*")
    if not star:
        return pattern.startswith(prefix)
    return head.startswith(prefix) or prefix.startswith(head)


def _filter(
    source: dict[str, Any], path: str, includes: _Paths | None, excludes: _Paths | None, taken: bool
) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in source.items():
        here = f"{path}.{key}" if path else key
        if excludes is not None and excludes.covers(here):
            continue
        inside = taken or (includes is not None and includes.covers(here))
        if not inside and not (includes is not None and includes.may_lead_below(here)):
            continue
        found, part = _filter_value(value, here, includes, excludes, inside)
        if found:
            kept[key] = part
    return kept


def _filter_value(
    value: Any, path: str, includes: _Paths | None, excludes: _Paths | None, taken: bool
) -> tuple[bool, Any]:
    if taken and excludes is None:
        return True, value
    if isinstance(value, dict):
        part = _filter(value, path, includes, excludes, taken)
        return (bool(part) or taken), part
    if isinstance(value, list):
        if not any(isinstance(item, dict | list) for item in value):
            return taken, value
        parts = [_filter_value(item, path, includes, excludes, taken) for item in value]
        kept = [part for found, part in parts if found]
        return (bool(kept) or taken), kept
    return taken, value


def restrict_source(source: dict[str, Any], allows: Callable[[str], bool], path: str = "") -> dict[str, Any]:
    """Field-level security: the document without the leaves that `allows` refuses. Objects left empty vanish."""
    kept: dict[str, Any] = {}
    for key, value in source.items():
        here = f"{path}.{key}" if path else key
        found, part = _restrict_value(value, here, allows)
        if found:
            kept[key] = part
    return kept


def _restrict_value(value: Any, path: str, allows: Callable[[str], bool]) -> tuple[bool, Any]:
    if isinstance(value, dict):
        part = restrict_source(value, allows, path)
        return bool(part) or (not value and allows(path)), part
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        parts = [_restrict_value(item, path, allows) for item in value]
        kept = [part for found, part in parts if found]
        return bool(kept), kept
    return allows(path), value
