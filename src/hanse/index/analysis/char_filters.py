"""Character filters: html_strip, mapping and pattern_replace, with a map back to places in the original text.

Tests: tests/index/test_analysis.py.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hanse.errors import IllegalArgumentError
from hanse.index.analysis.filters import java_replacement
from hanse.index.analysis.parameters import pattern_of, strings_of, text_of

Edit = tuple[int, int, str]
_TAG = re.compile(
    r"<!--.*?(?:-->|\Z)|<(?:script|style)\b.*?(?:</(?:script|style)\s*>|\Z)|</?([A-Za-z][^\s/>]*)[^>]*>|<![^>]*>|&#?\w+;",
    re.DOTALL | re.IGNORECASE,
)
_BLOCKS = frozenset(
    "address article aside blockquote br dd div dl dt fieldset footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol "  # noqa: SIM905
    "p pre section table td th tr ul".split()
)


@dataclass(frozen=True, slots=True)
class CharFilter:
    """`edits` gives what is replaced: start, end and the new text, in order."""

    name: str
    edits: Callable[[str], Iterator[Edit]]

    def apply(self, text: str) -> tuple[str, list[tuple[int, int]]]:
        """The new text, and for each edit the place in it from which on places differ by the second number."""
        parts: list[str] = []
        shifts: list[tuple[int, int]] = []
        done, length, removed = 0, 0, 0
        for start, end, replacement in self.edits(text):
            parts += (text[done:start], replacement)
            length += start - done + len(replacement)
            removed += (end - start) - len(replacement)
            shifts.append((length, removed))
            done = end
        parts.append(text[done:])
        return "".join(parts), shifts


def original_place(shifts: list[tuple[int, int]], place: int) -> int:
    """Where a place of the filtered text was before the filter."""
    added = 0
    for start, removed in shifts:
        if start > place:
            break
        added = removed
    return place + added


def _html_strip(name: str, given: Mapping[str, Any]) -> CharFilter:
    kept = {tag.lower() for tag in strings_of(given, "escaped_tags")}

    def edits(text: str) -> Iterator[Edit]:
        for match in _TAG.finditer(text):
            found, tag = match[0], (match[1] or "").lower()
            if found.startswith("&"):
                character = html.unescape(found)
                if character != found:
                    yield match.start(), match.end(), character
            elif not tag or tag not in kept:
                yield match.start(), match.end(), "\n" if tag in _BLOCKS else ""

    return CharFilter(name, edits)


def _mapping(name: str, given: Mapping[str, Any]) -> CharFilter:
    rules: dict[str, str] = {}
    for rule in strings_of(given, "mappings"):
        left, arrow, right = rule.partition("=>")
        if not arrow:
            raise IllegalArgumentError(f"Invalid Mapping Rule : [{rule}]")
        rules[_unescaped(left.strip())] = _unescaped(right.strip())
    if not rules:
        raise IllegalArgumentError("mapping requires either `mappings` or `mappings_path` to be configured")
    pattern = re.compile("|".join(re.escape(key) for key in sorted(rules, key=len, reverse=True)))
    return CharFilter(name, lambda text: ((m.start(), m.end(), rules[m[0]]) for m in pattern.finditer(text)))


def _pattern_replace(name: str, given: Mapping[str, Any]) -> CharFilter:
    pattern = pattern_of(given, "")
    replacement = java_replacement(text_of(given, "replacement", ""))
    return CharFilter(
        name, lambda text: ((m.start(), m.end(), str(m.expand(replacement))) for m in pattern.finditer(text))
    )


def _unescaped(text: str) -> str:
    escapes = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}

    def one(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else escapes.get(code, code)

    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", one, text)


_KINDS: dict[str, Callable[[str, Mapping[str, Any]], CharFilter]] = {
    "html_strip": _html_strip,
    "mapping": _mapping,
    "pattern_replace": _pattern_replace,
}
BUILT_IN = frozenset({"html_strip"})


def char_filter(name: str, given: Mapping[str, Any]) -> CharFilter:
    """A character filter from its definition. Raises IllegalArgumentError."""
    kind = given.get("type")
    if kind not in _KINDS:
        raise IllegalArgumentError(f"Unknown char_filter type [{kind}] for [{name}]")
    return _KINDS[str(kind)](name, given)
