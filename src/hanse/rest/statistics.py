"""Picks metrics and level out of index statistics, as `_stats/{metric}?level=` asks.

Tests: tests/rest/test_statistics.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from hanse.errors import IllegalArgumentError
from hanse.rest.unrecognized import suggestion
from hanse.search.field_selection import matches_any

METRICS = frozenset(
    {
        "docs",
        "store",
        "indexing",
        "get",
        "search",
        "merge",
        "flush",
        "refresh",
        "query_cache",
        "fielddata",
        "completion",
        "segments",
        "translog",
        "recovery",
        "request_cache",
        "warmer",
        "suggest",
        "bulk",
        "shard_stats",
        "mappings",
        "dense_vector",
        "sparse_vector",
    }
)
_SECTION = {"merge": "merges"}


def chosen_statistics(
    answer: dict[str, Any], metrics: tuple[str, ...], level: str, *, path: str, groups: Sequence[str] = ()
) -> dict[str, Any]:
    """`groups` are patterns of search groups to show. Raises IllegalArgumentError for an unknown metric or level."""
    _check(metrics, level, path)
    sections = None if not metrics or "_all" in metrics else {_SECTION.get(name, name) for name in metrics}
    shown: dict[str, Any] = {"_shards": answer["_shards"], "_all": _copies(answer["_all"], sections, groups)}
    if level in ("indices", "shards"):
        shown["indices"] = {}
        for name, index in answer["indices"].items():
            entry = {key: index[key] for key in ("uuid", "health", "status")} | _copies(index, sections, groups)
            if level == "shards":
                entry["shards"] = {
                    number: [
                        _picked(copy, None if sections is None else sections | {"routing"}, groups) for copy in copies
                    ]
                    for number, copies in index["shards"].items()
                }
            shown["indices"][name] = entry
    return shown


def _copies(entry: dict[str, Any], sections: set[str] | None, groups: Sequence[str]) -> dict[str, Any]:
    return {key: _picked(entry[key], sections, groups) for key in ("primaries", "total")}


def _picked(stats: dict[str, Any], sections: set[str] | None, groups: Sequence[str] = ()) -> dict[str, Any]:
    """The chosen sections; of search groups those that a pattern names."""
    shown = stats if sections is None else {key: value for key, value in stats.items() if key in sections}
    if "groups" not in shown.get("search", ()):
        return shown
    search = dict(shown["search"])
    named = {name: counted for name, counted in search.pop("groups").items() if matches_any(name, groups)}
    return {**shown, "search": {**search, "groups": named} if named else search}


def _check(metrics: tuple[str, ...], level: str, path: str) -> None:
    unknown = [name for name in metrics if name not in METRICS and name != "_all"]
    if unknown:
        raise unrecognized_metric(path, unknown[0], METRICS)
    if "_all" in metrics and len(metrics) > 1:
        raise IllegalArgumentError(f"request [{path}] contains _all and individual metrics [{','.join(metrics)}]")
    check_level(level)


def unrecognized_metric(path: str, metric: str, known: Collection[str]) -> IllegalArgumentError:
    return IllegalArgumentError(f"request [{path}] contains unrecognized metric: [{metric}]{suggestion(metric, known)}")


def check_level(level: str, *, whole: str = "cluster") -> None:
    if level not in (whole, "indices", "shards"):
        raise IllegalArgumentError(
            f"level parameter must be one of [{whole}] or [indices] or [shards] but was [{level}]"
        )


def node_statistics(stats: dict[str, Any], metrics: tuple[str, ...], level: str) -> dict[str, Any]:
    """The `indices` section of one node in `_nodes/stats`."""
    by_index = stats["indices"]
    sections = None if not metrics or "_all" in metrics else {_SECTION.get(name, name) for name in metrics}
    shown = _picked({key: value for key, value in stats.items() if key != "indices"}, sections)
    if level in ("indices", "shards"):
        shown[level] = {name: _picked(entry, sections) for name, entry in by_index.items()}
    return shown
