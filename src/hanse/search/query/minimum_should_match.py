"""`minimum_should_match`: numbers, percentages, negatives and conditions such as `2<-25% 9<-3`.

Tests: tests/search/test_minimum_should_match.py.
"""

from __future__ import annotations

from typing import Any

from hanse.errors import IllegalArgumentError


def clauses_required(spec: Any, optional: int) -> int:
    """How many of `optional` clauses must match, between 0 and `optional` (above it nothing can match)."""
    text = str(spec).strip()
    if "<" in text:
        required = optional
        for condition in text.split():
            bound, _, rule = condition.partition("<")
            if optional <= _integer(bound, text):
                return required
            required = clauses_required(rule, optional)
        return required
    if text.endswith("%"):
        share = _number(text[:-1], text) * optional / 100
        required = optional + int(share) if share < 0 else int(share)
        return max(0, min(required, optional))
    number = _integer(text, text)
    return max(0, optional + number if number < 0 else number)


def _integer(part: str, whole: str) -> int:
    try:
        return int(part)
    except ValueError as error:
        raise IllegalArgumentError(f'For input string: "{whole}"') from error


def _number(part: str, whole: str) -> float:
    try:
        return float(part)
    except ValueError as error:
        raise IllegalArgumentError(f'For input string: "{whole}"') from error
