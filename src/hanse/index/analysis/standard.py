"""The standard tokenizer: words as Unicode's text segmentation (UAX #29) cuts them, with Lucene's extras.

`prepare` blanks out what separates tokens, so that the engine only has to split at spaces: 4 us for 500 characters
where the engine's own regex tokenizer takes 40. `find` gives the same tokens with their places.
Not done: dictionaries for Thai, Lao, Khmer and Burmese (a run stays one token, as in Elasticsearch).
Tests: tests/index/test_analysis.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

TOKEN_CHARACTERS_MAX = 255
_ASCII_SEGMENT = r"(?:(?:[A-Za-z]++(?:[.:'][A-Za-z]++)*+|[0-9]++(?:[.,;'][0-9]++)*+)++)"
# A run of underscores is tried once only, from its start: otherwise a long one costs its length squared.
_ASCII_WORD = re.compile(rf"(?:(?<!_)_++)?+{_ASCII_SEGMENT}(?:_++{_ASCII_SEGMENT})*+_*+")
# Over UTF-8 bytes: what separates words in ASCII becomes a space, everything else stays.
_BLANKED = bytes(i if i > 127 or chr(i).isalnum() or chr(i) in "'.,:;_" else 32 for i in range(256))
_STRAY = re.compile(
    r"[.,:;'’](?:(?<![^\W\d_][.:'’])(?<![0-9][.,;'’])|(?![^\W_])|(?<=[^\W\d_].)(?![^\W\d_])|(?<=[0-9].)(?![0-9]))"
)
_LONE_UNDERSCORES = re.compile(r"(?<!\S)_+(?!\S)")
_ASCII_RUN = re.compile(r"[\x00-\x7f]+")

_RANGES = {
    "S": (
        *((0x3005, 0x3007), (0x3021, 0x3029), (0x3038, 0x303B), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF)),
        *((0x20000, 0x3FFFD), (0x3041, 0x3096), (0x309D, 0x309F)),
    ),
    "K": (
        *((0x3031, 0x3035), (0x309B, 0x309C), (0x30A0, 0x30FA), (0x30FC, 0x30FF), (0x31F0, 0x31FF), (0x32D0, 0x32FE)),
        *((0x3300, 0x3357), (0xFF66, 0xFF9D)),
    ),
    "X": ((0x1F300, 0x1F3FA), (0x1F400, 0x1FAFF), (0x2600, 0x26FF)),
    "M": ((0x1F3FB, 0x1F3FF), (0x200C, 0x200C)),
    "Z": ((0x200D, 0x200D),),
    "F": ((0x1F1E6, 0x1F1FF),),
}
_MIDDLES = {
    "'": "'.\u2018\u2019\u2024\ufe52\uff07\uff0e",
    ":": ":\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a",
    ",": ",;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b",
    "_": "\u202f",
}
_CATEGORIES = {"Nd": "D", "Pc": "_", "Mn": "M", "Mc": "M", "Me": "M", "Cf": "M", "Nl": "L"}


class _Classes(dict[int, str]):
    """Each character's word-break class, found when first met; a text translated by it is matched instead of itself.

    L letter, D digit, K Katakana, S a token by itself, M mark, Z joiner of emoji, X emoji, F half a flag, _ joins.
    """

    def __missing__(self, code: int) -> str:
        found = self[code] = self._class(code)
        return found

    @staticmethod
    def _class(code: int) -> str:
        for name, ranges in _RANGES.items():
            if any(first <= code <= last for first, last in ranges):
                return name
        character = chr(code)
        for name, members in _MIDDLES.items():
            if character in members:
                return name
        category = unicodedata.category(character)
        return _CATEGORIES.get(category, "L" if category.startswith("L") else " ")


_CLASSES = _Classes()
_LETTERS = r"L[LMZ]*+(?:[':][MZ]*+L[LMZ]*+)*+"
_NUMBERS = r"D[DMZ]*+(?:[',][MZ]*+D[DMZ]*+)*+"
_SEGMENT = rf"(?:(?:K[MZ]*+)++|(?:{_LETTERS}|{_NUMBERS})++)"
_WORD = re.compile(rf"(?:(?<!_)_++)?+{_SEGMENT}(?:_++{_SEGMENT})*+_*+|S[MZ]*+|FF|X[MZ]*+(?:(?<=Z)X[MZ]*+)*+")
_SCRIPTS = (
    ("<HIRAGANA>", re.compile(r"[\u3041-\u309f]")),
    ("<IDEOGRAPHIC>", re.compile(r"[\u3005-\u303b\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003fffd]")),
    ("<KATAKANA>", re.compile(r"[\u30a0-\u30ff\u31f0-\u31ff\u32d0-\u3357\uff66-\uff9d]")),
    ("<HANGUL>", re.compile(r"[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff]")),
    ("<SOUTHEAST_ASIAN>", re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")),
    ("<EMOJI>", re.compile(r"[\u2600-\u26ff\U0001f1e6-\U0001faff]")),
)
_LETTER = re.compile(r"[^\W\d_]")


def find(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each token; a word longer than 255 characters is cut into pieces."""
    matches = _ASCII_WORD.finditer(text) if text.isascii() else _WORD.finditer(text.translate(_CLASSES))
    for match in matches:
        start, end = match.span()
        while end - start > TOKEN_CHARACTERS_MAX:
            yield start, start + TOKEN_CHARACTERS_MAX
            start += TOKEN_CHARACTERS_MAX
        yield start, end


def prepare(text: str) -> str:
    """The text with only its tokens left, separated by spaces."""
    if len(text) > TOKEN_CHARACTERS_MAX and _has_long_run(text):
        return _found(text)
    blanked = text.encode("utf-8", "surrogatepass").translate(_BLANKED).decode("utf-8", "surrogatepass")
    if not text.isascii():
        for character in set(_ASCII_RUN.sub("", blanked)):
            kind = _CLASSES[ord(character)]
            if kind == " ":
                blanked = blanked.replace(character, " ")
            elif kind != "L" and character != "’":
                return _found(text)
    blanked = _STRAY.sub(" ", blanked)
    return _LONE_UNDERSCORES.sub(" ", blanked) if "_" in blanked else blanked


def _found(text: str) -> str:
    """The slow and exact way: marks, digits and scripts beyond plain letters, and words that are too long."""
    return " ".join([text[start:end] for start, end in find(text)])


def type_of(token: str) -> str:
    """The token's type as `_analyze` names it."""
    if token.isascii():
        return "<NUM>" if not _LETTER.search(token) else "<ALPHANUM>"
    for name, script in _SCRIPTS:
        if script.match(token):
            return name
    return "<ALPHANUM>" if _LETTER.search(token) else "<NUM>"


def _has_long_run(text: str) -> bool:
    """True when more than 255 characters stand without a space; looks at one window of 256 after the other."""
    start, window = 0, TOKEN_CHARACTERS_MAX + 1
    while start + window <= len(text):
        space = text.rfind(" ", start, start + window)
        if space < 0:
            return True
        start = space + 1
    return False
