from __future__ import annotations

import time

from hanse.cluster.machine import Machine


def test_memory_and_load_of_this_machine() -> None:
    gauges = Machine().gauges()
    memory = gauges["os"]()["mem"]
    assert memory["total_in_bytes"] == memory["used_in_bytes"] + memory["free_in_bytes"]
    assert memory["used_percent"] + memory["free_percent"] == 100
    heap = gauges["jvm"]()["mem"]
    assert 0 < heap["heap_used_in_bytes"] < heap["heap_max_in_bytes"] == memory["total_in_bytes"]
    assert set(gauges["os"]()["cpu"]["load_average"]) == {"1m", "5m", "15m"}


def test_a_busy_process_shows_as_busy() -> None:
    process = Machine().gauges()["process"]
    process()
    busy_until = time.process_time() + 0.2
    while time.process_time() < busy_until:
        pass
    percent = process()["cpu"]["percent"]
    assert 0 < percent <= 100
