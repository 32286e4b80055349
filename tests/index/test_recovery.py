from __future__ import annotations

from hanse.index.recovery import Recovery


def test_a_copy_that_is_filled_from_its_primary() -> None:
    recovery = Recovery()
    assert recovery.shown()["stage"] == "INIT"
    recovery.begins("PEER", "n2")
    recovery.took(operations=10, size_bytes=500, up_to=9, last_seq_no=39)
    shown = recovery.shown()
    assert (shown["type"], shown["stage"], recovery.source) == ("PEER", "INDEX", "n2")
    assert (shown["index"]["size"]["percent"], shown["index"]["size"]["recovered_in_bytes"]) == ("25.0%", 500)
    assert "stop_time_in_millis" not in shown
    recovery.took(operations=30, size_bytes=700, up_to=39, last_seq_no=39)
    recovery.replays(100)
    assert (recovery.shown()["stage"], recovery.shown()["translog"]["total"]) == ("TRANSLOG", -1)
    recovery.replayed(107)
    recovery.done()
    shown = recovery.shown()
    assert (shown["stage"], shown["index"]["size"]["percent"], shown["index"]["documents"]) == (
        "DONE",
        "100.0%",
        {"recovered": 40},
    )
    assert (shown["translog"]["recovered"], shown["translog"]["percent"]) == (7, "100.0%")
    assert shown["stop_time_in_millis"] >= shown["start_time_in_millis"]
