"""`GET /_prometheus/metrics`: what `_nodes/stats` and `_ccr/stats` measure, in the text format that Prometheus reads.

Runs those two actions as the caller (privilege `monitor`), so it tells nothing that they do not. The format has three
kinds of lines and is written here; prometheus-client, whose import takes 100 ms for an HTTP server of its own, judges
it in the tests. Format: https://prometheus.io/docs/instrumenting/exposition_formats/.
Tests: tests/rest/test_prometheus.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hanse.cluster.requests import NODES_STATS, ReadNodes
from hanse.replication.requests import STATS
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.transport.actions import Empty

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})

Sample = tuple[dict[str, str], float]


@dataclass(slots=True)
class Metric:
    """One family: `kind` is gauge or counter; names of counters end in `_total`."""

    name: str
    kind: str
    help: str
    samples: list[Sample] = field(default_factory=list)


def register(routes: Routes) -> None:
    routes.add("GET", "/_prometheus/metrics", metrics)


async def metrics(request: RestRequest) -> RestResponse:
    answer = await request.run(NODES_STATS, ReadNodes(("_local",)))
    replication = await request.run(STATS, Empty())
    found = [metric for node in answer["nodes"].values() for metric in node_metrics(node)]
    found += follower_metrics(replication["follow_stats"]["indices"])
    return RestResponse(rendered(found).encode(), content_type=CONTENT_TYPE)


def rendered(found: list[Metric]) -> str:
    """Families without samples are left out."""
    return "".join(line for metric in found if metric.samples for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"
    for labels, value in metric.samples:
        shown = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in labels.items())
        yield f"{metric.name}{{{shown}}} {value}\n" if shown else f"{metric.name} {value}\n"


def node_metrics(node: dict[str, Any]) -> list[Metric]:
    """Of one entry of `_nodes/stats`; a node without shards leaves the time of its searches out."""
    indices, process, tls = node["indices"], node["process"], node["tls"]
    return [
        _one("hanse_uptime_seconds", "gauge", "Since the node began.", node["jvm"]["uptime_in_millis"] / 1000),
        _one(
            "hanse_process_cpu_seconds_total", "counter", "Time on processors.",
            process["cpu"]["total_in_millis"] / 1000,
        ),
        _one(
            "hanse_process_resident_memory_bytes", "gauge", "Memory in use.",
            node["jvm"]["mem"]["heap_used_in_bytes"],
        ),
        _one("hanse_process_open_fds", "gauge", "Open file descriptors.", process["open_file_descriptors"]),
        _one("hanse_process_max_fds", "gauge", "How many may be open.", process["max_file_descriptors"]),
        _one(
            "hanse_filesystem_available_bytes", "gauge", "Space that is left.",
            node["fs"]["total"]["available_in_bytes"],
        ),
        _one("hanse_documents", "gauge", "Live documents of this node.", indices["docs"]["count"]),
        _one("hanse_store_bytes", "gauge", "Size of its shards.", indices["store"]["size_in_bytes"]),
        _one("hanse_indexed_total", "counter", "Documents written.", indices["indexing"]["index_total"]),
        _one("hanse_searches_total", "counter", "Query phases run.", indices["search"]["query_total"]),
        _one(
            "hanse_search_seconds_total", "counter", "Time in query phases.",
            indices["search"].get("query_time_in_millis", 0) / 1000,
        ),
        *_tls_metrics(tls),
        *_remote_metrics(node["remote_clusters"]),
    ]  # fmt: skip


def _tls_metrics(tls: dict[str, Any]) -> list[Metric]:
    soonest: dict[str, int] = {}
    for certificate in tls["certificates"]:
        path, days = certificate["path"] or "", certificate["days_to_expiry"]
        soonest[path] = min(days, soonest.get(path, days))
    return [
        Metric(
            "hanse_tls_certificate_expiry_days", "gauge", "Whole days until the first certificate of a file ends.",
            [({"path": path}, days) for path, days in sorted(soonest.items())],
        ),
        _one("hanse_tls_reloads_refused", "gauge", "TLS contexts whose newer files cannot be used.",
             tls["refused_reloads"]),
        _one("hanse_tls_handshakes_refused_total", "counter", "Handshakes that this node refused.",
             tls["refused_handshakes"]),
    ]  # fmt: skip


def _remote_metrics(remotes: dict[str, dict[str, Any]]) -> list[Metric]:
    def of(name: str, help: str, member: str, scale: float = 1) -> Metric:
        samples = [({"remote": alias}, one[member] * scale) for alias, one in remotes.items() if member in one]
        return Metric(f"hanse_remote_cluster_{name}", "gauge", help, samples)

    return [
        of("connected", "Whether a remote cluster is connected.", "connected"),
        of("connections", "Open connections to it.", "connections"),
        of("round_trip_seconds", "Its quickest answer to the last pings.", "round_trip_ms", 0.001),
        of("clock_skew_seconds", "How far its clock is ahead, by its own word.", "clock_skew_ms", 0.001),
    ]


def follower_metrics(indices: list[dict[str, Any]]) -> list[Metric]:
    """Of the shards in `_ccr/stats`."""
    shards = [shard for index in indices for shard in index["shards"]]

    def of(name: str, kind: str, help: str, value: Any) -> Metric:
        return Metric(f"hanse_follower_{name}", kind, help, [(_labels(one), value(one)) for one in shards])

    return [
        of("lag_operations", "gauge", "Operations of the leader that are not here yet.",
           lambda one: one["leader_global_checkpoint"] - one["follower_global_checkpoint"]),
        of("since_read_seconds", "gauge", "Since the leader last answered; -1 before it did.",
           lambda one: max(-1, one["time_since_last_read_millis"] / 1000)),
        of("failed_reads_total", "counter", "Reads of the leader that failed.",
           lambda one: one["failed_read_requests"]),
        of("halted", "gauge", "Whether it stands still until somebody mends it.",
           lambda one: int("fatal_exception" in one)),
    ]  # fmt: skip


def _labels(shard: dict[str, Any]) -> dict[str, str]:
    return {
        "index": shard["follower_index"],
        "shard": str(shard["shard_id"]),
        "remote": shard["remote_cluster"],
    }


def _one(name: str, kind: str, help: str, value: float) -> Metric:
    return Metric(name, kind, help, [({}, value)])
