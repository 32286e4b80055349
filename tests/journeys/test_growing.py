"""From one node to three, with the data kept: what docs/cluster.md tells an operator to do."""

from __future__ import annotations

from pathlib import Path

from hanse.cli.local_nodes import LocalCluster
from tests.journeys.several_nodes import numbered, wait_for
from tests.journeys.world import bulk, ok


def test_an_embedded_node_becomes_one_of_three(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, settings={"cluster.initial_master_nodes": ["hansa-1"]})
    first = cluster.nodes[0]
    yml = first.config / "elasticsearch.yml"
    of_three = yml.read_text()
    own = [line for line in of_three.splitlines() if not line.startswith(("hanse.", "discovery.", "cluster.initial"))]
    yml.write_text("\n".join([*own, "discovery.type: single-node", ""]))
    first.start()
    try:
        ok(first, "PUT", "/kept", {"settings": {"number_of_shards": 2, "number_of_replicas": 1}})
        ok(first, "PUT", "/empty")
        ok(first, "PUT", "/_security/user/joe", {"password": "secret-joe", "roles": ["superuser"]})
        bulk(first, numbered("kept", 0, 500), "/_bulk")
        ok(first, "DELETE", "/kept/_doc/7")
        before = ok(first, "GET", "/kept/_doc/499")
        first.stop()
        yml.write_text(of_three + "hanse.nats.restore_state: true\n")
        cluster.start()
        wait_for(cluster, "green")
        for node in cluster.nodes:
            assert ok(node, "GET", "/kept/_count", user=("joe", "secret-joe"))["count"] == 499
            assert ok(node, "GET", "/kept/_doc/499") == before
        third = cluster.nodes[2]
        assert ok(third, "PUT", "/kept/_doc/7?refresh=true", {"n": 7})["result"] == "created"
        cluster.stop()
        yml.write_text(of_three)
        cluster.start()
        wait_for(cluster, "green")
        assert ok(third, "GET", "/kept/_count")["count"] == 500
    finally:
        cluster.stop()
