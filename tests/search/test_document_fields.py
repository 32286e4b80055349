"""Values of single fields out of a document, and numbers in decimal patterns."""

from __future__ import annotations

from typing import Any

import pytest

from hanse.search.document_fields import decimal_text, values_at


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", [1]),
        ("b.c", [2, 3, 4]),
        ("d.e", ["dotted"]),
        ("b", [{"c": 2}, {"c": [3, 4]}]),
        ("f.g.h", [True]),
        ("nowhere", []),
        ("a.b", []),
    ],
)
def test_values_are_found_through_arrays_and_dotted_keys(path: str, expected: list[Any]) -> None:
    source = {"a": 1, "b": [{"c": 2}, {"c": [3, 4]}], "d.e": "dotted", "f.g": {"h": True}}
    assert list(values_at(source, path)) == expected


@pytest.mark.parametrize(
    ("number", "pattern", "text"),
    [
        (1, "#.0", "1.0"),
        (1234.5, "#,##0.00", "1,234.50"),
        (2.0, "#.##", "2"),
        (0.256, "0.#", "0.3"),
        (7, "$0", "$7"),
    ],
)
def test_decimal_patterns(number: float, pattern: str, text: str) -> None:
    assert decimal_text(number, pattern) == text
