"""What the operating system tells about this process and its machine.

Tests: tests/cluster/test_administration.py.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from typing import Any


def machine_gauges(started: float) -> dict[str, Any]:
    """By section of `_nodes/stats`; `started` is the monotonic time the node began."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    load = os.getloadavg()
    disk = os.statvfs("/")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "os": {
            "cpu": {"load_average": {"1m": load[0], "5m": load[1], "15m": load[2]}},
            "mem": {"total_in_bytes": memory},
        },
        "process": {
            "open_file_descriptors": len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else -1,
            "max_file_descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "cpu": {"total_in_millis": int((usage.ru_utime + usage.ru_stime) * 1000)},
            "mem": {"total_virtual_in_bytes": usage.ru_maxrss * 1024},
        },
        "jvm": {
            "threads": {"count": threading.active_count()},
            "uptime_in_millis": int((time.monotonic() - started) * 1000),
            "mem": {
                "heap_used_in_bytes": resident_bytes(),
                "heap_used_percent": resident_bytes() * 100 // memory,
                "heap_max_in_bytes": memory,
            },
        },
        "fs": {
            "total": {
                "total_in_bytes": disk.f_blocks * disk.f_frsize,
                "free_in_bytes": disk.f_bfree * disk.f_frsize,
                "available_in_bytes": disk.f_bavail * disk.f_frsize,
            }
        },
    }


def resident_bytes() -> int:
    """What this process holds in memory now."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
