from __future__ import annotations

import pytest

from hanse.errors import AggregationExecutionError
from hanse.search.aggregation.formats import format_decimal, join_formats, key_as_string, shown_key


@pytest.mark.parametrize(
    ("pattern", "value", "text"),
    [
        ("Value is ##0.0", 50.0, "Value is 50.0"),
        ("#,##0.00", -1_234_567.891, "-1,234,567.89"),
        ("000.00", 3.5, "003.50"),
        ("0%", 0.25, "25%"),
        ("#.##", 2.0, "2"),
        ("0.###", 0.12345, "0.123"),
        ("0.0", 0.25, "0.2"),
        ("$#,##0", 1234.0, "$1,234"),
        ("0", -0.2, "0"),
    ],
)
def test_decimal_patterns(pattern: str, value: float, text: str) -> None:
    assert format_decimal(pattern, value) == text


def test_keys_are_shown_in_the_form_of_their_field() -> None:
    assert key_as_string(["date", "yyyy-MM-dd", None], 1_704_067_200_000) == "2024-01-01"
    assert key_as_string(["date", None, "+01:00"], 0) == "1970-01-01T01:00:00.000+01:00"
    assert key_as_string(["boolean", None, None], 1) == "true"
    assert key_as_string(["long", None, None], 1) is None
    assert shown_key(["ip", None, None], f"{0xFFFF_0A00_0001:032x}") == "10.0.0.1"
    assert shown_key(["double", None, None], 3) == 3.0


def test_formats_of_several_indices_join_without_regard_to_order() -> None:
    long, double, unmapped = ["long", None, None], ["double", None, None], []
    assert join_formats([long, unmapped, double], "a") == join_formats([double, long], "a") == double
    assert join_formats([unmapped], "a") == []


def test_text_and_numbers_do_not_join() -> None:
    with pytest.raises(AggregationExecutionError, match=r"\[a\].*two different types in two different indices"):
        join_formats([["keyword", None, None], ["long", None, None]], "a")
