"""The `_clusters` section of a cross-cluster search: what each cluster did (spec: ccs.md §4).

Tests: tests/remote/test_clusters_section.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hanse.errors import HanseError
from hanse.search.request import SearchResult

LOCAL = "(local)"


def finished_cluster(names: Sequence[str], result: SearchResult, *, skip_unavailable: bool) -> dict[str, Any]:
    """A cluster that answered: successful, partial, or failed on every shard."""
    details: dict[str, Any] = {
        "status": _status(result, skip_unavailable),
        "indices": ",".join(names) if names else "*",
        "took": result.took_ms,
        "timed_out": result.timed_out,
        "_shards": {
            "total": result.total_shards,
            "successful": result.successful,
            "skipped": result.skipped,
            "failed": result.failed,
        },
    }
    if result.failures:
        details["failures"] = [
            {key: value for key, value in msgspec.to_builtins(failure).items() if key not in ("status", "index_uuid")}
            for failure in result.failures
        ]
    return details


def _status(result: SearchResult, skip_unavailable: bool) -> str:
    if result.total_shards and result.failed == result.total_shards:
        return "skipped" if skip_unavailable else "failed"
    return "partial" if result.timed_out or result.failed else "successful"


def failed_cluster(names: Sequence[str], error: HanseError) -> dict[str, Any]:
    """A cluster that was skipped: nothing of it is in the answer, and the reason stands here."""
    reason: dict[str, Any] = {"type": error.name, "reason": error.reason, **error.metadata}
    if error.caused_by is not None:
        reason["caused_by"] = {"type": error.caused_by.name, "reason": error.caused_by.reason}
    return {
        "status": "skipped",
        "indices": ",".join(names),
        "timed_out": False,
        "failures": [{"shard": -1, "index": None, "reason": reason}],
    }


def clusters_section(details: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    statuses = [entry["status"] for entry in details.values()]
    counts = {name: statuses.count(name) for name in ("successful", "skipped", "running", "partial", "failed")}
    return {"total": len(details), **counts, "details": dict(details)}
