"""Times and sizes as Elasticsearch writes them."""

from __future__ import annotations

import pytest

from hanse.errors import IllegalArgumentError
from hanse.settings.units import format_bytes, format_duration, format_time, parse_bytes, parse_time_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("500ms", 0.5), ("5m", 300), ("1.5h", 5400), ("2d", 172800), ("-1", -1), ("0", 0)],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_time_s(text) == seconds


@pytest.mark.parametrize("text", ["30", "s", "", "5 years", "1m30s"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(IllegalArgumentError, match=r"failed to parse setting \[x\]"):
        parse_time_s(text, "x")


@pytest.mark.parametrize("text", ["30s", "500ms", "5m", "1h", "7d", "250micros", "-1"])
def test_a_time_is_shown_as_it_was_given(text: str) -> None:
    assert format_time(parse_time_s(text)) == text


@pytest.mark.parametrize(
    ("text", "size"), [("512b", 512), ("1kb", 1024), ("100mb", 104857600), ("2g", 2**31), ("0", 0)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["100", "mb", "5 parsecs"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(IllegalArgumentError, match=r"failed to parse setting \[x\]"):
        parse_bytes(text, "x")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0nanos"),
        (12e-9, "12nanos"),
        (85e-6, "85micros"),
        (0.012, "12ms"),
        (1.25, "1.2s"),
        (90, "1.5m"),
        (86400, "1d"),
    ],
)
def test_a_duration_is_shown_shortly(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_size_is_shown_shortly() -> None:
    assert [format_bytes(size) for size in (512, 1024, 1280, 40 * 1024**2)] == ["512b", "1kb", "1.2kb", "40mb"]
