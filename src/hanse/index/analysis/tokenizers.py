"""Tokenizers: each finds its tokens in Python and, where the engine can split as well, prepares the text for it.

A prepared text holds the tokens separated by `separator` and nothing else, so one native splitter serves them all.
Tests: tests/index/test_analysis.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tantivy

from hanse.errors import IllegalArgumentError
from hanse.index.analysis import standard
from hanse.index.analysis.parameters import integer_of, pattern_of, strings_of, text_of
from hanse.index.analysis.tokens import Token

Find = Callable[[str], Iterable[tuple[int, int]]]
_UNIT_SEPARATOR = "\x1f"
_LETTERS = re.compile(r"[^\W\d_]+")
_WHITESPACE = re.compile(r"\S+")
_NOT_LETTERS = str.maketrans({chr(i): " " for i in range(128) if not chr(i).isalpha()})
_NATIVE_SPACES = str.maketrans({"\x0b": " ", "\x1c": " ", "\x1d": " ", "\x1e": " ", "\x1f": " "})
_GRAM_CHARACTERS: dict[str, Callable[[str], bool]] = {
    "letter": str.isalpha,
    "digit": str.isdigit,
    "whitespace": str.isspace,
    "punctuation": lambda c: not c.isalnum() and not c.isspace() and c not in "$+<=>^`|~",
    "symbol": lambda c: c in "$+<=>^`|~",
}


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """`find` gives the places of tokens. `prepare` None: the engine cannot split it, tokens are handed over ready.

    `stacked`: all tokens stand at one position (path_hierarchy).
    """

    name: str
    find: Find
    prepare: Callable[[str], str] | None
    native: Callable[[], tantivy.Tokenizer] = tantivy.Tokenizer.whitespace
    types: Callable[[str], str] | None = None
    stacked: bool = False
    lowercases: bool = False

    def tokens(self, text: str) -> list[Token]:
        made = []
        for number, (start, end) in enumerate(self.find(text)):
            word = text[start:end]
            if self.lowercases:
                word = word.lower()
            made.append(
                Token(word, 0 if self.stacked else number, start, end, self.types(word) if self.types else "word")
            )
        return made


def _matches(pattern: Any) -> Find:
    return lambda text: (match.span() for match in pattern.finditer(text) if match.end() > match.start())


def _between(pattern: Any) -> Find:
    """The pieces between matches of a separator."""

    def find(text: str) -> Iterable[tuple[int, int]]:
        start = 0
        for match in pattern.finditer(text):
            if match.start() > start:
                yield start, match.start()
            start = max(start, match.end())
        if start < len(text):
            yield start, len(text)

    return find


def _prepare_letters(text: str) -> str:
    return text.translate(_NOT_LETTERS) if text.isascii() else " ".join(_LETTERS.findall(text))


def _prepare_whitespace(text: str) -> str:
    return text.translate(_NATIVE_SPACES) if text.isascii() else " ".join(text.split())


def _joined(name: str, find: Find) -> Tokenizer:
    """A tokenizer whose tokens may hold spaces: handed over joined by a character no text holds."""

    def prepare(text: str) -> str:
        return _UNIT_SEPARATOR.join([text[start:end].replace(_UNIT_SEPARATOR, " ") for start, end in find(text)])

    return Tokenizer(name, find, prepare, lambda: tantivy.Tokenizer.regex(f"[^{_UNIT_SEPARATOR}]+"))


def _whole(text: str) -> Iterable[tuple[int, int]]:
    return [(0, len(text))] if text else []


def _ngram(name: str, given: Mapping[str, Any], edge: bool) -> Tokenizer:
    low = integer_of(given, "min_gram", 1)
    high = integer_of(given, "max_gram", 2)
    if low > high:
        raise IllegalArgumentError("minGram must not be greater than maxGram")
    wanted: list[Any] = []
    for kind in strings_of(given, "token_chars"):
        if kind == "custom":
            custom = frozenset(text_of(given, "custom_token_chars", ""))
            wanted.append(custom.__contains__)
        elif kind in _GRAM_CHARACTERS:
            wanted.append(_GRAM_CHARACTERS[kind])
        else:
            raise IllegalArgumentError(
                f"Unknown token type: '{kind}', must be one of [{', '.join(sorted(_GRAM_CHARACTERS))}]"
            )

    def find(text: str) -> Iterable[tuple[int, int]]:
        for start, end in _runs(text, wanted):
            for first in [start] if edge else range(start, end):
                for last in range(first + low, min(first + high, end) + 1):
                    yield first, last

    return _joined(name, find)


def _runs(text: str, wanted: list[Any]) -> Iterable[tuple[int, int]]:
    if not wanted:
        return _whole(text)
    runs, start = [], -1
    for place, character in enumerate(text):
        if any(test(character) for test in wanted):
            start = place if start < 0 else start
        elif start >= 0:
            runs.append((start, place))
            start = -1
    if start >= 0:
        runs.append((start, len(text)))
    return runs


def _pattern(name: str, given: Mapping[str, Any]) -> Tokenizer:
    pattern = pattern_of(given, r"\W+")
    group = integer_of(given, "group", -1)
    if group < 0:
        return _joined(name, _between(pattern))
    return _joined(name, lambda text: (m.span(group) for m in pattern.finditer(text) if m.end(group) > m.start(group)))


def _char_group(name: str, given: Mapping[str, Any]) -> Tokenizer:
    tests: list[Any] = []
    for item in strings_of(given, "tokenize_on_chars"):
        known = _GRAM_CHARACTERS.get(item)
        if known is None and len(item) != 1 and not item.startswith("\\"):
            raise IllegalArgumentError(f"Invalid escaped char in [{item}]")
        tests.append(known or {_unescaped(item)}.__contains__)
    return _joined(name, lambda text: _runs(text, [lambda c: not any(test(c) for test in tests)]))


def _unescaped(item: str) -> str:
    return {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\\\": "\\"}.get(item, item)


def _path_hierarchy(name: str, given: Mapping[str, Any]) -> Tokenizer:
    delimiter = text_of(given, "delimiter", "/")
    if len(delimiter) != 1:
        raise IllegalArgumentError("delimiter must be a one char value")
    skip = integer_of(given, "skip", 0)
    reverse = text_of(given, "reverse", "false") == "true"

    def find(text: str) -> Iterable[tuple[int, int]]:
        cuts = [place for place, character in enumerate(text) if character == delimiter and place > 0]
        if reverse:
            starts = [0, *(place + 1 for place in cuts)]
            return [(start, len(text)) for start in starts[: len(starts) - skip] if start < len(text)]
        start = cuts[skip - 1] if 0 < skip <= len(cuts) else 0
        ends = [place for place in [*cuts, len(text)] if place > start]
        return [(start, end) for end in ends] if skip <= len(cuts) else []

    return Tokenizer(name, find, None, stacked=True)


def _standard(name: str, given: Mapping[str, Any]) -> Tokenizer:
    return Tokenizer(name, standard.find, standard.prepare, types=standard.type_of)


_KINDS: dict[str, Callable[[str, Mapping[str, Any]], Tokenizer]] = {
    "standard": _standard,
    "classic": _standard,
    "uax_url_email": _standard,
    "whitespace": lambda name, _: Tokenizer(name, _matches(_WHITESPACE), _prepare_whitespace),
    "letter": lambda name, _: Tokenizer(name, _matches(_LETTERS), _prepare_letters),
    "lowercase": lambda name, _: Tokenizer(
        name, _matches(_LETTERS), lambda text: _prepare_letters(text).lower(), lowercases=True
    ),
    "keyword": lambda name, _: Tokenizer(name, _whole, lambda text: text, tantivy.Tokenizer.raw),
    "ngram": lambda name, given: _ngram(name, given, edge=False),
    "edge_ngram": lambda name, given: _ngram(name, given, edge=True),
    "pattern": _pattern,
    "simple_pattern": lambda name, given: _joined(name, _matches(pattern_of(given, ""))),
    "simple_pattern_split": lambda name, given: _joined(name, _between(pattern_of(given, ""))),
    "char_group": _char_group,
    "path_hierarchy": _path_hierarchy,
}
BUILT_IN = frozenset(_KINDS) - {"simple_pattern", "simple_pattern_split", "char_group"}


def tokenizer(name: str, given: Mapping[str, Any]) -> Tokenizer:
    """A tokenizer from its definition; `type` names its kind. Raises IllegalArgumentError."""
    kind = given.get("type")
    if kind not in _KINDS:
        raise IllegalArgumentError(f"Unknown tokenizer type [{kind}] for [{name}]")
    return _KINDS[str(kind)](name, given)
