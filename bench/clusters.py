"""Two clusters: what the border costs a search, how far a follower is behind, whether it keeps up with a bulk load.

Each stands beside bare transport calls and commits.

python -m bench.clusters
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import uvloop

from bench import bare, transport
from bench.documents import MAPPING, bulk_bodies
from bench.load import Connection, Measured, http_request, load
from bench.node import beside, bulk_rate, term_searches
from hanse.cli.local_cluster import LocalNode, trust_each_other
from hanse.tls.authority import CertificateAuthority

WRITES, TURNS = 200, 5
ANSWER_BYTES = 6000
"""About what ten hits take."""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        local, remote = (
            LocalNode(Path(name) / each, each, CertificateAuthority.create(f"CN=ca-{each}"))
            for each in ("local", "remote")
        )
        trust_each_other(local, remote)
        with local, remote:
            seeds = {"persistent": {"cluster.remote.remote.seeds": [remote.transport_address]}}
            local.request("PUT", "/_cluster/settings", seeds)
            while not local.request("GET", "/_remote/info")[1]["remote"]["connected"]:
                time.sleep(0.01)
            border(local, remote)
            lag(local, remote)
            keeping_up(local, remote)


def border(local: LocalNode, remote: LocalNode) -> None:
    for node in (local, remote):
        bulk_rate(node, documents=50_000)
        node.request("POST", "/bench/_refresh")
    for connections in (1, 8):
        turns: tuple[list[Measured], list[Measured]] = ([], [])
        for _ in range(TURNS):
            for taken, expression in zip(turns, ("bench", "remote:bench"), strict=True):
                searches = term_searches(local, expression)
                taken.append(
                    uvloop.run(load(local.url, str(local.ca_file), searches, connections=connections, seconds=1))
                )
        here, there = map(Measured.of, turns)
        calls = transport.calls(connections, 4, ANSWER_BYTES)
        more = there.at(0.5) - here.at(0.5)
        print(f"term search local, {connections} connections    {here}")
        print(f"the same over the border            {there}   (p50 + {more:.2f} ms)")
        times = more / calls.at(0.5)
        print(f"bare: transport calls, mutual TLS   {calls}   (the border takes {times:.1f} times one call)")


def lag(local: LocalNode, remote: LocalNode) -> None:
    remote.request("PUT", "/leader", MAPPING)
    body = {"remote_cluster": "remote", "leader_index": "leader"}
    status, answer = local.request("PUT", "/copy/_ccr/follow?wait_for_active_shards=1", body)
    assert status == 200, answer
    measured = uvloop.run(lags(local, remote))
    p50, p99 = measured[WRITES // 2], measured[int(WRITES * 0.99)]
    call, commit = transport.calls(1, 2, 1000).at(0.5), bare.commit_ms()
    print(f"follower lag after the acknowledgement    p50 {p50:.1f} ms  p99 {p99:.1f} ms")
    print(f"bare: a transport call and a commit       p50 {call:.1f} + {commit:.1f} ms {beside(p50, call + commit)}")


async def lags(local: LocalNode, remote: LocalNode) -> list[float]:
    """Milliseconds from a write's acknowledgement to its copy's being there, each asked for again and again."""
    leader, follower = Connection(remote), Connection(local)
    for one in (leader, follower):
        await one.connect()
    times = []
    for number in range(WRITES):
        path = f"_doc/{number}"
        await leader.ask(http_request(remote, "PUT", f"/leader/{path}", b'{"status":%d}' % number))
        started = time.perf_counter()
        while (await follower.ask(http_request(local, "GET", f"/copy/{path}")))[0] != 200:
            pass
        times.append((time.perf_counter() - started) * 1000)
    for one in (leader, follower):
        one.close()
    return sorted(times)


def keeping_up(local: LocalNode, remote: LocalNode) -> None:
    """The leader takes a bulk load as fast as one client sends; the copy's distance is sampled meanwhile."""
    distances: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            shard = local.request("GET", "/copy/_ccr/stats")[1]["indices"][0]["shards"][0]
            distances.append(shard["leader_max_seq_no"] - shard["follower_global_checkpoint"])
            time.sleep(0.1)

    bodies = bulk_bodies(60_000, 1000, "leader")
    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    for body in bodies:
        remote.request("POST", "/_bulk", body, content_type="application/x-ndjson")
    loaded = time.perf_counter() - started
    wanted = remote.request("GET", "/leader/_stats")[1]["_all"]["primaries"]["docs"]["count"]
    while local.request("GET", "/copy/_stats")[1]["_all"]["primaries"]["docs"]["count"] < wanted:
        time.sleep(0.01)
    copied = time.perf_counter() - started
    done.set()
    watcher.join()
    print(
        f"bulk load on the leader {60_000 / loaded:,.0f} documents/s; the copy was complete {copied - loaded:.2f} s "
        f"after it, at most {max(distances):,} operations behind"
    )


if __name__ == "__main__":
    main()
