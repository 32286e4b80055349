"""Highlighting: pieces of text around what the query looked for, marked. One highlighter stands for all types.

Sentences are the pieces (as Elasticsearch's unified highlighter cuts), or runs of words for `plain` and `fvh`; text is
analyzed again with the field's analyzer. Tests: tests/search/test_highlight.py.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.index.mapping import FieldType
from hanse.search.document_fields import values_at
from hanse.search.field_selection import matches_any
from hanse.search.json_input import as_bool, as_int, as_strings, token_of
from hanse.search.plan import Plan
from hanse.search.query.context import Matched
from hanse.search.query.fuzziness import edits

_TYPES = ("unified", "plain", "fvh")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_IGNORED = (
    "phrase_limit",
    "boundary_chars",
    "boundary_max_scan",
    "boundary_scanner",
    "boundary_scanner_locale",
    "force_source",
    "fragmenter",
    "fragment_offset",
    "max_analyzed_offset",
    "max_fragment_length",
    "matched_fields",
    "options",
)

Spans = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Style:
    """How one field is highlighted."""

    pre: str = "<em>"
    post: str = "</em>"
    fragment_size: int = 100
    fragments: int = 5
    own_field_only: bool = True
    no_match_size: int = 0
    type: str = "unified"
    encode: bool = False
    by_score: bool = False
    query: Any = None


class Highlighter:
    """The `highlight` of a body bound to a plan."""

    def __init__(self, settings: dict[str, Any], plan: Plan) -> None:
        self._plan = plan
        wanted = settings.get("fields")
        if wanted is None:
            raise IllegalArgumentError("[highlight] requires [fields]")
        base = _style(Style(), {key: value for key, value in settings.items() if key != "fields"})
        self._fields = [self._bound(field, style) for field, style in _targets(wanted, base, plan)]

    def _bound(self, field: tuple[str, FieldType], style: Style) -> tuple[str, FieldType, Style, list[Matched]]:
        path, mapped = field
        matched = self._plan.matched
        if style.query is not None:
            context = self._plan.context.fresh()
            context.build(style.query)
            matched = context.matched
        if style.own_field_only:
            matched = [item for item in matched if item.field in (mapped.path, path)]
        return path, mapped, style, matched

    def highlight(self, source: dict[str, Any]) -> dict[str, list[str]]:
        found = {}
        for path, field, style, matched in self._fields:
            texts = [value for value in values_at(source, field.source_path) if isinstance(value, str | int | float)]
            fragments = list(_fragments([str(text) for text in texts], field, style, matched))
            if fragments:
                found[path] = fragments
        return found


def _targets(wanted: Any, base: Style, plan: Plan) -> Iterator[tuple[tuple[str, FieldType], Style]]:
    entries: list[tuple[str, Any]] = []
    for item in wanted if isinstance(wanted, list) else [wanted]:
        if not isinstance(item, dict):
            raise ParsingError(f"[highlight] [fields] expected an object but found [{token_of(item)}]")
        entries.extend(item.items())
    for pattern, settings in entries:
        style = _style(base, settings if isinstance(settings, dict) else {}, pattern)
        if "*" not in pattern:
            field = plan.mapping.field(pattern)
            if field is not None and field.is_textual:
                yield (pattern, field), style
            continue
        for path, field in plan.mapping.fields():
            if field.is_textual and matches_any(path, (pattern,)):
                yield (path, field), style


def _style(base: Style, settings: dict[str, Any], field: str = "") -> Style:
    changes: dict[str, Any] = {}
    for key, value in settings.items():
        if key in _READERS:
            name, read = _READERS[key]
            changes[name] = read(value)
        elif key == "highlight_query":
            changes["query"] = value
        elif key == "type":
            if value not in _TYPES:
                raise IllegalArgumentError(f"unknown highlighter type [{value}] for the field [{field}]")
            changes["type"] = value
        elif key not in _IGNORED:
            raise ParsingError(f"[highlight] unknown field [{key}]")
    return replace(base, **changes)


def _first(value: Any) -> str:
    texts = as_strings(value, "pre_tags")
    return texts[0] if texts else ""


_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "pre_tags": ("pre", _first),
    "post_tags": ("post", _first),
    "tags_schema": ("pre", lambda _: '<em class="hlt1">'),
    "fragment_size": ("fragment_size", lambda value: as_int(value, "fragment_size")),
    "number_of_fragments": ("fragments", lambda value: as_int(value, "number_of_fragments")),
    "require_field_match": ("own_field_only", lambda value: as_bool(value, "require_field_match")),
    "no_match_size": ("no_match_size", lambda value: as_int(value, "no_match_size")),
    "encoder": ("encode", lambda value: value == "html"),
    "order": ("by_score", lambda value: value == "score"),
}


def _fragments(texts: list[str], field: FieldType, style: Style, matched: list[Matched]) -> Iterator[str]:
    passages: list[tuple[int, int, str]] = []
    for text in texts:
        spans = _spans(text, field, matched)
        if not spans:
            continue
        for start, end in _pieces(text, spans, style):
            inside = [(a, b) for a, b in spans if start <= a and b <= end]
            if inside:
                passages.append((len(inside), len(passages), _marked(text, start, end, inside, style)))
    if not passages:
        if style.no_match_size and texts:
            yield _cut(texts[0], style.no_match_size)
        return
    limit = style.fragments or len(passages)
    best = sorted(passages, key=lambda passage: (-passage[0], passage[1]))[:limit]
    if not style.by_score:
        best.sort(key=lambda passage: passage[1])
    for _, _, fragment in best:
        yield fragment


def _cut(text: str, size: int) -> str:
    if len(text) <= size:
        return text
    end = text.rfind(" ", 0, size + 1)
    return text[: end if end > 0 else size]


def _marked(text: str, start: int, end: int, spans: Spans, style: Style) -> str:
    escape = html.escape if style.encode else str
    parts, at = [], start
    for a, b in spans:
        parts += [escape(text[at:a]), style.pre, escape(text[a:b]), style.post]
        at = b
    parts.append(escape(text[at:end]))
    return "".join(parts)


def _pieces(text: str, spans: Spans, style: Style) -> Iterator[tuple[int, int]]:
    """The parts of the text that hold a match, in order, each at most about `fragment_size` long."""
    if style.fragments == 0 or (style.type != "unified" and len(text) <= style.fragment_size):
        yield 0, len(text)
        return
    bounds = _sentences(text) if style.type == "unified" else [(0, len(text))]
    for start, end in bounds:
        inside = [span for span in spans if start <= span[0] < end]
        while inside:
            if end - start <= style.fragment_size or style.fragment_size <= 0:
                yield start, end
                break
            piece = _around(text, start, end, inside[0], style.fragment_size)
            yield piece
            start = piece[1]
            inside = [span for span in inside if span[0] >= start]


def _sentences(text: str) -> Spans:
    bounds, start = [], 0
    for gap in _SENTENCE.finditer(text):
        bounds.append((start, gap.start()))
        start = gap.end()
    bounds.append((start, len(text)))
    return bounds


def _around(text: str, start: int, end: int, span: tuple[int, int], size: int) -> tuple[int, int]:
    """A window of whole words that begins shortly before the match."""
    left = max(start, min(span[0] - max(0, (size - (span[1] - span[0])) // 2), end - size))
    while left > start and left < span[0] and not text[left - 1].isspace():
        left += 1
    right = min(end, max(left + size, span[1]))
    while right < end and right > span[1] and not text[right].isspace():
        right -= 1
    return left, right


def _spans(text: str, field: FieldType, matched: list[Matched]) -> Spans:
    """Character ranges of matches, in order and without overlaps."""
    if not matched:
        return []
    if field.analyzer is None:
        if field.ignore_above is not None and len(text) > field.ignore_above:
            return []
        normalized = field.normalizer.normalize(text) if field.normalizer is not None else text
        whole = any(item.kind not in ("phrase", "phrase_prefix") and _matcher(item)(normalized) for item in matched)
        return [(0, len(text))] if whole else []
    tokens = field.analyzer.analyze(text)
    spans: set[tuple[int, int]] = set()
    for item in matched:
        if item.kind in ("phrase", "phrase_prefix"):
            spans.update(_phrase_spans(item, tokens))
            continue
        matches = _matcher(item)
        spans.update((token.start, token.end) for token in tokens if matches(token.text))
    return _without_overlaps(sorted(spans))


def _without_overlaps(spans: Spans) -> Spans:
    kept: Spans = []
    for start, end in spans:
        if kept and start < kept[-1][1]:
            kept[-1] = (kept[-1][0], max(kept[-1][1], end))
        else:
            kept.append((start, end))
    return kept


def _phrase_spans(item: Matched, tokens: list[Any]) -> Iterator[tuple[int, int]]:
    """Words of every occurrence of the phrase; with a slop, other words may stand between."""
    words, last_is_prefix = item.texts, item.kind == "phrase_prefix"
    for first, token in enumerate(tokens):
        if token.text != words[0]:
            continue
        chain, position, gap = [token], token.position, 0
        for number, word in enumerate(words[1:], 1):
            is_prefix = last_is_prefix and number == len(words) - 1
            following = [
                other
                for other in tokens[first + 1 :]
                if position < other.position <= position + 1 + item.extra - gap
                and (other.text.startswith(word) if is_prefix else other.text == word)
            ]
            if not following:
                break
            gap += following[0].position - position - 1
            position = following[0].position
            chain.append(following[0])
        else:
            yield from ((part.start, part.end) for part in chain)


def _matcher(item: Matched) -> Callable[[str], bool]:
    if item.kind == "terms":
        words = frozenset(item.texts)
        return lambda text: text in words
    if item.kind == "prefix":
        return lambda text: text.startswith(item.texts)
    if item.kind == "fuzzy":
        return lambda text: edits(item.texts[0], text, item.extra) <= item.extra
    if item.kind == "wildcard":
        pattern = _wildcard(item.texts[0])
        return lambda text: pattern.fullmatch(text) is not None
    if item.kind == "regex":
        patterns = [_python_regex(text) for text in item.texts]
        return lambda text: all(regex is not None and regex.fullmatch(text) for regex in patterns)
    return lambda _: False


@lru_cache(maxsize=256)
def _wildcard(text: str) -> re.Pattern[str]:
    parts = re.split(r"(\\.|[*?])", text)
    written = {"*": ".*", "?": "."}
    return re.compile(
        "".join(written.get(part) or re.escape(part[1:] if part.startswith("\\") else part) for part in parts),
        re.DOTALL,
    )


@lru_cache(maxsize=256)
def _python_regex(text: str) -> re.Pattern[str] | None:
    """The engine's pattern in Python's syntax; only run on words that the engine has matched already."""
    translated = re.sub(r"\\x\{([0-9A-F]+)\}", lambda match: re.escape(chr(int(match[1], 16))), text)
    try:
        return re.compile(translated)
    except re.error:
        return None
