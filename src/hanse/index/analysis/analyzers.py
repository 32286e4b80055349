"""The analyzers of an index: the built-in ones and those of `index.analysis.*`, made when first asked for.

Tests: tests/index/test_analysis.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hanse.errors import IllegalArgumentError
from hanse.index.analysis import char_filters, filters, tokenizers
from hanse.index.analysis.analyzer import Analyzer, Normalizer
from hanse.index.analysis.char_filters import CharFilter
from hanse.index.analysis.filters import NORMALIZING, TokenFilter
from hanse.index.analysis.parameters import boolean_of, strings_of, text_of
from hanse.index.analysis.stopwords import LANGUAGES
from hanse.index.analysis.tokenizers import Tokenizer
from hanse.settings.registry import RawValue

_PREFIX = "index.analysis."
_ENGLISH_CHAIN = ("possessive_english", "lowercase", "stop", "porter_stem")
_OLD_NAMES = {"nGram": "ngram", "edgeNGram": "edge_ngram", "PathHierarchy": "path_hierarchy"}


class Analyzers:
    """`get` answers from a cache; definitions are judged when asked for, all of them by `check`."""

    def __init__(self, settings: Mapping[str, RawValue] | None = None) -> None:
        self._defined: dict[str, dict[str, dict[str, Any]]] = {}
        for key, value in (settings or {}).items():
            if key.startswith(_PREFIX):
                self._define(key[len(_PREFIX) :], value)
        self._analyzers: dict[str, Analyzer] = {}
        self._normalizers: dict[str, Normalizer] = {}

    def _define(self, key: str, value: RawValue) -> None:
        section, _, rest = key.partition(".")
        name, _, parameter = rest.partition(".")
        self._defined.setdefault(section, {}).setdefault(name, {})[parameter] = value

    def get(self, name: str) -> Analyzer:
        """Raises IllegalArgumentError for an unknown name or a definition that cannot be read."""
        made = self._analyzers.get(name)
        if made is None:
            made = self._analyzers[name] = self._analyzer(name)
        return made

    def has(self, name: str) -> bool:
        return name in self._defined.get("analyzer", {}) or name in _BUILT_IN

    def default(self, search: bool = False) -> Analyzer:
        """The analyzer of text fields that name none: `default` (`default_search`) of the index, else standard."""
        for name in ("default_search", "default") if search else ("default",):
            if name in self._defined.get("analyzer", {}):
                return self.get(name)
        return self.get("standard")

    def normalizer(self, name: str) -> Normalizer:
        made = self._normalizers.get(name)
        if made is None:
            made = self._normalizers[name] = self._normalizer(name)
        return made

    def has_normalizer(self, name: str) -> bool:
        return name in self._defined.get("normalizer", {}) or name == "lowercase"

    def check(self) -> None:
        """Makes everything that is defined, so that a wrong definition is refused when the index is made."""
        for name in self._defined.get("tokenizer", {}):
            self._tokenizer(name)
        for name in self._defined.get("char_filter", {}):
            self._char_filter(name)
        for name in self._defined.get("filter", {}):
            self._filter(name, str.split)
        for name in self._defined.get("analyzer", {}):
            self.get(name)
        for name in self._defined.get("normalizer", {}):
            self.normalizer(name)

    def _analyzer(self, name: str) -> Analyzer:
        given = self._defined.get("analyzer", {}).get(name)
        if given is None:
            if name not in _BUILT_IN:
                raise IllegalArgumentError(f"failed to find global analyzer [{name}]")
            return _BUILT_IN[name](name, {})
        kind = text_of(given, "type", "custom")
        if kind == "custom":
            return self._custom(name, given)
        if kind not in _BUILT_IN:
            raise IllegalArgumentError(f"Unknown analyzer type [{kind}] for [{name}]")
        return _BUILT_IN[kind](name, given)

    def _custom(self, name: str, given: Mapping[str, Any]) -> Analyzer:
        if "tokenizer" not in given:
            raise IllegalArgumentError(f"analyzer [{name}] must specify either an analyzer type, or a tokenizer")
        tokenizer = self._tokenizer(text_of(given, "tokenizer", ""), f"Custom Analyzer [{name}]")
        chain: list[TokenFilter] = []

        def parse(text: str) -> list[str]:
            tokens = tokenizer.tokens(text)
            for each in chain:
                tokens = each.apply(tokens)
            return [token.text for token in tokens]

        for each in strings_of(given, "filter"):
            chain.append(self._filter(each, parse, f"Custom Analyzer [{name}]"))  # noqa: PERF401  parse reads chain
        chars = [self._char_filter(each, f"Custom Analyzer [{name}]") for each in strings_of(given, "char_filter")]
        return Analyzer(name, tokenizer, chain, chars)

    def _normalizer(self, name: str) -> Normalizer:
        given = self._defined.get("normalizer", {}).get(name)
        if given is None:
            if name != "lowercase":
                raise IllegalArgumentError(f"normalizer [{name}] not found")
            given = {"filter": ["lowercase"]}
        chain = []
        for each in strings_of(given, "filter"):
            kind = self._defined.get("filter", {}).get(each, {}).get("type", each)
            made = self._filter(each, str.split, f"Custom normalizer [{name}]")
            if kind not in NORMALIZING:
                raise IllegalArgumentError(f"Custom normalizer [{name}] may not use filter [{each}]")
            chain.append(made)
        chars = [self._char_filter(each, f"Custom normalizer [{name}]") for each in strings_of(given, "char_filter")]
        return Normalizer(name, chain, chars)

    def _tokenizer(self, name: str, user: str = "") -> Tokenizer:
        name = _OLD_NAMES.get(name, name)
        given = self._defined.get("tokenizer", {}).get(name)
        if given is None:
            if name not in tokenizers.BUILT_IN:
                raise IllegalArgumentError(
                    f"{user} failed to find tokenizer under name [{name}]"
                    if user
                    else f"failed to find global tokenizer under [{name}]"
                )
            given = {"type": name}
        return tokenizers.tokenizer(name, given)

    def _filter(self, name: str, parse: Callable[[str], list[str]], user: str = "") -> TokenFilter:
        name = _OLD_NAMES.get(name, name)
        given = self._defined.get("filter", {}).get(name)
        if given is None:
            if name not in filters.BUILT_IN:
                raise IllegalArgumentError(f"{user} failed to find filter under name [{name}]")
            given = {"type": name}
        return filters.token_filter(name, given, parse)

    def _char_filter(self, name: str, user: str = "") -> CharFilter:
        given = self._defined.get("char_filter", {}).get(name)
        if given is None:
            if name not in char_filters.BUILT_IN:
                raise IllegalArgumentError(f"{user} failed to find char_filter under name [{name}]")
            given = {"type": name}
        return char_filters.char_filter(name, given)


def _plain(tokenizer: str, *chain: str) -> Callable[[str, Mapping[str, Any]], Analyzer]:
    """A built-in analyzer; `stopwords` of a derived one is heard where stop words are usual."""

    def make(name: str, given: Mapping[str, Any]) -> Analyzer:
        links = [filters.token_filter(kind, {"type": kind}, str.split) for kind in chain if kind != "stop"]
        if "stop" in chain or strings_of(given, "stopwords"):
            links.append(filters.token_filter("stop", {"type": "stop", **_stop_parameters(given)}, str.split))
        return Analyzer(name, tokenizers.tokenizer(tokenizer, {"type": tokenizer}), links)

    return make


def _pattern_analyzer(name: str, given: Mapping[str, Any]) -> Analyzer:
    links = []
    if boolean_of(given, "lowercase", True):
        links.append(filters.token_filter("lowercase", {"type": "lowercase"}, str.split))
    if strings_of(given, "stopwords"):
        links.append(filters.token_filter("stop", {"type": "stop", **_stop_parameters(given)}, str.split))
    return Analyzer(name, tokenizers.tokenizer("pattern", {**given, "type": "pattern"}), links)


def _language(language: str) -> Callable[[str, Mapping[str, Any]], Analyzer]:
    """Standard tokenizer, lower case, the language's stop words (where the engine has them) and its stemmer."""

    def make(name: str, given: Mapping[str, Any]) -> Analyzer:
        links: list[TokenFilter] = []
        if language == "english":
            links.append(filters.stem_filter("possessive_english", "possessive_english"))
        if filters.language_articles(language):
            links.append(filters.elision_filter("elision", filters.language_articles(language)))
        links.append(filters.token_filter("lowercase", {"type": "lowercase"}, str.split))
        known = f"_{language}_" if language in LANGUAGES or language == "english" else "_none_"
        links.append(
            filters.token_filter("stop", {"type": "stop", "stopwords": [known], **_stop_parameters(given)}, str.split)
        )
        links.append(filters.stem_filter(f"{language}_stemmer", language))
        return Analyzer(name, tokenizers.tokenizer("standard", {"type": "standard"}), links)

    return make


def _stop_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"stopwords": strings_of(given, "stopwords")} if strings_of(given, "stopwords") else {}


_BUILT_IN: dict[str, Callable[[str, Mapping[str, Any]], Analyzer]] = {
    "standard": _plain("standard", "lowercase"),
    "default": _plain("standard", "lowercase"),
    "simple": _plain("lowercase"),
    "whitespace": _plain("whitespace"),
    "keyword": _plain("keyword"),
    "stop": _plain("lowercase", "stop"),
    "pattern": _pattern_analyzer,
    "snowball": _language("english"),
    **{language: _language(language) for language in filters.STEMMED},
}
