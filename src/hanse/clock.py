"""The wall clock, in milliseconds since 1970: for moments that are shown, stored or compared with those of other nodes.

Durations are taken with `time.monotonic`. Imports nothing of ours. Tests: tests/test_clock.py.
"""

from __future__ import annotations

import time


def now_ms() -> int:
    return time.time_ns() // 1_000_000
