"""How long writes and reads stop when the node with the primary goes: killed, and stopped as planned.

Three nodes, an index with one shard and two replicas. A writer and two readers (a realtime get, a search) ask the two
other nodes in turn all the while; a gap is the time between two successes with the node's end in between, or the
longest afterwards until all is green. The JetStream engine's own elections take 4 to 9 s of it.

python -m bench.failover
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

from hanse.cli.local_cluster import LocalNode
from hanse.cli.local_nodes import LocalCluster

ROUNDS = 10
INDEX = "failover"
RETRY_S = 0.01
READ_PAUSE_S = 0.005
UNDISTURBED_S = 3.0
"""How long nothing is done, to know what gaps this machine has by itself."""


class Asker(threading.Thread):
    """Asks the same again and again through `nodes` in turn; `successes` are the times at which answers came."""

    def __init__(self, nodes: list[LocalNode], ask: Callable[[LocalNode], tuple[int, Any]], pause_s: float) -> None:
        super().__init__()
        self._nodes = cycle(nodes)
        self._ask = ask
        self._pause_s = pause_s
        self.successes: list[float] = []
        self.failures: Counter[str] = Counter()
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.is_set():
            try:
                status, answer = self._ask(next(self._nodes))
            except OSError as error:
                status, answer = 0, type(error).__name__
            if 200 <= status < 300 and not (isinstance(answer, dict) and answer.get("_shards", {}).get("failed")):
                self.successes.append(time.monotonic())
            else:
                self.failures[str(status)] += 1
            time.sleep(self._pause_s)

    def gap_s(self, since: float) -> float:
        """The longest time without a success that ended after `since`."""
        return max((after - before for before, after in pairwise(self.successes) if after > since), default=0.0)


def wait_for(cluster: LocalCluster, status: str) -> None:
    path = f"/_cluster/health?wait_for_status={status}&wait_for_nodes={len(cluster.nodes)}&timeout=1s"
    for node in cluster.nodes:
        while node.request("GET", path)[1].get("timed_out") is not False:
            time.sleep(0.01)


def node_of_primary(cluster: LocalCluster) -> LocalNode:
    rows = cluster.nodes[0].request("GET", f"/_cat/shards/{INDEX}?format=json&h=prirep,node")[1]
    name = next(row["node"] for row in rows if row["prirep"] == "p")
    return next(node for node in cluster.nodes if node.node_name == name)


def one_round(cluster: LocalCluster, end: Callable[[LocalNode], object]) -> tuple[dict[str, float], Counter[str]]:
    """Gaps in seconds by who had them, and what the writer was refused with."""
    victim = node_of_primary(cluster)
    others = [node for node in cluster.nodes if node is not victim]
    askers = {
        "write": Asker(others, lambda node: node.request("POST", f"/{INDEX}/_doc", {"n": 1}), RETRY_S),
        "get": Asker(others, lambda node: node.request("GET", f"/{INDEX}/_doc/0"), READ_PAUSE_S),
        "search": Asker(others, lambda node: node.request("GET", f"/{INDEX}/_search?size=1"), READ_PAUSE_S),
    }
    for asker in askers.values():
        asker.start()
    until_each_succeeded(askers, 0)
    since = time.monotonic()
    end(victim)
    until_each_succeeded(askers, time.monotonic())
    if victim.process is None:
        victim.start()
    wait_for(cluster, "green")
    for asker in askers.values():
        asker.is_over.set()
    for asker in askers.values():
        asker.join()
    return {name: asker.gap_s(since) for name, asker in askers.items()}, askers["write"].failures


def until_each_succeeded(askers: dict[str, Asker], since: float, times: int = 10) -> None:
    while any(sum(at > since for at in asker.successes[-times:]) < times for asker in askers.values()):
        time.sleep(0.01)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, LocalCluster(Path(folder)) as cluster:
        settings = {"number_of_shards": 1, "number_of_replicas": 2}
        cluster.nodes[0].request("PUT", f"/{INDEX}", {"settings": settings})
        wait_for(cluster, "green")
        cluster.nodes[0].request("PUT", f"/{INDEX}/_doc/0?refresh=true", {"n": 0})
        ends: dict[str, Callable[[LocalNode], object]] = {
            "nothing": lambda _: time.sleep(UNDISTURBED_S),
            "SIGKILL": LocalNode.kill,
            "planned stop": LocalNode.stop,
        }
        for how, end in ends.items():
            rounds = [one_round(cluster, end) for _ in range(ROUNDS)]
            for who in ("write", "get", "search"):
                gaps = sorted(gaps[who] for gaps, _ in rounds)
                print(
                    f"{how:12} longest gap of a {who:6} p50 {gaps[ROUNDS // 2]:6.2f} s  max {gaps[-1]:6.2f} s",
                    flush=True,
                )
            refused = sum((failures for _, failures in rounds), Counter[str]())
            print(f"{how:12} answers to writes that were no success, by status: {dict(refused)}", flush=True)


if __name__ == "__main__":
    main()
