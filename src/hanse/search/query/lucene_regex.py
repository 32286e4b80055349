"""Lucene's regular expressions and wildcards as patterns of the search engine's automata.

Lucene's syntax differs from what the engine reads: `^ $` are plain characters, `"..."` is literal, `@` any string,
`#` nothing, `<n-m>` a number range, `~` and `&` complement and intersection. The last two are understood at the top
level only and come back as separate parts. Tests: tests/search/test_lucene_regex.py.
"""

from __future__ import annotations

from dataclasses import dataclass

ANY_STRING = "(?s:.*)"
_SPECIAL = set("\\.+*?()|[]{}^$#&-~/<>@\"'%!,:;= ")
_NUMBER_RANGE_MAX = 1000
_CLASS_ESCAPES = {"d": "[0-9]", "D": "[^0-9]", "w": "[A-Za-z0-9_]", "W": "[^A-Za-z0-9_]"}
_CLASS_ESCAPES |= {"s": "[ \\t\\n\\r]", "S": "[^ \\t\\n\\r]"}


class RegexSyntaxError(ValueError):
    """The pattern is not a Lucene regular expression, or asks for what cannot be translated."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """All of `required` must match the whole term and none of `excluded`."""

    required: tuple[str, ...]
    excluded: tuple[str, ...] = ()


def escape(text: str) -> str:
    return "".join(f"\\x{{{ord(char):X}}}" if char in _SPECIAL or char.isspace() else char for char in text)


def prefix_pattern(prefix: str, case_insensitive: bool = False) -> str:
    return ("(?i)" if case_insensitive else "") + escape(prefix) + ANY_STRING


def exact_pattern(text: str, case_insensitive: bool) -> str:
    return ("(?i)" if case_insensitive else "") + escape(text)


def wildcard_pattern(text: str, case_insensitive: bool = False) -> str:
    """`*` and `?`, with a backslash before a literal one."""
    parts: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char == "*":
            if not parts or parts[-1] != ANY_STRING:
                parts.append(ANY_STRING)
        elif char == "?":
            parts.append("(?s:.)")
        elif char == "\\" and position + 1 < len(text):
            position += 1
            parts.append(escape(text[position]))
        else:
            parts.append(escape(char))
        position += 1
    return ("(?i)" if case_insensitive else "") + "".join(parts)


def range_patterns(lower: str | None, upper: str | None, include_lower: bool, include_upper: bool) -> list[str]:
    """Patterns of which one matches exactly the strings between two bounds, in code point order.

    The strings at or above `abc` are those that begin with `abc`, with `ab` and something after `c`, or with `a` and
    something after `b`, and so on; below a bound likewise. Between two bounds both start behind the common prefix.
    """
    if lower is None and upper is None:
        return [ANY_STRING]
    if upper is None:
        return _above(lower or "", include_lower, 0)
    if lower is None:
        return _below(upper, include_upper, 0)
    if lower >= upper:
        return [escape(lower)] if lower == upper and include_lower and include_upper else []
    common = 0
    while common < len(lower) and lower[common] == upper[common]:
        common += 1
    if common == len(lower):
        found = [escape(lower)] if include_lower else []
        return found + [item for item in _below(upper, include_upper, common) if item != escape(lower)]
    between = _class(ord(lower[common]) + 1, ord(upper[common]) - 1)
    found = _above(lower, include_lower, common + 1)
    if between:
        found.append(escape(lower[:common]) + between + ANY_STRING)
    return found + _below(upper, include_upper, common + 1)


def _class(first: int, last: int) -> str:
    """A class of characters between two code points; empty text when there are none. Surrogates are no characters."""
    first = 0xE000 if 0xD800 <= first <= 0xDFFF else first
    last = 0xD7FF if 0xD800 <= last <= 0xDFFF else last
    return f"[\\x{{{first:X}}}-\\x{{{last:X}}}]" if first <= last else ""


def _above(bound: str, inclusive: bool, start: int) -> list[str]:
    found = [escape(bound) + (ANY_STRING if inclusive else "(?s:.)" + ANY_STRING)]
    for length in range(start, len(bound)):
        later = _class(ord(bound[length]) + 1, 0x10FFFF)
        if later:
            found.append(escape(bound[:length]) + later + ANY_STRING)
    return found


def _below(bound: str, inclusive: bool, start: int) -> list[str]:
    found = [escape(bound)] if inclusive else []
    for length in range(start, len(bound)):
        found.append(escape(bound[:length]))
        earlier = _class(0, ord(bound[length]) - 1)
        if earlier:
            found.append(escape(bound[:length]) + earlier + ANY_STRING)
    return found


def translate(text: str, case_insensitive: bool = False) -> Pattern:
    """Raises RegexSyntaxError."""
    return _Translator(text, "(?i)" if case_insensitive else "").pattern()


class _Translator:
    """Recursive descent over Lucene's grammar; `_position` always stands before the next unread character."""

    def __init__(self, text: str, flags: str) -> None:
        self._text = text
        self._flags = flags
        self._position = 0

    def pattern(self) -> Pattern:
        required: list[str] = []
        excluded: list[str] = []
        while True:
            complement = self._peek() == "~" and self._complement_is_whole()
            if complement:
                self._position += 1
            (excluded if complement else required).append(self._flags + self._union())
            if self._peek() != "&":
                break
            self._position += 1
        if self._position < len(self._text):
            raise RegexSyntaxError(f"unexpected character at position {self._position}")
        return Pattern(tuple(required), tuple(excluded))

    def _complement_is_whole(self) -> bool:
        """`~(...)` or `~x` up to the end or an `&`: only then can it become a separate excluded part."""
        start, depth = self._position + 1, 0
        if start >= len(self._text):
            return False
        if self._text[start] != "(":
            return start + 1 >= len(self._text) or self._text[start + 1] == "&"
        for at in range(start, len(self._text)):
            depth += {"(": 1, ")": -1}.get(self._text[at], 0) if self._text[at - 1] != "\\" else 0
            if depth == 0:
                return at + 1 >= len(self._text) or self._text[at + 1] == "&"
        return False

    def _peek(self) -> str:
        return self._text[self._position] if self._position < len(self._text) else ""

    def _take(self) -> str:
        if self._position >= len(self._text):
            raise RegexSyntaxError("unexpected end-of-string")
        self._position += 1
        return self._text[self._position - 1]

    def _union(self) -> str:
        parts = [self._concatenation()]
        while self._peek() == "|":
            self._position += 1
            parts.append(self._concatenation())
        return parts[0] if len(parts) == 1 else "(" + "|".join(part or "()" for part in parts) + ")"

    def _concatenation(self) -> str:
        parts = []
        while self._peek() not in ("", "|", ")", "&"):
            parts.append(self._repeated())
        return "".join(parts)

    def _repeated(self) -> str:
        atom = self._atom()
        while self._peek() in ("?", "*", "+", "{"):
            mark = self._take()
            if mark == "{":
                end = self._text.find("}", self._position)
                bounds = self._text[self._position : end] if end >= 0 else ""
                if end < 0 or not all(part.isdigit() or (i and not part) for i, part in enumerate(bounds.split(","))):
                    raise RegexSyntaxError(f"integer expected at position {self._position}")
                self._position = end + 1
                mark = "{" + bounds + "}"
            atom = f"({atom}){mark}"
        return atom

    def _atom(self) -> str:
        char = self._take()
        if char == "(":
            if self._peek() == ")":
                self._position += 1
                return "()"
            inside = self._union()
            if self._peek() != ")":
                raise RegexSyntaxError(f"expected ')' at position {self._position}")
            self._position += 1
            return f"({inside})"
        if char == "[":
            return self._character_class()
        if char == '"':
            end = self._text.find('"', self._position)
            if end < 0:
                raise RegexSyntaxError(f"expected '\"' at position {self._position}")
            literal, self._position = self._text[self._position : end], end + 1
            return escape(literal)
        if char == "<":
            return self._number_range()
        if char == "\\":
            following = self._take()
            return _CLASS_ESCAPES.get(following) or escape(following)
        if char in "*+?{":
            raise RegexSyntaxError(f"expected an expression before '{char}' at position {self._position - 1}")
        if char == "~":
            raise RegexSyntaxError("complement is supported for the whole expression only")
        return {".": "(?s:.)", "@": ANY_STRING, "#": "\\x{10FFFF}\\x{0}\\x{10FFFF}"}.get(char) or escape(char)

    def _character_class(self) -> str:
        negated = self._peek() == "^"
        if negated:
            self._position += 1
        parts: list[str] = []
        while self._peek() != "]" or not parts:
            first = self._take()
            if first == "\\":
                first = self._take()
                if first in _CLASS_ESCAPES and first.islower():
                    parts.append(_CLASS_ESCAPES[first][1:-1])
                    continue
            if self._peek() == "-" and self._text[self._position + 1 : self._position + 2] not in ("]", ""):
                self._position += 1
                last = self._take()
                if last == "\\":
                    last = self._take()
                if ord(last) < ord(first):
                    raise RegexSyntaxError(f"invalid range: from ({ord(first)}) cannot be > to ({ord(last)})")
                parts.append(f"\\x{{{ord(first):X}}}-\\x{{{ord(last):X}}}")
            else:
                parts.append(f"\\x{{{ord(first):X}}}")
        self._position += 1
        return "[" + ("^" if negated else "") + "".join(parts) + "]"

    def _number_range(self) -> str:
        end = self._text.find(">", self._position)
        first, dash, last = self._text[self._position : end].partition("-") if end >= 0 else ("", "", "")
        if not dash or not first.isdigit() or not last.isdigit():
            raise RegexSyntaxError(f"interval syntax error at position {self._position}")
        self._position = end + 1
        low, high = sorted((int(first), int(last)))
        if high - low > _NUMBER_RANGE_MAX:
            raise RegexSyntaxError(f"interval [{first}-{last}] is larger than {_NUMBER_RANGE_MAX}")
        width = len(first) if len(first) == len(last) else 0
        return "(" + "|".join(f"{number:0{width}d}" for number in range(low, high + 1)) + ")"
