"""A follower under fire: both nodes are killed again and again while documents are written, changed and deleted.

Afterwards the copy equals the leader, document for document and seq_no for seq_no, and nothing acknowledged is missing.
The seed is printed; HANSE_SEED=<seed> replays its choices. HANSE_SOAK=1 runs longer.
"""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

from hanse import clock
from hanse.cli.local_cluster import LocalNode, trust_each_other
from hanse.cli.local_nodes import free_ports
from hanse.tls.authority import CertificateAuthority
from tests.journeys.world import ok, until

KILLS = 60 if os.environ.get("HANSE_SOAK") else 6
IDS = 300


class Writer(threading.Thread):
    """Writes through kills. `acknowledged` holds for each id what the last acknowledged operation left: n, or None.

    An operation whose answer was lost is unknown: its id is left out of the comparison with what was acknowledged.
    """

    def __init__(self, leader: LocalNode, chance: random.Random) -> None:
        super().__init__()
        self._leader = leader
        self._chance = chance
        self.acknowledged: dict[str, int | None] = {}
        self.unknown: set[str] = set()
        self.operations = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            ids = [str(self._chance.randrange(IDS)) for _ in range(10)]
            lines, effects = [], {}
            for each in ids:
                number += 1
                if self._chance.random() < 0.25:
                    lines.append(f'{{"delete":{{"_index":"leader","_id":"{each}"}}}}\n')
                    effects[each] = None
                else:
                    lines.append(f'{{"index":{{"_index":"leader","_id":"{each}"}}}}\n{{"n":{number}}}\n')
                    effects[each] = number
            try:
                status, answer = self._leader.request(
                    "POST", "/_bulk", "".join(lines).encode(), content_type="application/x-ndjson"
                )
                assert status == 200, answer
            except OSError:
                self.unknown.update(effects)
                self.stopping.wait(0.02)
                continue
            self.acknowledged.update(effects)
            self.unknown.difference_update(effects)
            self.operations += len(ids)


def contents(node: LocalNode, index: str) -> dict[str, tuple[int, int, int]]:
    ok(node, "POST", f"/{index}/_refresh")
    body = {"size": IDS, "seq_no_primary_term": True, "version": True}
    hits = ok(node, "POST", f"/{index}/_search", body)["hits"]["hits"]
    return {hit["_id"]: (hit["_seq_no"], hit["_version"], hit["_source"]["n"]) for hit in hits}


def test_the_copy_equals_the_leader_after_kills_on_both_sides(tmp_path: Path) -> None:
    seed = int(os.environ.get("HANSE_SEED") or clock.now_ms() % 2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    ports = free_ports(4)
    leader, follower = (
        LocalNode(
            tmp_path / name,
            name,
            CertificateAuthority.create(f"CN=ca-{name}"),
            http_port=ports[2 * number],
            transport_port=ports[2 * number + 1],
        )
        for number, name in enumerate(("leader", "follower"))
    )
    trust_each_other(leader, follower)
    leader.start()
    follower.start()
    try:
        settings = {"persistent": {"cluster.remote.leader.seeds": [leader.transport_address]}}
        ok(follower, "PUT", "/_cluster/settings", settings)
        ok(leader, "PUT", "/leader", {"settings": {"number_of_shards": 2, "number_of_replicas": 0}})
        body = {"remote_cluster": "leader", "leader_index": "leader"}
        ok(follower, "PUT", "/copy/_ccr/follow?wait_for_active_shards=1", body)
        writer = Writer(leader, random.Random(seed + 1))
        writer.start()
        try:
            for _ in range(KILLS):
                target = writer.operations + chance.randrange(50, 400)
                until(lambda: writer.operations, lambda done, wanted=target: done >= wanted, "more writes")
                victim = chance.choice((leader, follower))
                victim.kill()
                victim.start()
        finally:
            writer.stopping.set()
            writer.join()
        truth = contents(leader, "leader")
        for each, number in writer.acknowledged.items():
            if each not in writer.unknown:
                assert (truth[each][2] if each in truth else None) == number, f"id {each}, seed {seed}"
        until(
            lambda: contents(follower, "copy"), lambda copy: copy == truth, f"the copy to equal the leader, seed {seed}"
        )
        print(f"{writer.operations} operations, {KILLS} kills, {len(truth)} documents equal")
    finally:
        leader.stop()
        follower.stop()
