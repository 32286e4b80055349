"""Shard failures: an error as JSON shows it, and the error a search ends with when no shard answered.

Tests: tests/search/test_queries.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hanse.errors import HanseError, QueryShardError, SearchPhaseExecutionError, error_class
from hanse.search.request import ShardFailure


def error_object(error: HanseError) -> dict[str, Any]:
    """Type, reason, further members and causes."""
    rendered: dict[str, Any] = {"type": error.name, "reason": error.reason, **error.metadata}
    if error.caused_by is not None:
        rendered["caused_by"] = error_object(error.caused_by)
    return rendered


def shard_failure(
    index: str, shard: int, error: HanseError, index_uuid: str | None = None, node: str = ""
) -> ShardFailure:
    if isinstance(error, QueryShardError) and index_uuid is not None:
        error.metadata["index_uuid"] = index_uuid
    return ShardFailure(shard, index, error_object(error), node or None, error.status)


def failure_object(failure: ShardFailure) -> dict[str, Any]:
    """As `_shards.failures` and `failed_shards` show it."""
    shown: dict[str, Any] = {"shard": failure.shard, "index": failure.index}
    if failure.node is not None:
        shown["node"] = failure.node
    shown["reason"] = failure.reason
    return shown


def grouped(failures: Sequence[ShardFailure]) -> list[ShardFailure]:
    """One failure for each index and reason."""
    first: dict[tuple[str | None, str, str], ShardFailure] = {}
    for failure in failures:
        key = (failure.index, str(failure.reason.get("type")), str(failure.reason.get("reason")))
        first.setdefault(key, failure)
    return list(first.values())


def all_shards_failed(
    failures: Sequence[ShardFailure], phase: str = "query", reason: str = "all shards failed"
) -> SearchPhaseExecutionError:
    """The error of a search of which every shard failed; its status is the shards'."""
    different = grouped(failures)
    causes = [_as_error(failure.reason, failure.status) for failure in different]
    first = causes[0] if causes else None
    error = SearchPhaseExecutionError(
        reason,
        caused_by=first if first is not None and first.name != "query_shard_exception" else None,
        root_causes=[_root(cause) for cause in causes],
        phase=phase,
        grouped=True,
        failed_shards=[failure_object(failure) for failure in different],
    )
    statuses = [failure.status for failure in failures]
    error.status = max((status for status in statuses if status >= 500), default=statuses[0] if statuses else 503)
    return error


def partial_failure(failures: Sequence[ShardFailure]) -> SearchPhaseExecutionError:
    """When partial results are not allowed."""
    error = all_shards_failed(failures, reason="Partial shards failure")
    if error.status < 500:
        error.status = 503
    return error


def reduce_failed(cause: HanseError) -> SearchPhaseExecutionError:
    """The error of a search whose shards all answered, but whose answers cannot become one."""
    error = SearchPhaseExecutionError(
        "", caused_by=cause, root_causes=[], phase="rank-feature", grouped=True, failed_shards=[]
    )
    error.status = cause.status
    return error


def _root(error: HanseError) -> HanseError:
    without_cause = _as_error({"type": error.name, "reason": error.reason, **error.metadata}, error.status)
    without_cause.caused_by = None
    return without_cause


def from_failure(failure: ShardFailure) -> HanseError:
    """The error that the shard failed with."""
    return _as_error(failure.reason, failure.status)


def _as_error(reason: dict[str, Any], status: int) -> HanseError:
    """An error again from its JSON form."""
    name = str(reason.get("type", "exception"))
    cls = error_class(name) or HanseError
    metadata = {key: value for key, value in reason.items() if key not in ("type", "reason", "caused_by")}
    cause = reason.get("caused_by")
    error = HanseError.__new__(cls)
    HanseError.__init__(
        error,
        str(reason.get("reason", "")),
        caused_by=_as_error(cause, status) if isinstance(cause, dict) else None,
        **metadata,
    )
    error.name = name
    error.status = status
    return error
