"""The simple_query_string language: it never fails, what cannot be understood is skipped or taken literally.

Operators: `+` and, `|` or, `-` not, `"..."` phrase with `~N` slop, `word~N` fuzzy, `word*` prefix, parentheses, `\\`
escapes. `flags` turns operators off. Tests: tests/search/test_simple_query_string.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hanse.errors import IllegalArgumentError
from hanse.search.query.syntax import AllNode, Group, Node, PhraseNode, PrefixNode, Words

_ALL = frozenset(
    ("AND", "NOT", "OR", "PREFIX", "PHRASE", "PRECEDENCE", "ESCAPE", "WHITESPACE", "FUZZY", "SLOP", "NEAR")
)
_BITS = {1: "AND", 2: "NOT", 4: "OR", 8: "PREFIX", 16: "PHRASE", 32: "PRECEDENCE", 64: "ESCAPE", 128: "WHITESPACE"}
_BITS |= {256: "FUZZY", 512: "SLOP"}


def parse_flags(value: Any) -> frozenset[str]:
    """`AND|OR|PREFIX`, a bit mask (-1 is all), `ALL` or `NONE`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _ALL if value < 0 else frozenset(name for bit, name in _BITS.items() if value & bit)
    names = {name.strip().upper() for name in str(value).split("|") if name.strip()}
    if not names or "ALL" in names:
        return _ALL
    if "NONE" in names:
        return frozenset()
    for name in names - _ALL:
        raise IllegalArgumentError(f"Unknown simple_query_string flag [{name}]")
    return frozenset(names)


def parse_simple_query_string(text: str, default_operator: str = "OR", flags: Iterable[str] = _ALL) -> Node:
    return _Scanner(text, "must" if default_operator == "AND" else "should", frozenset(flags)).group(top=True)


class _Scanner:
    def __init__(self, text: str, default: str, flags: frozenset[str]) -> None:
        self._text = text
        self._default = default
        self._flags = flags
        self._position = 0
        self._stops = self._operator_characters()

    def _operator_characters(self) -> set[str]:
        names = {"AND": "+", "OR": "|", "PHRASE": '"', "PRECEDENCE": "()"}
        return {char for name, chars in names.items() if name in self._flags for char in chars}

    def group(self, top: bool = False) -> Node:
        """Clauses up to the closing parenthesis. An explicit operator wins over the default for both neighbours."""
        clauses: list[tuple[str, Node]] = []
        operator, negations = "", 0
        while self._position < len(self._text):
            char = self._text[self._position]
            if char.isspace():
                self._position += 1
            elif char == ")" and "PRECEDENCE" in self._flags:
                self._position += 1
                if not top:
                    break
            elif char == "+" and "AND" in self._flags:
                operator, self._position = "must", self._position + 1
            elif char == "|" and "OR" in self._flags:
                operator, self._position = "should", self._position + 1
            elif char == "-" and "NOT" in self._flags:
                negations, self._position = negations + 1, self._position + 1
            else:
                node = self._clause(char)
                if node is None:
                    continue
                clauses = _joined(clauses, node, operator or self._default, negations % 2 == 1)
                operator, negations = "", 0
        if len(clauses) == 1 and clauses[0][0] != "must_not":
            return clauses[0][1]
        return Group(clauses=tuple(clauses))

    def _clause(self, char: str) -> Node | None:
        if char == "(" and "PRECEDENCE" in self._flags:
            self._position += 1
            inner = self.group()
            return None if isinstance(inner, Group) and not inner.clauses else inner
        if char == '"' and "PHRASE" in self._flags:
            return self._phrase()
        return self._word()

    def _phrase(self) -> Node | None:
        position, characters = self._position + 1, []
        while position < len(self._text) and self._text[position] != '"':
            if self._text[position] == "\\" and "ESCAPE" in self._flags and position + 1 < len(self._text):
                position += 1
            characters.append(self._text[position])
            position += 1
        if position >= len(self._text):
            self._position += 1
            return None
        self._position = position + 1
        slop = self._number_after_tilde("SLOP", "NEAR")
        text = "".join(characters)
        return PhraseNode(text=text, slop=slop) if text.strip() else None

    def _number_after_tilde(self, *flags: str) -> int | None:
        if self._position >= len(self._text) or self._text[self._position] != "~" or not self._flags & set(flags):
            return None
        end = self._position + 1
        while end < len(self._text) and self._text[end].isdigit():
            end += 1
        digits, self._position = self._text[self._position + 1 : end], end
        return int(digits) if digits else 2

    def _word(self) -> Node | None:
        characters: list[str] = []
        escaped_last = False
        while self._position < len(self._text):
            char = self._text[self._position]
            if char.isspace() or char in self._stops or (char == "~" and characters and "FUZZY" in self._flags):
                break
            escaped_last = char == "\\" and "ESCAPE" in self._flags and self._position + 1 < len(self._text)
            if escaped_last:
                self._position += 1
                char = self._text[self._position]
            characters.append(char)
            self._position += 1
        if not characters:
            self._position += 1
            return None
        text = "".join(characters)
        fuzzy = self._number_after_tilde("FUZZY")
        if text == "*" and not escaped_last:
            return AllNode()
        if text.endswith("*") and len(text) > 1 and not escaped_last and "PREFIX" in self._flags:
            return PrefixNode(text=text[:-1])
        return Words(text=text, fuzzy=None if fuzzy is None else str(min(fuzzy, 2)))


def _joined(clauses: list[tuple[str, Node]], node: Node, operator: str, negated: bool) -> list[tuple[str, Node]]:
    """Adds a clause. A change of operator wraps what was read so far, as the reference parser does."""
    if negated:
        node = Group(clauses=(("must_not", node),))
    if len(clauses) == 1:
        clauses = [(operator, clauses[0][1])]
    elif len(clauses) > 1 and clauses[-1][0] != operator:
        clauses = [(operator, Group(clauses=tuple(clauses)))]
    return [*clauses, (operator, node)]


def in_fields(node: Node, field: str) -> Node:
    return replace(node, field=field)
