"""Certificates are renewed and authorities exchanged while both clusters search each other and replicate."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hanse.cli.local_cluster import LocalNode
from hanse.tls.authority import CertificateAuthority
from tests.journeys.world import Pair, ok, until


class Load:
    """Searches across the border and writes to the leader, one after the other, and keeps what failed."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._stopping = threading.Event()
        self.searches = 0
        self.written = 0
        self.failures: list[Any] = []

    @contextmanager
    def running(self) -> Iterator[Load]:
        workers = [threading.Thread(target=work) for work in (self._search, self._write)]
        for worker in workers:
            worker.start()
        try:
            yield self
        finally:
            self._stopping.set()
            for worker in workers:
                worker.join()

    def goes_on(self) -> None:
        searches, written = self.searches, self.written
        until(lambda: (self.searches, self.written), lambda now: now[0] > searches + 3 and now[1] > written + 3, "load")

    def _search(self) -> None:
        while not self._stopping.is_set():
            status, answer = self._pair.local.request("GET", "/remote:leader/_search?size=1")
            if status != 200 or answer["_clusters"]["successful"] != 1:
                self.failures.append(answer)
            self.searches += 1

    def _write(self) -> None:
        while not self._stopping.is_set():
            status, answer = self._pair.remote.request("PUT", f"/leader/_doc/{self.written}", {"n": self.written})
            if status != 201:
                self.failures.append(answer)
            self.written += 1


def renew(node: LocalNode, authority: CertificateAuthority) -> str:
    """A new key and certificate in place of the old ones; the serial number to look for."""
    certificate, key = authority.issue(node.node_name, dns=("localhost",), ips=("127.0.0.1",))
    (node.config / "node.crt").write_bytes(certificate)
    (node.config / "node.key").write_bytes(key)
    report = ok(node, "POST", "/_ssl/reload")
    assert report["_nodes"] == {"total": 1, "successful": 1, "failed": 0}, report
    return own_serial(node)


def trust(node: LocalNode, *authorities: CertificateAuthority) -> None:
    """Written in place, to be noticed by the node itself."""
    node.trust_file.write_bytes(b"".join(one.certificate_pem for one in authorities))
    wanted = {f"{one.certificate.serial_number:x}" for one in authorities}
    until(lambda: trusted_serials(node), lambda have: have == wanted, "the new trust to be taken up")


def own_serial(node: LocalNode) -> str:
    return next(one["serial_number"] for one in ok(node, "GET", "/_ssl/certificates") if one["has_private_key"])


def trusted_serials(node: LocalNode) -> set[str]:
    shown = ok(node, "GET", "/_ssl/certificates")
    return {one["serial_number"] for one in shown if one["path"] == "trusted.crt"}


def documents(node: LocalNode, index: str) -> int:
    ok(node, "POST", f"/{index}/_refresh")
    return int(ok(node, "GET", f"/{index}/_count")["count"])


def test_leaf_then_authority_under_load(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    home, old = (CertificateAuthority.create(f"CN=ca-{name}") for name in ("home-2", "abroad"))
    new = CertificateAuthority.create("CN=ca-abroad")  # of the same name, as operators do
    for node, own in ((pair.local, home), (pair.remote, old)):
        certificate, key = own.issue(node.node_name, dns=("localhost",), ips=("127.0.0.1",))
        (node.config / "node.crt").write_bytes(certificate)
        (node.config / "node.key").write_bytes(key)
        node.ca_file.write_bytes(own.certificate_pem)
        node.trust_file.write_bytes(home.certificate_pem + old.certificate_pem)
    try:
        pair.start().connect()
        ok(pair.remote, "PUT", "/leader", {"settings": {"number_of_replicas": 0}})
        follow = {"remote_cluster": "remote", "leader_index": "leader"}
        ok(pair.local, "PUT", "/copy/_ccr/follow?wait_for_active_shards=1", follow)
        load = Load(pair)
        with load.running():
            load.goes_on()
            # The leaf, on both sides.
            for node, own in ((pair.local, home), (pair.remote, old)):
                before = own_serial(node)
                assert renew(node, own) != before
            load.goes_on()
            # The authority of one side: first both are trusted, everywhere.
            pair.remote.ca_file.write_bytes(old.certificate_pem + new.certificate_pem)
            trust(pair.local, home, old, new)
            trust(pair.remote, home, old, new)
            renew(pair.remote, new)
            # Its own old connections are still vouched for by the old authority; new ones by the new.
            load.goes_on()
            assert ok(pair.local, "GET", "/_remote/info")["remote"]["connected"] is True
            assert load.failures == []
        until(lambda: documents(pair.local, "copy"), lambda have: have == load.written, "the copy")
        # The old one goes: nobody who shows the new certificate is kept out, what rests on the old one is cut.
        trust(pair.remote, home, new)
        trust(pair.local, home, new)
        pair.wait_connected()
        until(
            lambda: pair.local.request("GET", "/remote:leader/_count")[0], lambda status: status == 200, "a new search"
        )
        ok(pair.remote, "PUT", "/leader/_doc/last", {"n": -1})
        until(lambda: documents(pair.local, "copy"), lambda have: have == load.written + 1, "the copy")
        # Removing an authority cuts its peers: now nobody vouches for the other side any more.
        trust(pair.local, home)
        info = until(
            lambda: ok(pair.local, "GET", "/_remote/info")["remote"], lambda info: not info["connected"], "the cut"
        )
        until(lambda: ok(pair.local, "GET", "/_remote/info")["remote"], lambda info: "last_error" in info, "the reason")
        assert info["connected"] is False
        assert "no longer trusted" in pair.local.log_file.read_text()
    finally:
        pair.stop()


CUT_WITHIN_S = 5.0
"""What was promised for a loaded node; the output tells what it took."""


class Searches:
    """Searches across the border from several threads, and when each of them ended well."""

    def __init__(self, node: LocalNode, threads: int = 4) -> None:
        self._node = node
        self._stopping = threading.Event()
        self._workers = [threading.Thread(target=self._search) for _ in range(threads)]
        self.answered_at: list[float] = []
        self.refused = 0

    def __enter__(self) -> Searches:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for worker in self._workers:
            worker.join()

    def _search(self) -> None:
        while not self._stopping.is_set():
            status, _ = self._node.request("GET", "/remote:leader/_search?size=1")
            if status == 200:
                self.answered_at.append(time.monotonic())
            else:
                self.refused += 1

    def go_on(self) -> None:
        before = len(self.answered_at)
        until(lambda: len(self.answered_at), lambda now: now > before + 20, "searches to be answered")

    def cut_after_s(self, removed_at: float) -> float:
        """From the removal to the last answer, once nothing is answered any more."""
        before = self.refused
        until(lambda: self.refused, lambda now: now > before + 20, "searches to be refused")
        return max(0.0, self.answered_at[-1] - removed_at)


def test_peers_are_cut_within_seconds_of_their_authority_under_a_load(tmp_path: Path) -> None:
    """Nobody is asked to reload: the files are written and the nodes notice. Removed on either side of a connection."""
    pair = Pair(tmp_path)
    try:
        pair.start().connect()
        ok(pair.remote, "PUT", "/leader/_doc/1?refresh=true", {"n": 1})
        with Searches(pair.local) as searches:
            for what, node in (("the side that accepts", pair.remote), ("the side that dials", pair.local)):
                searches.go_on()
                both = node.trust_file.read_bytes()
                removed_at = time.monotonic()
                node.trust_file.write_bytes(node.ca_file.read_bytes())
                took_s = searches.cut_after_s(removed_at)
                print(f"{what} removed the authority: the last search was answered {took_s:.2f} s later")
                assert took_s < CUT_WITHIN_S
                node.trust_file.write_bytes(both)
                pair.wait_connected()
    finally:
        pair.stop()


def test_a_hangup_signal_takes_files_up_where_nobody_watches_them(tmp_path: Path) -> None:
    authority = CertificateAuthority.create("CN=ca")
    with LocalNode(tmp_path, "home", authority, settings={"resource.reload.enabled": False}) as node:
        before = own_serial(node)
        certificate, key = authority.issue(node.node_name, dns=("localhost",), ips=("127.0.0.1",))
        (node.config / "node.crt").write_bytes(certificate)
        (node.config / "node.key").write_bytes(key)
        assert own_serial(node) == before
        assert node.process is not None
        node.process.send_signal(signal.SIGHUP)
        until(lambda: own_serial(node), lambda serial: serial != before, "the new certificate")
        assert node.process.poll() is None


def test_a_wrong_file_is_reported_everywhere_and_used_nowhere(tmp_path: Path) -> None:
    authority = CertificateAuthority.create("CN=ca")
    with LocalNode(tmp_path, "home", authority) as node:
        before = own_serial(node)
        (node.config / "node.key").write_bytes(authority.issue("another")[1])
        health = until(
            lambda: ok(node, "GET", "/_health_report/tls_certificates")["indicators"]["tls_certificates"],
            lambda indicator: indicator["status"] == "yellow",
            "the wrong key to be noticed",
        )
        assert "does not belong" in next(iter(health["details"]["refused_reloads"].values()))
        assert "does not belong" in ok(node, "GET", "/_ssl/certificates")[0]["reload_error"]
        report = ok(node, "POST", "/_ssl/reload")
        assert report["_nodes"]["failed"] == 1
        assert own_serial(node) == before
        stats = ok(node, "GET", "/_nodes/stats/tls")["nodes"]
        assert next(iter(stats.values()))["tls"]["refused_reloads"] == 2
        assert "the old ones stay in use" in node.log_file.read_text()
