from __future__ import annotations

import signal
from pathlib import Path

import pytest

from hanse.cli.local_nodes import LocalCluster, free_ports
from hanse.settings.elasticsearch_yml import load
from hanse.settings.keystore import Keystore
from hanse.tls.authority import CertificateAuthority


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority.create("CN=ca")


def test_each_node_names_the_others_and_none_names_itself(tmp_path: Path, authority: CertificateAuthority) -> None:
    cluster = LocalCluster(tmp_path, "league", authority=authority, own_settings={2: {"node.roles": ["data"]}})
    settings = [load(node.config) for node in cluster.nodes]
    transports = [f"127.0.0.1:{each['transport.port']}" for each in settings]
    routes = [f"127.0.0.1:{each['hanse.nats.route_port']}" for each in settings]
    for at, each in enumerate(settings):
        assert each["discovery.seed_hosts"] == transports[:at] + transports[at + 1 :]
        assert each["hanse.nats.routes"] == routes[:at] + routes[at + 1 :]
        assert each["cluster.initial_master_nodes"] == ["league-1", "league-2", "league-3"]
        assert "discovery.type" not in each
    assert [each.get("node.roles") for each in settings] == [None, None, ["data"]]
    passwords = {Keystore.load(node.config).get("hanse.nats.route_password") for node in cluster.nodes}  # type: ignore[union-attr]
    assert len(passwords) == 1


def test_a_node_that_is_added_looks_for_the_founders(tmp_path: Path, authority: CertificateAuthority) -> None:
    cluster = LocalCluster(tmp_path, "league", authority=authority)
    stranger = CertificateAuthority.create("CN=stranger")
    added = cluster.add({"node.attr.zone": "b"}, authority=stranger)
    founders = [f"127.0.0.1:{load(node.config)['transport.port']}" for node in cluster.nodes[:3]]
    assert (added.node_name, load(added.config)["discovery.seed_hosts"]) == ("league-4", founders)
    assert added.ca_file.read_bytes() == stranger.certificate_pem


def test_ports_are_not_those_of_outgoing_connections() -> None:
    ports = free_ports(12)
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len(set(ports)) == 12
    assert max(ports) < lowest


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_cluster_of_one_starts_sleeps_wakes_and_stops(tmp_path: Path, authority: CertificateAuthority) -> None:
    with LocalCluster(tmp_path, "league", nodes=1, authority=authority) as cluster:
        node = cluster.nodes[0]
        assert node.request("PUT", "/books/_doc/1", {"n": 1})[0] == 201
        nats, process = node.nats_pid(), node.process
        assert nats is not None
        assert process is not None
        assert node.signal_nats(signal.SIGSTOP)
        node.send_signal(signal.SIGSTOP)
        while (state(nats), state(process.pid)) != ("T", "T"):
            pass
        node.wake()
        assert node.request("GET", "/books/_doc/1")[0] == 200
        cluster.kill()
        while node.signal_nats(signal.SIGCONT):  # the kernel kills it when the node is gone, in its own time
            pass
        cluster.start()
        node.send_signal(signal.SIGSTOP)
        assert cluster.stop() == {"league-1": 0}
