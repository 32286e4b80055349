"""What a shard counts and how `_stats` shows it.

Tests: tests/index/test_shard.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hanse.errors import HanseError
from hanse.index.writing import WriteResult

if TYPE_CHECKING:
    from hanse.index.shard import Shard


GROUPS_MAX = 100
"""Names that searches choose for themselves; of more, the first are counted."""


@dataclass(slots=True)
class Searches:
    """Queries and fetches; times in seconds."""

    query_total: int = 0
    query_time_s: float = 0.0
    fetch_total: int = 0
    fetch_time_s: float = 0.0

    def shown(self) -> dict[str, int]:
        return {
            "query_total": self.query_total,
            "query_time_in_millis": int(self.query_time_s * 1000),
            "query_current": 0,
            "fetch_total": self.fetch_total,
            "fetch_time_in_millis": int(self.fetch_time_s * 1000),
            "fetch_current": 0,
        }


@dataclass(slots=True)
class Counters:
    """Totals since the shard was opened; times in seconds."""

    index_total: int = 0
    index_failed: int = 0
    noop_total: int = 0
    write_time_s: float = 0.0
    delete_total: int = 0
    get_exists: int = 0
    get_missing: int = 0
    searches: Searches = field(default_factory=Searches)
    groups: dict[str, Searches] = field(default_factory=dict)
    """By the names in the `stats` member of searches."""
    scroll_total: int = 0

    def written(self, results: Sequence[WriteResult | HanseError], took_s: float) -> None:
        self.write_time_s += took_s
        for result in results:
            if isinstance(result, HanseError):
                self.index_failed += 1
            elif result.result == "noop":
                self.noop_total += 1
            elif result.result in ("deleted", "not_found"):
                self.delete_total += 1
            else:
                self.index_total += 1

    def query(self, took_s: float, groups: Sequence[str] = ()) -> None:
        for counted in self._counted(groups):
            counted.query_total += 1
            counted.query_time_s += took_s

    def fetch(self, took_s: float, groups: Sequence[str] = ()) -> None:
        for counted in self._counted(groups):
            counted.fetch_total += 1
            counted.fetch_time_s += took_s

    def _counted(self, groups: Sequence[str]) -> list[Searches]:
        for name in groups:
            if name not in self.groups and len(self.groups) < GROUPS_MAX:
                self.groups[name] = Searches()
        return [self.searches, *(self.groups[name] for name in groups if name in self.groups)]


def shown(shard: Shard) -> dict[str, Any]:
    """The sections of `_stats` that Hanse has something to say about, the rest as zeros where clients read them."""
    progress, counters, feed = shard.store.progress, shard.counters, shard.feed
    size = shard.store.size_bytes() + feed.size_bytes()
    return {
        "docs": {"count": progress.live, "deleted": progress.tombstones, "total_size_in_bytes": size},
        "store": {"size_in_bytes": size, "total_data_set_size_in_bytes": size, "reserved_in_bytes": 0},
        "indexing": {
            "index_total": counters.index_total,
            "index_time_in_millis": int(counters.write_time_s * 1000),
            "index_current": 0,
            "index_failed": counters.index_failed,
            "delete_total": counters.delete_total,
            "delete_time_in_millis": 0,
            "delete_current": 0,
            "noop_update_total": counters.noop_total,
            "is_throttled": False,
            "throttle_time_in_millis": 0,
        },
        "get": {
            "total": counters.get_exists + counters.get_missing,
            "time_in_millis": 0,
            "exists_total": counters.get_exists,
            "exists_time_in_millis": 0,
            "missing_total": counters.get_missing,
            "missing_time_in_millis": 0,
            "current": 0,
        },
        "search": {
            "open_contexts": shard.open_readers,
            **counters.searches.shown(),
            "groups": {name: counted.shown() for name, counted in sorted(counters.groups.items())},
            "scroll_total": counters.scroll_total,
            "scroll_time_in_millis": 0,
            "scroll_current": 0,
        },
        "merges": {"current": 0, "total": 0, "total_time_in_millis": 0},
        "refresh": {
            "total": feed.refreshes,
            "total_time_in_millis": int(feed.refresh_time_s * 1000),
            "external_total": feed.refreshes,
            "external_total_time_in_millis": int(feed.refresh_time_s * 1000),
            "listeners": 0,
        },
        "flush": {"total": feed.refreshes, "periodic": 0, "total_time_in_millis": int(feed.refresh_time_s * 1000)},
        "segments": {"count": feed.segments, "memory_in_bytes": 0},
        "translog": {
            "operations": progress.max_seq_no - feed.through,
            "size_in_bytes": shard.store.size_bytes(),
            "uncommitted_operations": progress.max_seq_no - feed.through,
            "uncommitted_size_in_bytes": 0,
            "earliest_last_modified_age": 0,
        },
        "seq_no": {
            "max_seq_no": progress.max_seq_no,
            "local_checkpoint": progress.checkpoint,
            "global_checkpoint": progress.checkpoint,
        },
        "retention_leases": shard.retention_leases.shown(shard.primary_term),
    }
