"""A fingerprint is enough to find the right authority, and only that one."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from hanse.errors import ConnectTransportError
from hanse.tls.authority import CertificateAuthority
from hanse.tls.pinned import pinned_context

AUTHORITY = CertificateAuthority.create("CN=Harbour")
FINGERPRINT = AUTHORITY.certificate.fingerprint(hashes.SHA256()).hex()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A server that shows its certificate and its authority's, and says hello."""
    certificate, key = AUTHORITY.issue("node-1", ips=["127.0.0.1"])
    (tmp_path / "chain.pem").write_bytes(certificate + AUTHORITY.certificate_pem + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    connection.sendall(b"hello")
            except OSError:
                plain.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.mark.parametrize(
    "shown", [FINGERPRINT, FINGERPRINT.upper(), ":".join(FINGERPRINT[at : at + 2] for at in range(0, 64, 2))]
)
def test_the_authority_is_found_and_names_are_checked(port: int, shown: str) -> None:
    context = pinned_context("127.0.0.1", port, shown)
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        assert connection.recv(5) == b"hello"
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
        context.wrap_socket(plain, server_hostname="other.example"),
    ):
        pass


def test_another_authority_is_refused(port: int) -> None:
    other = CertificateAuthority.create("CN=Harbour").certificate.fingerprint(hashes.SHA256()).hex()
    with pytest.raises(ConnectTransportError, match="does not show a certificate authority with the SHA-256"):
        pinned_context("127.0.0.1", port, other)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ConnectTransportError, match=rf"cannot connect to \[127.0.0.1:{port}\]"):
        pinned_context("127.0.0.1", port, FINGERPRINT)
