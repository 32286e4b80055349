"""`filter_path`: which members of an answer a client wants (`took,hits.hits._id`) or not (`-_shards`).

`*` stands for a part of one name, `**` for any number of levels; arrays are passed through.
Tests: tests/rest/test_filter_path.py.
"""

from __future__ import annotations

from fnmatch import translate
from re import Pattern, compile
from typing import Any

_NOTHING = object()
Path = tuple[str, ...]


def filtered(value: Any, text: str) -> Any:
    """The value with only the wanted members. Nothing left of an object leaves `{}`."""
    paths = [path.strip() for path in text.split(",") if path.strip()]
    included = [_parts(path) for path in paths if not path.startswith("-")]
    excluded = [_parts(path[1:]) for path in paths if path.startswith("-")]
    if included:
        value = _keep(value, included)
    if excluded and value is not _NOTHING:
        value = _drop(value, excluded)
    return {} if value is _NOTHING else value


def _parts(path: str) -> Path:
    """Names between dots; a dot behind a backslash belongs to its name."""
    return tuple(part.replace("\0", ".") for part in path.replace("\\.", "\0").split("."))


def _below(path: Path, key: str) -> list[Path]:
    """What remains of a path behind a member; () when the member is what it names."""
    first, rest = path[0], path[1:]
    if first == "**":
        return [path, *(_below(rest, key) if rest else [()])]
    return [rest] if _matches(first, key) else []


def _matches(pattern: str, key: str) -> bool:
    return pattern == key or ("*" in pattern and _compiled(pattern).match(key) is not None)


_patterns: dict[str, Pattern[str]] = {}


def _compiled(pattern: str) -> Pattern[str]:
    found = _patterns.get(pattern)
    if found is None:
        if len(_patterns) > 1000:
            _patterns.clear()
        found = _patterns[pattern] = compile(translate(pattern.replace("[", "[[]").replace("?", "[?]")))
    return found


def _keep(value: Any, paths: list[Path]) -> Any:
    if isinstance(value, dict):
        kept = {}
        for key, member in value.items():
            below = [rest for path in paths for rest in _below(path, str(key))]
            if () in below:
                kept[key] = member
            elif below:
                inner = _keep(member, below)
                if inner is not _NOTHING:
                    kept[key] = inner
        return kept or _NOTHING
    if isinstance(value, list):
        items = [item for item in (_keep(one, paths) for one in value) if item is not _NOTHING]
        return items or _NOTHING
    return _NOTHING


def _drop(value: Any, paths: list[Path]) -> Any:
    if isinstance(value, dict):
        kept = {}
        for key, member in value.items():
            below = [rest for path in paths for rest in _below(path, str(key))]
            if () in below:
                continue
            inner = _drop(member, below) if below else member
            if inner is not _NOTHING:
                kept[key] = inner
        return kept if kept or not value else _NOTHING
    if isinstance(value, list):
        items = [item for item in (_drop(one, paths) for one in value) if item is not _NOTHING]
        return items if items or not value else _NOTHING
    return value
