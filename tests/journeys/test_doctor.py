"""An operator asks the doctor: all is well, then one thing after the other is broken and named."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from hanse.cli.local_cluster import LocalNode
from tests.journeys.world import Pair, ok, until


def doctor(node: LocalNode, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, the findings that do not hold by check, and everything that was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "hanse", "doctor", "--config", str(node.config), *options],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if "--json" not in options:
        return done.returncode, {}, done.stdout
    report = json.loads(done.stdout)
    assert report["holds"] is (done.returncode == 0)
    return done.returncode, {one["check"]: one for one in report["findings"] if one["status"] == "fails"}, done.stdout


def test_from_sound_to_broken_and_back(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    try:
        pair.start().connect()
        ok(pair.local, "PUT", "/_security/role/reader", {})
        ok(pair.local, "PUT", "/_security/user/ada", {"password": "secret-of-ada", "roles": ["reader"]})
        ok(pair.remote, "PUT", "/_security/role/reader", {"indices": [{"names": ["logs"], "privileges": ["read"]}]})
        ok(pair.remote, "PUT", "/logs", {"settings": {"number_of_replicas": 0}})
        body = {"remote_cluster": "remote", "leader_index": "logs"}
        ok(pair.local, "PUT", "/copy/_ccr/follow?wait_for_active_shards=1", body)
        status, failed, printed = doctor(pair.local, "--as", "ada", "--json")
        assert (status, failed) == (0, {}), printed
        assert "[copy] follows" in printed
        assert "[ada] may search [logs]" in printed
        assert "[ada] may follow nothing there, if it is to replicate" in printed

        # Through a ceiling the other cluster still tells what concerns the roles that are sent.
        peer = {"match": {"any": [{"issuer": "CN=ca-home"}]}}
        limits = {"roles": ["reader"], "search": [{"names": ["logs"]}], "replication": [{"names": ["logs"]}]}
        ok(pair.remote, "PUT", "/_security/remote_peer/home", {**peer, "limits": {**limits, "roles": ["other"]}})
        status, failed, printed = doctor(pair.local, "--as", "ada", "--json")
        assert set(failed) == {"roles", "privileges"}
        assert "its [limits.roles] accepts only [other]" in failed["roles"]["detail"]
        assert "PUT /_security/remote_peer/home" in failed["roles"]["mend"]
        ok(pair.remote, "PUT", "/_security/remote_peer/home", {**peer, "limits": limits})
        entry = {"names": ["logs"], "privileges": ["read", "monitor"]}
        ok(pair.remote, "PUT", "/_security/role/reader", {"cluster": ["read_ccr"], "indices": [entry]})
        status, failed, printed = doctor(pair.local, "--as", "ada", "--json")
        assert "held against the ceiling of peer [home]" in printed
        assert "[ada] may search [logs]" in printed
        assert "[ada] may follow [logs]" in printed
        ok(pair.remote, "DELETE", "/_security/remote_peer/home")
        status, _, table = doctor(pair.local, "--remote", "remote")
        assert status == 0
        assert "holds" in table

        host, _, port = pair.local.transport_address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as stranger:
            stranger.sendall(b"neither TLS nor HTTP")
            while stranger.recv(1024):
                pass
        status, failed, printed = doctor(pair.local, "--json")
        assert (status, failed) == (0, {}), "whom this node refused is no fault of its own"
        assert "this node refused [127.0.0.1:" in printed

        ok(pair.local, "POST", "/copy/_ccr/pause_follow")
        ok(pair.remote, "DELETE", "/_security/role/reader")
        status, failed, _ = doctor(pair.local, "--as", "ada", "--json")
        assert status == 1
        assert set(failed) == {"roles", "privileges", "follower"}
        assert failed["follower"]["mend"] == "POST /copy/_ccr/resume_follow"
        assert failed["roles"]["mend"].startswith("over there: PUT /_security/role/reader")
        assert doctor(pair.local, "--as", "nobody", "--json")[1]["user"]["mend"].startswith(
            "PUT /_security/user/nobody"
        )
        assert doctor(pair.local, "--remote", "moon", "--json")[1]["settings"]["where"] == "moon"

        http = pair.remote.url.removeprefix("https://")
        wrong = {"persistent": {"cluster.remote.wrong.seeds": [http]}}
        ok(pair.local, "PUT", "/_cluster/settings", wrong)
        status, failed, _ = doctor(pair.local, "--remote", "wrong", "--json")
        assert status == 1
        assert "HTTP port" in failed["hello"]["detail"]

        pair.remote.kill()
        until(lambda: ok(pair.local, "GET", "/_remote/info")["remote"], lambda info: "last_error" in info, "the loss")
        status, failed, _ = doctor(pair.local, "--remote", "remote", "--json")
        assert status == 1
        assert {"tcp", "connection"} <= set(failed)
        assert "start the node there" in failed["tcp"]["mend"]
    finally:
        pair.stop()


def test_without_a_running_node_it_says_what_it_left_out(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    with pair.remote:
        settings = pair.local.config / "elasticsearch.yml"
        seeds = json.dumps([pair.remote.transport_address])
        settings.write_text(settings.read_text() + f"cluster.remote.abroad.seeds: {seeds}\n")
        status, failed, printed = doctor(pair.local, "--json")
        assert (status, failed) == (0, {}), printed
        assert "left out: connection, rights and followers" in printed
        pair.local.trust_file.write_bytes(pair.local.ca_file.read_bytes())
        status, failed, _ = doctor(pair.local, "--json")
        assert status == 1
        assert "Shown is [CN=abroad-1] from [CN=ca-abroad]" in failed["tls"]["detail"]
        assert "add the other cluster's CA" in failed["tls"]["mend"]
