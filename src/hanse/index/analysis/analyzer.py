"""An analyzer: character filters, a tokenizer, token filters; and its small sibling for keywords, the normalizer.

Indexing has two ways. Where tokenizer and filters are the engine's, `prepare` gives a text that `native` (registered
under the field's slot) splits and filters outside Python. Otherwise `pretokenized` hands the tokens over ready.
Both give the terms `analyze` gives (a property test holds that). Tests: tests/index/test_analysis.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import tantivy

from hanse.index.analysis.char_filters import CharFilter, original_place
from hanse.index.analysis.filters import NativeFilter, TokenFilter
from hanse.index.analysis.tokenizers import Tokenizer
from hanse.index.analysis.tokens import Token


class Analyzer:
    """Immutable; one per name and index."""

    def __init__(
        self,
        name: str,
        tokenizer: Tokenizer,
        filters: Sequence[TokenFilter] = (),
        char_filters: Sequence[CharFilter] = (),
    ) -> None:
        self.name = name
        self._tokenizer = tokenizer
        self._filters = tuple(filters)
        self._char_filters = tuple(char_filters)
        texts = _leading_text_filters(tokenizer, self._filters)
        self._native_filters = [f for f in self._filters[len(texts) :] if isinstance(f, NativeFilter)]
        self.is_pretokenized = tokenizer.prepare is None or len(texts) + len(self._native_filters) < len(self._filters)
        """True when values go into the index through `pretokenized` and not through `prepare`."""
        self.prepare: Callable[[str], str] = self._prepare(texts)

    @cached_property
    def native(self) -> tantivy.TextAnalyzer:
        """What is registered under a slot with this analyzer; the engine never calls it for tokens handed over."""
        builder = tantivy.TextAnalyzerBuilder(self._tokenizer.native())
        for each in self._native_filters:
            builder = builder.filter(each.make())
        return builder.build()

    def analyze(self, text: str) -> list[Token]:
        """The tokens with positions and their places in the original text."""
        shifts = []
        for each in self._char_filters:
            text, shift = each.apply(text)
            shifts.append(shift)
        tokens = self._tokenizer.tokens(text)
        for filter_ in self._filters:
            tokens = filter_.apply(tokens)
        for shift in reversed(shifts):
            tokens = [
                token._replace(start=original_place(shift, token.start), end=original_place(shift, token.end - 1) + 1)
                for token in tokens
            ]
        return tokens

    def terms(self, text: str) -> list[tuple[str, int]]:
        """Terms and positions, as a query needs them."""
        if self.is_pretokenized:
            return [(token.text, token.position) for token in self.analyze(text)]
        return [(token.text, token.position) for token in self.native.pre_tokenize(self.prepare(text)).tokens]

    def pretokenized(self, text: str) -> tantivy.PreTokenizedString:
        """The tokens as the engine takes them ready-made."""
        return tantivy.PreTokenizedString(
            text, [tantivy.Token(token.text, token.position, token.start, token.end) for token in self.analyze(text)]
        )

    def _prepare(self, text_filters: Sequence[Callable[[str], str]]) -> Callable[[str], str]:
        prepare = self._tokenizer.prepare or (lambda text: text)
        if not self._char_filters and not text_filters:
            return prepare

        def whole(text: str) -> str:
            for each in self._char_filters:
                text, _ = each.apply(text)
            text = prepare(text)
            for change in text_filters:
                text = change(text)
            return text

        return whole


def _leading_text_filters(tokenizer: Tokenizer, filters: Sequence[TokenFilter]) -> list[Callable[[str], str]]:
    """Python filters before any native one that can be done on the prepared text."""
    changes: list[Callable[[str], str]] = []
    if tokenizer.native is tantivy.Tokenizer.whitespace:
        for each in filters:
            if isinstance(each, NativeFilter) or each.on_prepared is None:
                break
            changes.append(each.on_prepared)
    return changes


class Normalizer:
    """Turns a whole keyword into its indexed form."""

    def __init__(self, name: str, filters: Sequence[TokenFilter], char_filters: Sequence[CharFilter] = ()) -> None:
        self.name = name
        self._filters = tuple(filters)
        self._char_filters = tuple(char_filters)

    def normalize(self, text: str) -> str:
        for each in self._char_filters:
            text, _ = each.apply(text)
        tokens = [Token(text, 0, 0, len(text))]
        for filter_ in self._filters:
            tokens = filter_.apply(tokens)
        return tokens[0].text if tokens else ""
