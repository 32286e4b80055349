"""Token filters: those the engine has run natively, the others in Python over the token list.

An analyzer with a Python filter hands its tokens over ready. The English stemmer is Snowball's (Porter2) under all
its names. Tests: tests/index/test_analysis.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tantivy

from hanse.errors import IllegalArgumentError
from hanse.index.analysis.parameters import boolean_of, integer_of, pattern_of, strings_of, text_of
from hanse.index.analysis.stopwords import LANGUAGES, stopwords
from hanse.index.analysis.synonyms import synonym_filter
from hanse.index.analysis.tokens import Token

Apply = Callable[[list[Token]], list[Token]]
STEMMED = (
    "arabic",
    "danish",
    "dutch",
    "english",
    "finnish",
    "french",
    "german",
    "greek",
    "hungarian",
    "italian",
    "norwegian",
    "portuguese",
    "romanian",
    "russian",
    "spanish",
    "swedish",
    "tamil",
    "turkish",
)
_STEMMER_ALIASES = {
    "porter": "english",
    "porter2": "english",
    "light_english": "english",
    "minimal_english": "english",
    "lovins": "english",
    "light_german": "german",
    "german2": "german",
    "minimal_german": "german",
    "light_french": "french",
    "minimal_french": "french",
    "light_spanish": "spanish",
    "light_italian": "italian",
    "light_portuguese": "portuguese",
    "light_russian": "russian",
    "light_finnish": "finnish",
    "light_hungarian": "hungarian",
    "light_norwegian": "norwegian",
    "light_swedish": "swedish",
    "dutch_kp": "dutch",
}
_POSSESSIVE_ENDINGS = ("'s", "’s", "＇s", "'S", "’S", "＇S")
_POSSESSIVE = re.compile(r"['’＇][sS](?!\S)")
_ARTICLES = {
    "french": "l m t qu n s j d c jusqu quoiqu lorsqu puisqu",
    "italian": "c l all dall dell nell sull coll pell gl agl dagl degl negl sugl un m t s v d",
}


@dataclass(frozen=True, slots=True)
class NativeFilter:
    """A filter of the engine; `make` builds a fresh one, the engine takes each only once."""

    name: str
    make: Callable[[], tantivy.Filter]

    def apply(self, tokens: list[Token]) -> list[Token]:
        """The same filter over tokens held in Python."""
        analyzer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(self.make()).build()
        kept = []
        for token in tokens:
            texts = analyzer.analyze(token.text)
            if texts and texts[0]:
                kept.append(token._replace(text=texts[0]))
        return kept


@dataclass(frozen=True, slots=True)
class PythonFilter:
    """A filter that only Python has. `on_prepared` does the same to a text of tokens separated by spaces.

    An analyzer with a filter that lacks it, or that stands behind a native one, hands its tokens over ready.
    """

    name: str
    apply: Apply
    on_prepared: Callable[[str], str] | None = None


TokenFilter = NativeFilter | PythonFilter


def _each(change: Callable[[str], str]) -> Apply:
    """A filter that changes each token by itself and drops what becomes empty."""

    def apply(tokens: list[Token]) -> list[Token]:
        changed = [token._replace(text=change(token.text)) for token in tokens]
        return [token for token in changed if token.text]

    return apply


def _without_possessive(text: str) -> str:
    return text[:-2] if text.endswith(_POSSESSIVE_ENDINGS) else text


def _kept(test: Callable[[str], bool]) -> Apply:
    return lambda tokens: [token for token in tokens if test(token.text)]


def _stop(name: str, given: Mapping[str, Any]) -> NativeFilter:
    listed = strings_of(given, "stopwords") or ["_english_"]
    if len(listed) == 1 and listed[0].strip("_") in LANGUAGES and listed[0].startswith("_"):
        language = listed[0].strip("_")
        return NativeFilter(name, lambda: tantivy.Filter.stopword(language))
    words = stopwords(listed)
    if boolean_of(given, "ignore_case", False):
        words = sorted({*words, *(word.lower() for word in words), *(word.capitalize() for word in words)})
    return NativeFilter(name, lambda: tantivy.Filter.custom_stopword(words))


def stem_filter(name: str, language: str) -> TokenFilter:
    """The stemmer of a language by any of Elasticsearch's names for it."""
    wanted = language.lower()
    if wanted == "possessive_english":
        return PythonFilter(name, _each(_without_possessive), lambda text: _POSSESSIVE.sub(" ", text))
    wanted = _STEMMER_ALIASES.get(wanted, wanted)
    if wanted not in STEMMED:
        raise IllegalArgumentError(f"Invalid stemmer class specified: {language}")
    return NativeFilter(name, lambda: tantivy.Filter.stemmer(wanted))


def _length(name: str, given: Mapping[str, Any]) -> PythonFilter:
    low, high = integer_of(given, "min", 0), integer_of(given, "max", 2**31 - 1)
    return PythonFilter(name, _kept(lambda text: low <= len(text) <= high))


def _limit(name: str, given: Mapping[str, Any]) -> PythonFilter:
    most = integer_of(given, "max_token_count", 1)
    return PythonFilter(name, lambda tokens: tokens[:most])


def _truncate(name: str, given: Mapping[str, Any]) -> PythonFilter:
    most = integer_of(given, "length", 10)
    if most <= 0:
        raise IllegalArgumentError("length parameter must be provided")
    return PythonFilter(name, _each(lambda text: text[:most]))


def _grams(name: str, given: Mapping[str, Any], edge: bool) -> PythonFilter:
    low, high = integer_of(given, "min_gram", 1), integer_of(given, "max_gram", 2)
    if low > high:
        raise IllegalArgumentError("minGram must not be greater than maxGram")
    keeps = boolean_of(given, "preserve_original", False)
    back = edge and text_of(given, "side", "front") == "back"

    def apply(tokens: list[Token]) -> list[Token]:
        made: list[Token] = []
        for token in tokens:
            text, size = token.text, len(token.text)
            texts = [
                text[first : first + length]
                for first in ([0] if edge else range(size))
                for length in range(low, min(high, size - first) + 1)
            ]
            if back:
                texts = [text[size - length :] for length in range(low, min(high, size) + 1)]
            if keeps and text not in texts:
                texts.append(text)
            made.extend(token._replace(text=gram) for gram in texts)
        return made

    return PythonFilter(name, apply)


def _unique(name: str, given: Mapping[str, Any]) -> PythonFilter:
    same_place = boolean_of(given, "only_on_same_position", False)

    def apply(tokens: list[Token]) -> list[Token]:
        seen: set[tuple[str, int]] = set()
        kept = []
        for token in tokens:
            key = (token.text, token.position if same_place else 0)
            if key not in seen:
                seen.add(key)
                kept.append(token)
        return kept

    return PythonFilter(name, apply)


def _elision(name: str, given: Mapping[str, Any]) -> PythonFilter:
    listed = [word.lower() for word in strings_of(given, "articles")]
    return elision_filter(name, listed or _ARTICLES["french"].split())


def elision_filter(name: str, articles: Sequence[str]) -> PythonFilter:
    """Cuts off an article before an apostrophe: `l'avion`."""
    pattern = re.compile(rf"(?<!\S)(?:{'|'.join(re.escape(article) for article in articles)})['’]", re.IGNORECASE)
    return PythonFilter(name, _each(lambda text: pattern.sub("", text, 1)), lambda text: pattern.sub("", text))


def language_articles(language: str) -> list[str]:
    """The articles a built-in analyzer cuts off; none for most languages."""
    return _ARTICLES.get(language, "").split()


def _pattern_replace(name: str, given: Mapping[str, Any]) -> PythonFilter:
    pattern, replacement = pattern_of(given, ""), java_replacement(text_of(given, "replacement", ""))
    once = 0 if boolean_of(given, "all", True) else 1
    return PythonFilter(name, _each(lambda text: str(pattern.sub(replacement, text, once))))


def _keep(name: str, given: Mapping[str, Any]) -> PythonFilter:
    words = set(strings_of(given, "keep_words"))
    return PythonFilter(name, _kept(words.__contains__))


def _shingle(name: str, given: Mapping[str, Any]) -> PythonFilter:
    low, high = integer_of(given, "min_shingle_size", 2), integer_of(given, "max_shingle_size", 2)
    alone = boolean_of(given, "output_unigrams", True)
    glue = text_of(given, "token_separator", " ")

    def apply(tokens: list[Token]) -> list[Token]:
        made = []
        for first, token in enumerate(tokens):
            if alone:
                made.append(token)
            for last in range(first + low, min(first + high, len(tokens)) + 1):
                run = tokens[first:last]
                made.append(Token(glue.join(t.text for t in run), token.position, token.start, run[-1].end, "shingle"))
        return made

    return PythonFilter(name, apply)


def java_replacement(text: str) -> str:
    """`$1` as Python writes it."""
    out, place = [], 0
    while place < len(text):
        if text[place] == "$" and text[place + 1 : place + 2].isdigit():
            out.append(f"\\{text[place + 1]}")
            place += 2
        elif text[place] == "\\" and place + 1 < len(text):
            out.append("\\\\" if text[place + 1] == "\\" else text[place + 1])
            place += 2
        else:
            out.append(text[place])
            place += 1
    return "".join(out)


_KINDS: dict[str, Callable[[str, Mapping[str, Any]], TokenFilter]] = {
    "lowercase": lambda name, _: NativeFilter(name, tantivy.Filter.lowercase),
    "uppercase": lambda name, _: PythonFilter(name, _each(str.upper), str.upper),
    "asciifolding": lambda name, _: NativeFilter(name, tantivy.Filter.ascii_fold),
    "trim": lambda name, _: PythonFilter(name, _each(str.strip)),
    "stop": _stop,
    "stemmer": lambda name, given: stem_filter(
        name, text_of(given, "language", "") or text_of(given, "name", "") or "porter"
    ),
    "snowball": lambda name, given: stem_filter(name, text_of(given, "language", "English")),
    "porter_stem": lambda name, _: stem_filter(name, "english"),
    "kstem": lambda name, _: stem_filter(name, "english"),
    "length": _length,
    "limit": _limit,
    "truncate": _truncate,
    "reverse": lambda name, _: PythonFilter(name, _each(lambda text: text[::-1])),
    "ngram": lambda name, given: _grams(name, given, edge=False),
    "edge_ngram": lambda name, given: _grams(name, given, edge=True),
    "unique": _unique,
    "elision": _elision,
    "pattern_replace": _pattern_replace,
    "keep": _keep,
    "shingle": _shingle,
    "apostrophe": lambda name, _: PythonFilter(name, _each(lambda text: text.split("'")[0].split("’")[0])),
    "decimal_digit": lambda name, _: PythonFilter(
        name, _each(lambda text: "".join(str(int(c)) if c.isdecimal() else c for c in text))
    ),
}
NORMALIZING = frozenset(
    {"lowercase", "uppercase", "asciifolding", "trim", "pattern_replace", "decimal_digit", "elision"}
)
BUILT_IN = frozenset(_KINDS) - {"keep", "pattern_replace"}


def token_filter(name: str, given: Mapping[str, Any], parse: Callable[[str], list[str]]) -> TokenFilter:
    """A filter from its definition; `type` names its kind. Raises IllegalArgumentError.

    `parse` is the analysis before this filter: synonym rules are read through it.
    """
    kind = given.get("type")
    if kind in ("synonym", "synonym_graph"):
        return PythonFilter(name, synonym_filter(name, given, parse))
    if kind not in _KINDS:
        raise IllegalArgumentError(f"Unknown filter type [{kind}] for [{name}]")
    return _KINDS[str(kind)](name, given)
