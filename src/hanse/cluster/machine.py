"""What the operating system tells about this process and its machine.

Tests: tests/cluster/test_machine.py.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from hanse import clock


class Machine:
    """Gauges by section of `_nodes/stats`. Uptime counts from when this was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.started_at_ms = clock.now_ms()
        self._of_machine = _Share(_machine_times)
        self._of_process = _Share(_process_times)

    def gauges(self) -> dict[str, Callable[[], dict[str, Any]]]:
        return {"os": self._os, "process": self._process, "jvm": self._jvm, "fs": _fs}

    def _os(self) -> dict[str, Any]:
        load = os.getloadavg()
        total, free = _memory()
        free_percent = round(free * 100 / total)
        return {
            "cpu": {
                "percent": self._of_machine.percent(),
                "load_average": {"1m": load[0], "5m": load[1], "15m": load[2]},
            },
            "mem": {
                "total_in_bytes": total,
                "free_in_bytes": free,
                "used_in_bytes": total - free,
                "free_percent": free_percent,
                "used_percent": 100 - free_percent,
            },
        }

    def _process(self) -> dict[str, Any]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "open_file_descriptors": len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else -1,
            "max_file_descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "cpu": {
                "percent": self._of_process.percent(),
                "total_in_millis": int((usage.ru_utime + usage.ru_stime) * 1000),
            },
            "mem": {"total_virtual_in_bytes": usage.ru_maxrss * 1024},
        }

    def _jvm(self) -> dict[str, Any]:
        total, _ = _memory()
        used = resident_bytes()
        return {
            "threads": {"count": threading.active_count()},
            "uptime_in_millis": int((time.monotonic() - self._started) * 1000),
            "mem": {
                "heap_used_in_bytes": used,
                "heap_used_percent": used * 100 // total,
                "heap_max_in_bytes": total,
            },
        }


class _Share:
    """How much of the time that passed between two questions was worked, in percent."""

    def __init__(self, times: Callable[[], tuple[float, float]]) -> None:
        """`times`: worked and passed, since whenever."""
        self._times = times
        self._last = times()
        self._percent = 0

    def percent(self) -> int:
        worked, passed = self._times()
        if passed > self._last[1]:
            share = (worked - self._last[0]) * 100 / (passed - self._last[1])
            self._percent = min(100, max(0, round(share)))
            self._last = worked, passed
        return self._percent


def _process_times() -> tuple[float, float]:
    return time.process_time(), time.monotonic() * (os.cpu_count() or 1)


def _machine_times() -> tuple[float, float]:
    """From the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal ..."""
    with open("/proc/stat", "rb") as file:
        times = [int(one) for one in file.readline().split()[1:9]]
    idle = times[3] + times[4]
    return sum(times) - idle, sum(times)


def _memory() -> tuple[int, int]:
    """Total and available bytes."""
    with open("/proc/meminfo", "rb") as file:
        values = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(b":") for line in file)}
    return values[b"MemTotal"], values[b"MemAvailable"]


def _fs() -> dict[str, Any]:
    disk = os.statvfs("/")
    return {
        "total": {
            "total_in_bytes": disk.f_blocks * disk.f_frsize,
            "free_in_bytes": disk.f_bfree * disk.f_frsize,
            "available_in_bytes": disk.f_bavail * disk.f_frsize,
        }
    }


def resident_bytes() -> int:
    """What this process holds in memory now."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
