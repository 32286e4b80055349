"""How a copy came to serve: from where, how much was taken, and how far it is. What `_recovery` shows.

Tests: tests/index/test_recovery.py.
"""

from __future__ import annotations

import time
from typing import Any, Literal

from hanse import clock

Kind = Literal["EMPTY_STORE", "EXISTING_STORE", "PEER"]
Stage = Literal["INIT", "INDEX", "TRANSLOG", "FINALIZE", "DONE"]


class Recovery:
    """The record of one opening. `source` is the node whose documents a replica takes; None for a primary.

    INDEX: documents come from the primary. TRANSLOG: the log is read. Counts are of operations, sizes of their sources.
    """

    def __init__(self) -> None:
        self.kind: Kind = "EMPTY_STORE"
        self.stage: Stage = "INIT"
        self.source: str | None = None
        self.started_at_ms = clock.now_ms()
        self._started = time.monotonic()
        self._took_s: float | None = None
        self._copied = 0
        self._copied_bytes = 0
        self._last_seq_no = -1
        self._up_to = -1
        self._replayed_from = 0
        self._replayed = 0

    def begins(self, kind: Kind, source: str | None = None) -> None:
        self.kind, self.source, self.stage = kind, source, "INDEX"

    def took(self, operations: int, size_bytes: int, up_to: int, last_seq_no: int) -> None:
        """A page of the primary's documents; `up_to` is how far it goes, `last_seq_no` how far the primary has got."""
        self._copied += operations
        self._copied_bytes += size_bytes
        self._up_to, self._last_seq_no = up_to, max(last_seq_no, up_to)

    def replays(self, position: int) -> None:
        """The log is read on from this position."""
        self.stage, self._replayed_from = "TRANSLOG", position

    def replayed(self, position: int) -> None:
        self._replayed = max(0, position - self._replayed_from)

    def done(self) -> None:
        self.stage, self._took_s = "DONE", time.monotonic() - self._started

    @property
    def is_done(self) -> bool:
        return self.stage == "DONE"

    def shown(self) -> dict[str, Any]:
        """All of `_recovery`'s members but those about shard and nodes.

        Hanse copies documents, not files: `index.size` is the documents', `index.files` stays empty.
        """
        took_ms = int((time.monotonic() - self._started if self._took_s is None else self._took_s) * 1000)
        copied = 100.0 if self.stage not in ("INIT", "INDEX") else self._copied_percent()
        shown: dict[str, Any] = {
            "type": self.kind,
            "stage": self.stage,
            "start_time_in_millis": self.started_at_ms,
            "total_time_in_millis": took_ms,
        }
        if self._took_s is not None:
            shown["stop_time_in_millis"] = self.started_at_ms + took_ms
        return {
            **shown,
            "index": {
                "size": {
                    "total_in_bytes": self._copied_bytes,
                    "reused_in_bytes": 0,
                    "recovered_in_bytes": self._copied_bytes,
                    "recovered_from_snapshot_in_bytes": 0,
                    "percent": f"{copied:.1f}%",
                },
                "files": {"total": 0, "reused": 0, "recovered": 0, "percent": f"{copied:.1f}%"},
                "documents": {"recovered": self._copied},
                "total_time_in_millis": took_ms,
                "source_throttle_time_in_millis": 0,
                "target_throttle_time_in_millis": 0,
            },
            "translog": {
                "recovered": self._replayed,
                "total": self._replayed if self.is_done else -1,
                "percent": "100.0%" if self.is_done else "-1.0%",
                "total_on_start": self._replayed if self.is_done else -1,
                "total_time_in_millis": 0,
            },
            "verify_index": {"check_index_time_in_millis": 0, "total_time_in_millis": 0},
        }

    def _copied_percent(self) -> float:
        return 0.0 if self._last_seq_no < 0 else (self._up_to + 1) * 100 / (self._last_seq_no + 1)
