"""The tree that query_string and simple_query_string parse to; `query_string.py` turns it into queries.

Tests: tests/search/test_query_string.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Node:
    """What all nodes share. `field` None means the default fields."""

    boost: float = 1.0
    field: str | None = None

    def boosted(self, factor: float) -> Node:
        return replace(self, boost=self.boost * factor)


@dataclass(frozen=True, slots=True)
class Words(Node):
    """Text to be analyzed. `fuzzy` is None, a distance as written, or "" for the default."""

    text: str = ""
    fuzzy: str | None = None


@dataclass(frozen=True, slots=True)
class PhraseNode(Node):
    text: str = ""
    slop: int | None = None


@dataclass(frozen=True, slots=True)
class PrefixNode(Node):
    text: str = ""


@dataclass(frozen=True, slots=True)
class WildcardNode(Node):
    """The pattern keeps its backslashes."""

    pattern: str = ""


@dataclass(frozen=True, slots=True)
class RegexNode(Node):
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class RangeNode(Node):
    lower: str | None = None
    upper: str | None = None
    include_lower: bool = True
    include_upper: bool = True


@dataclass(frozen=True, slots=True)
class ExistsNode(Node):
    """`_exists_:x` and `x:*`."""


@dataclass(frozen=True, slots=True)
class AllNode(Node):
    """`*:*`, and `*` over the default fields."""


@dataclass(frozen=True, slots=True)
class Group(Node):
    """Clauses with their occurrence: `must`, `should` or `must_not`."""

    clauses: tuple[tuple[str, Node], ...] = ()
