"""Stop words: Elasticsearch's `_english_` set or the user's own; LANGUAGES are those the engine has lists for.

Tests: tests/index/test_analysis.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from hanse.errors import IllegalArgumentError

ENGLISH = tuple(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they "  # noqa: SIM905
    "this to was will with".split()
)
LANGUAGES = frozenset(
    "danish dutch finnish french german hungarian italian norwegian portuguese russian spanish swedish".split()  # noqa: SIM905
)


def stopwords(given: Sequence[str]) -> list[str]:
    """The words meant by a `stopwords` parameter; `_none_` is none of them."""
    words: list[str] = []
    for entry in given:
        if entry == "_english_":
            words.extend(ENGLISH)
        elif entry == "_none_":
            continue
        elif entry.startswith("_") and entry.endswith("_") and len(entry) > 2:
            raise IllegalArgumentError(f"stop words of [{entry.strip('_')}] are not available here: list them instead")
        else:
            words.append(entry)
    return words
