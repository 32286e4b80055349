"""Parameters nobody knows, refused with the nearest name that somebody does.

Tests: tests/rest/test_request.py.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NoReturn

from hanse.errors import IllegalArgumentError

_SIMILAR = 0.5


def refuse_unrecognized(uri_path: str, names: Collection[str], known: Collection[str]) -> NoReturn:
    """Raises `request [/x] contains unrecognized parameter: [y] -> did you mean [z]?`."""
    plural = "s" if len(names) > 1 else ""
    shown = ", ".join(f"[{name}]{suggestion(name, known)}" for name in sorted(names))
    raise IllegalArgumentError(f"request [{uri_path}] contains unrecognized parameter{plural}: {shown}")


def suggestion(name: str, known: Collection[str]) -> str:
    """` -> did you mean [x]?` or nothing."""
    scored = [(_similarity(name, candidate), candidate) for candidate in known]
    near = [candidate for score, candidate in sorted(scored, key=lambda pair: (-pair[0], pair[1])) if score > _SIMILAR]
    if not near:
        return ""
    return f" -> did you mean [{near[0]}]?" if len(near) == 1 else f" -> did you mean any of [{', '.join(near)}]?"


def _similarity(left: str, right: str) -> float:
    """1 less the edit distance as a share of the longer name."""
    longest = max(len(left), len(right))
    return 1.0 if longest == 0 else 1 - _distance(left, right) / longest


def _distance(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for i, one in enumerate(left, 1):
        above, row[0] = row[0], i
        for j, other in enumerate(right, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (one != other))
    return row[-1]
