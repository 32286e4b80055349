"""Name patterns as role definitions write them: `logs-*`, `log?`, `a\\*b`, `/lucene regular expression/`.

`NamePatterns` answers two questions: does a name match, and does it cover another pattern (is every name that the
other matches also matched). Covering is decided on the safe side: a doubtful case is "no".
Everything beyond a prefix runs on RE2, in linear time.
Tests: tests/security/test_patterns.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import re2

from hanse.errors import IllegalArgumentError

_re2: Any = re2  # the module has no types
_ANY_TEXT = "\x01"
_ANY_CHAR = "\x02"
REGEX_BYTES_MAX = 1000


def is_pattern(text: str) -> bool:
    """Whether an index expression part has a wildcard."""
    return "*" in text or "?" in text


class NamePatterns:
    """A set of patterns; immutable."""

    __slots__ = ("_exact", "_expressions", "_prefixes", "_regexes", "everything", "texts")

    def __init__(self, patterns: Iterable[str]) -> None:
        self.texts = tuple(patterns)
        self.everything = "*" in self.texts
        exact: set[str] = set()
        prefixes: list[str] = []
        self._expressions: list[Any] = []
        self._regexes: list[tuple[Any, bool]] = []
        for text in self.texts:
            if len(text) > 1 and text.startswith("/") and text.endswith("/"):
                self._regexes.append(compile_lucene_regex(text[1:-1]))
            elif not any(special in text for special in "*?\\"):
                exact.add(text)
            elif text.endswith("*") and not any(special in text[:-1] for special in "*?\\"):
                prefixes.append(text[:-1])
            else:
                self._expressions.append(_compile_wildcard(text))
        self._exact = frozenset(exact)
        self._prefixes = tuple(prefixes)

    def matches(self, name: str) -> bool:
        if self.everything or name in self._exact:
            return True
        if self._prefixes and name.startswith(self._prefixes):
            return True
        return any(expression.fullmatch(name) is not None for expression in self._expressions) or any(
            (regex.fullmatch(name) is not None) is not negated for regex, negated in self._regexes
        )

    def covers(self, pattern: str) -> bool:
        """Whether every name that `pattern` matches is matched here. May answer no for what regexes cover together."""
        if self.everything or pattern in self.texts:
            return True
        if pattern.startswith("/"):
            return False
        if not is_pattern(pattern):
            return self.matches(pattern)
        probe = pattern.replace("*", _ANY_TEXT).replace("?", _ANY_CHAR)
        if self._prefixes and probe.startswith(self._prefixes):
            return True
        return any(expression.fullmatch(probe) is not None for expression in self._expressions)

    def __repr__(self) -> str:
        return f"NamePatterns({list(self.texts)})"


@lru_cache(maxsize=4096)
def _compile_wildcard(text: str) -> Any:
    # RE2 here too: `*a*a*a*a*b` takes Python's re polynomial time, and any caller may write it in a search.
    parts: list[str] = []
    chars = iter(re.sub(r"(?<!\\)\*+", "*", text))
    for char in chars:
        if char == "\\":
            parts.append(re.escape(next(chars, "\\")))
        elif char == "*":
            parts.append(".*")
        elif char == "?":
            # A pattern probed by `covers` holds _ANY_TEXT where any text may stand: one character does not cover it.
            parts.append(f"[^{_ANY_TEXT}]")
        else:
            parts.append(re.escape(char))
    return _re2.compile("(?s)" + "".join(parts))


@lru_cache(maxsize=4096)
def compile_lucene_regex(text: str) -> tuple[Any, bool]:
    """The RE2 form and whether it is negated. Knows `~(...)` around all of it, `@`, `#` and `"literal"`.

    Not `&` and `<n-m>`. Raises IllegalArgumentError.
    """
    if len(text.encode()) > REGEX_BYTES_MAX:
        raise IllegalArgumentError(f"regular expression is longer than [{REGEX_BYTES_MAX}] bytes")
    negated = text.startswith("~(") and _closes_at_end(text[1:])
    body = text[2:-1] if negated else text
    try:
        return _re2.compile("(?s)(?:" + _to_re2(body) + ")"), negated
    except re2.error as error:
        raise IllegalArgumentError(f"invalid regular expression [/{text}/]") from error


def _closes_at_end(text: str) -> bool:
    depth, skip = 0, False
    for position, char in enumerate(text):
        if skip:
            skip = False
        elif char == "\\":
            skip = True
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                return position == len(text) - 1
    return False


def _to_re2(text: str) -> str:
    parts: list[str] = []
    position, in_class = 0, False
    while position < len(text):
        char = text[position]
        position += 1
        if char == "\\" and position < len(text):
            parts.append(re.escape(text[position]))
            position += 1
        elif in_class:
            in_class = char != "]"
            parts.append(char if char != "[" else r"\[")
        elif char == "[":
            in_class = True
            parts.append(char)
        elif char == '"' and '"' in text[position:]:
            end = text.index('"', position)
            parts.append(re.escape(text[position:end]))
            position = end + 1
        elif char == "@":
            parts.append(".*")
        elif char == "#":
            parts.append(r"[^\x00-\x{10FFFF}]")
        elif char in "~&<>":
            raise IllegalArgumentError(
                f"invalid regular expression [/{text}/]: the operator [{char}] is only supported as [~(...)] "
                f"around the whole expression"
            )
        elif char in "^$":
            parts.append("\\" + char)
        else:
            parts.append(char)
    return "".join(parts)
