"""Who is let in on the transport port, and what both sides say when somebody is not."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanse.cli.local_cluster import LocalNode
from hanse.tls.authority import CertificateAuthority
from tests.journeys.world import ok, until


@pytest.fixture(scope="module")
def fortress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalNode, CertificateAuthority]]:
    authority = CertificateAuthority.create("CN=ca-fortress")
    with LocalNode(tmp_path_factory.mktemp("fortress"), "fortress", authority) as node:
        yield node, authority


def dial(node: LocalNode, folder: Path, authority: CertificateAuthority | None) -> bytes:
    """What a TLS client with a certificate of `authority` (or none) gets from the transport port."""
    host, _, port = node.transport_address.rpartition(":")
    context = ssl.create_default_context(cafile=str(node.ca_file))
    if authority is not None:
        certificate, key = authority.issue("visitor", dns=("localhost",), ips=("127.0.0.1",))
        (folder / "visitor.crt").write_bytes(certificate)
        (folder / "visitor.key").write_bytes(key)
        context.load_cert_chain(folder / "visitor.crt", folder / "visitor.key")
    with (
        socket.create_connection((host, int(port)), timeout=30) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as secured,
    ):
        secured.sendall(b"GET / HTTP/1.1\r\n\r\n")
        return secured.recv(4096)


def test_without_a_certificate_nobody_enters(fortress: tuple[LocalNode, CertificateAuthority], tmp_path: Path) -> None:
    node, _ = fortress
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"):
        dial(node, tmp_path, None)
    until(node.log_file.read_text, lambda text: "Empty client certificate chain" in text, "a log line")


def test_a_certificate_of_a_stranger_does_not_help(
    fortress: tuple[LocalNode, CertificateAuthority], tmp_path: Path
) -> None:
    node, _ = fortress
    with pytest.raises(ssl.SSLError, match=r"(?i)unknown.ca"):
        dial(node, tmp_path, CertificateAuthority.create("CN=ca-stranger"))


def test_http_on_the_transport_port_is_told_so(
    fortress: tuple[LocalNode, CertificateAuthority], tmp_path: Path
) -> None:
    node, authority = fortress
    assert b"This is not an HTTP port" in dial(node, tmp_path, authority)


def test_clusters_that_do_not_trust_each_other_say_why_on_both_sides(
    fortress: tuple[LocalNode, CertificateAuthority], tmp_path: Path
) -> None:
    node, _ = fortress
    with LocalNode(tmp_path, "stranger", CertificateAuthority.create("CN=ca-stranger")) as stranger:
        remote = {"seeds": [node.transport_address], "skip_unavailable": False}
        ok(stranger, "PUT", "/_cluster/settings", {"persistent": {"cluster": {"remote": {"fortress": remote}}}})
        info = until(
            lambda: stranger.request("GET", "/_remote/info")[1]["fortress"],
            lambda entry: "last_error" in entry,
            "the refusal to be told",
        )
        assert info["connected"] is False
        assert node.transport_address in info["last_error"]
        status, answer = stranger.request("GET", "/fortress:any/_search")
        assert status == 500
        assert answer["error"]["type"] in ("connect_transport_exception", "no_seed_node_left_exception")


def test_full_verification_checks_the_name_of_the_dialled_host(
    fortress: tuple[LocalNode, CertificateAuthority], tmp_path: Path
) -> None:
    """The certificate has no name for this address, so a dialler that checks names goes away."""
    _, authority = fortress
    elsewhere = LocalNode(tmp_path / "elsewhere", "elsewhere", authority, settings={"network.host": "127.0.0.2"})
    dialler = LocalNode(tmp_path / "dialler", "dialler", authority)
    elsewhere.start(wait=False)
    until(lambda: (elsewhere.folder / "logs" / "transport.ports").exists(), lambda there: there, "the node to serve")
    try:
        with dialler:
            remote = {"seeds": [elsewhere.transport_address]}
            ok(dialler, "PUT", "/_cluster/settings", {"persistent": {"cluster": {"remote": {"elsewhere": remote}}}})
            info = until(
                lambda: dialler.request("GET", "/_remote/info")[1]["elsewhere"],
                lambda entry: "last_error" in entry,
                "the name mismatch",
            )
            assert "127.0.0.2" in info["last_error"]
            assert info["connected"] is False
    finally:
        elsewhere.stop()
