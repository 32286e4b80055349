"""The ten parameters of a follow: parsed, checked with Elasticsearch's wording, and shown again as given.

Tests: tests/replication/test_parameters.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hanse.errors import ActionRequestValidationError, XContentParseError
from hanse.settings.units import parse_bytes, parse_time_s

_COUNTS = {
    "max_read_request_operation_count": 5120,
    "max_write_request_operation_count": 5120,
    "max_outstanding_read_requests": 12,
    "max_outstanding_write_requests": 9,
    "max_write_buffer_count": 2_147_483_647,
}
_SIZES = {
    "max_read_request_size": "32mb",
    "max_write_request_size": "9223372036854775807b",
    "max_write_buffer_size": "512mb",
}
_TIMES = {"max_retry_delay": "500ms", "read_poll_timeout": "1m"}
DEFAULTS: dict[str, int | str] = {**_COUNTS, **_SIZES, **_TIMES}
NAMES = frozenset(DEFAULTS)
RETRY_DELAY_S_MAX = 300.0


class FollowParameters(msgspec.Struct, frozen=True):
    """Values in bytes, seconds and counts. `given` keeps what the caller set, as written."""

    max_read_request_operation_count: int = 5120
    max_outstanding_read_requests: int = 12
    max_read_request_bytes: int = 32 * 1024 * 1024
    max_write_request_operation_count: int = 5120
    max_write_request_bytes: int = 2**63 - 1
    max_outstanding_write_requests: int = 9
    max_write_buffer_count: int = 2**31 - 1
    max_write_buffer_bytes: int = 512 * 1024 * 1024
    max_retry_delay_s: float = 0.5
    read_poll_timeout_s: float = 60.0
    given: dict[str, Any] = {}

    def shown(self) -> dict[str, Any]:
        """All ten, as follow info shows them."""
        return {**DEFAULTS, **self.given}


def parse_parameters(body: Mapping[str, Any]) -> FollowParameters:
    """Reads the parameters out of a body that may hold other keys. Raises ActionRequestValidationError."""
    given = {name: body[name] for name in DEFAULTS if body.get(name) is not None}
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in _COUNTS:
            values[name] = _count(name, value, problems)
        elif name in _SIZES:
            values[name.replace("_size", "_bytes")] = _size(name, value, problems)
        else:
            values[f"{name}_s"] = _time(name, value, problems)
    if problems:
        raise ActionRequestValidationError.of(*problems)
    return FollowParameters(**values, given=given)


def _count(name: str, value: Any, problems: list[str]) -> int:
    try:
        count = int(value)
    except (TypeError, ValueError) as error:
        raise XContentParseError(f"[follow_parameters] failed to parse field [{name}]") from error
    if count < 1:
        problems.append(f"{name} must be larger than 0")
    return count


def _size(name: str, value: Any, problems: list[str]) -> int:
    size = parse_bytes(str(value), name)
    if size <= 0:
        problems.append(f"{name} must be larger than 0")
    return size


def _time(name: str, value: Any, problems: list[str]) -> float:
    seconds = parse_time_s(str(value), name)
    if name == "max_retry_delay":
        if seconds <= 0:
            problems.append(f"[{name}] must be positive but was [{value}]")
        elif seconds > RETRY_DELAY_S_MAX:
            problems.append(f"[{name}] must be less than [5m] but was [{value}]")
    return seconds
