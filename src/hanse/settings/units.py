"""Time and byte-size values as Elasticsearch writes them: 30s, 500ms, 5m, 100mb.

`parse_*` raise IllegalArgumentError with Elasticsearch's wording. Tests: tests/settings/test_units.py.
"""

from __future__ import annotations

import re

from hanse.errors import IllegalArgumentError

_TIME = re.compile(r"^\s*(-?\d+(?:\.\d+)?)\s*(nanos|micros|ms|s|m|h|d)\s*$", re.IGNORECASE)
_TIME_S = {"nanos": 1e-9, "micros": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"^\s*(-?\d+(?:\.\d+)?)\s*(b|k|kb|m|mb|g|gb|t|tb|p|pb)\s*$", re.IGNORECASE)
_SIZE_B = {"b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def parse_time_s(text: str, name: str = "value") -> float:
    """Seconds. `-1` and `0` need no unit, everything else does."""
    if text.strip() in ("-1", "0"):
        return float(text)
    match = _TIME.match(text)
    if match is None:
        raise IllegalArgumentError(
            f"failed to parse setting [{name}] with value [{text}] as a time value: unit is missing or unrecognized"
        )
    return float(match[1]) * _TIME_S[match[2].lower()]


def format_time(seconds: float) -> str:
    """The shortest exact form: 30s, 1m, 500ms, -1."""
    if seconds == -1:
        return "-1"
    for unit in ("d", "h", "m", "s", "ms", "micros"):
        size = _TIME_S[unit]
        count = seconds / size
        if seconds >= size and abs(count - round(count)) < 1e-9:
            return f"{round(count)}{unit}"
    return "0s" if seconds == 0 else f"{round(seconds / 1e-9)}nanos"


def parse_bytes(text: str, name: str = "value") -> int:
    """Bytes. `-1` and `0` need no unit, everything else does."""
    if text.strip() in ("-1", "0"):
        return int(text)
    match = _SIZE.match(text)
    if match is None:
        raise IllegalArgumentError(
            f"failed to parse setting [{name}] with value [{text}] as a size in bytes: unit is missing or unrecognized"
        )
    return int(float(match[1]) * 1024 ** _SIZE_B[match[2].lower()[0]])


def format_duration(seconds: float) -> str:
    """Human form as Elasticsearch prints it: 850micros, 12ms, 1.2s, 3.4m, 1d."""
    unit = next((unit for unit in ("d", "h", "m", "s", "ms", "micros") if seconds >= _TIME_S[unit]), "nanos")
    return _tenths(seconds / _TIME_S[unit] if unit != "nanos" else round(seconds / 1e-9)) + unit


def in_time_unit(seconds: float, unit: str) -> int:
    """Whole units: d, h, m, s, ms, micros, nanos. IllegalArgumentError for another."""
    if unit not in _TIME_S:
        raise IllegalArgumentError(f"invalid time unit [{unit}]")
    return int(seconds / _TIME_S[unit] + 1e-9)


def _tenths(value: float) -> str:
    return f"{int(value * 10 + 1e-9) / 10:.1f}".removesuffix(".0")


def format_bytes(size: int) -> str:
    """Human form as Elasticsearch prints it: 512b, 1.2kb, 40mb."""
    if size < 1024:
        return f"{size}b"
    value, unit = float(size), "b"
    for next_unit in ("kb", "mb", "gb", "tb", "pb"):
        if value < 1024:
            break
        value, unit = value / 1024, next_unit
    return _tenths(value) + unit
