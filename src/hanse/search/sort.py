"""What a search sorts by, read from the body or the URI without knowing any mapping.

Promises only the order of the asked keys and what merging needs; `sort_keys.py` binds them to an index.
Tests: tests/search/test_sort.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any

from hanse.errors import IllegalArgumentError, ParsingError, XContentParseError
from hanse.search.json_input import as_text, token_of

SCORE = "_score"
DOC = "_doc"
SHARD_DOC = "_shard_doc"
_MODES = ("min", "max", "sum", "avg", "median")
_OPTIONS = ("order", "missing", "mode", "unmapped_type", "format", "numeric_type", "nested")


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key. `missing` is `_last`, `_first` or a value; it places documents without the field."""

    field: str
    descending: bool = False
    missing: Any = "_last"
    mode: str | None = None
    unmapped_type: str | None = None
    format: str | None = None
    numeric_type: str | None = None

    @property
    def is_score(self) -> bool:
        return self.field == SCORE

    @property
    def is_position(self) -> bool:
        """By place in the index: `_doc` and `_shard_doc`."""
        return self.field in (DOC, SHARD_DOC)


def parse_sort(value: Any) -> tuple[SortKey, ...]:
    """The `sort` member of a body. A lone descending `_score` is what a search does anyway and gives no keys."""
    items = value if isinstance(value, list) else [value]
    keys: list[SortKey] = []
    for item in items:
        if isinstance(item, str):
            keys.append(_plain(item))
        elif isinstance(item, dict):
            keys.extend(_with_options(field, options) for field, options in item.items())
        else:
            raise IllegalArgumentError(
                "malformed sort format, within the sort array, an object, or an actual string are allowed"
            )
    return _without_needless(keys)


def parse_uri_sort(text: str) -> tuple[SortKey, ...]:
    """`a:desc,b` as the URI has it."""
    keys = []
    for part in text.split(","):
        field, colon, order = part.strip().rpartition(":")
        if colon and order in ("asc", "desc"):
            keys.append(SortKey(field, order == "desc"))
        else:
            keys.append(_plain(part.strip()))
    return _without_needless(keys)


def _without_needless(keys: Sequence[SortKey]) -> tuple[SortKey, ...]:
    if len(keys) == 1 and keys[0].is_score and keys[0].descending:
        return ()
    return tuple(keys)


def _plain(field: str) -> SortKey:
    return SortKey(field, descending=field == SCORE)


def _with_options(field: str, options: Any) -> SortKey:
    if field in ("_script", "_geo_distance"):
        raise ParsingError(f"[{field}] sort is not supported")
    if isinstance(options, str):
        return SortKey(field, _is_descending(options))
    if not isinstance(options, dict):
        raise ParsingError(f"[field_sort] expected an object or a string but found [{token_of(options)}]")
    for name in options:
        if name not in _OPTIONS:
            what = "_score" if field == SCORE else "field_sort"
            raise XContentParseError(f"[{what}] unknown field [{name}]")
    mode = options.get("mode")
    if mode is not None and str(mode).lower() not in _MODES:
        raise IllegalArgumentError(f"Unknown SortMode [{mode}]")
    default_order = "desc" if field == SCORE else "asc"
    missing = options.get("missing", "_last")
    return SortKey(
        field,
        _is_descending(as_text(options.get("order", default_order), "order")),
        "_last" if missing is None else missing,
        None if mode is None else str(mode).lower(),
        options.get("unmapped_type"),
        options.get("format"),
        options.get("numeric_type"),
    )


def _is_descending(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ("asc", "desc"):
        raise IllegalArgumentError(f"Unknown SortOrder [{text}]")
    return lowered == "desc"


def comparator(keys: Sequence[SortKey]) -> Callable[[Sequence[Any], Sequence[Any]], int]:
    """Compares two lists of values in the order of `keys`; None is a missing value."""
    plan = tuple((key.descending, key.missing == "_first") for key in keys)

    def compare(left: Sequence[Any], right: Sequence[Any]) -> int:
        for (descending, missing_first), a, b in zip(plan, left, right, strict=False):
            if a == b:
                continue
            if a is None or b is None:
                return -1 if (a is None) == missing_first else 1
            return -1 if (a > b) == descending else 1
        return 0

    return compare


def ordering(keys: Sequence[SortKey]) -> Callable[[Sequence[Any]], Any]:
    """A key function for `sorted` over lists of values in the order of `keys`."""
    if all(_is_negatable(key) for key in keys):
        signs = tuple(-1 if key.descending else 1 for key in keys)

        def numeric(values: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(sign * value for sign, value in zip(signs, values, strict=False))

        return numeric
    return cmp_to_key(comparator(keys))


def _is_negatable(key: SortKey) -> bool:
    return key.is_score or key.is_position
