"""A token of analyzed text. Tests: tests/index/test_analysis.py."""

from __future__ import annotations

from typing import NamedTuple


class Token(NamedTuple):
    """`start` and `end` are places in the original text, counted in Python characters."""

    text: str
    position: int
    start: int
    end: int
    type: str = "word"
