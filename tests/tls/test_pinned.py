"""A fingerprint is enough to find the right authority, and only that one."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from hanse.errors import ConnectTransportError, SecurityError
from hanse.tls.authority import CertificateAuthority
from hanse.tls.pinned import pinned_call, pinned_context

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
    "shown",
    [FINGERPRINT, FINGERPRINT.upper(), ":".join(FINGERPRINT[at : at + 2] for at in range(0, 64, 2))],
    ids=["small", "capital", "colons"],
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


class Answering:
    """An HTTPS server for one request; remembers what it heard."""

    def __init__(self, folder: Path, answer: bytes) -> None:
        certificate, key = AUTHORITY.issue("node-1", dns=["elsewhere"])
        (folder / "node.pem").write_bytes(certificate + key)
        self.fingerprint = x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()
        self.heard = b""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "node.pem")
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Answering:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        plain, _ = self._listener.accept()
        with self._context.wrap_socket(plain, server_side=True) as connection:
            while (data := connection.recv(65536)) and not (self.heard + data).endswith(b"{}"):
                self.heard += data
            self.heard += data
            if self.heard:
                connection.sendall(self._answer)


def test_a_call_reaches_the_certificate_it_is_meant_for_whatever_its_name(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno"
    with Answering(tmp_path, answer) as server:
        called = pinned_call("127.0.0.1", server.port, server.fingerprint, "/path", b"{}", {"Authorization": "x"})
    assert called == (409, b"no")
    assert server.heard.startswith(b"POST /path HTTP/1.1")


def test_nothing_is_sent_to_another_certificate(tmp_path: Path) -> None:
    with Answering(tmp_path, b"") as server, pytest.raises(SecurityError, match="Nothing was sent"):
        pinned_call("127.0.0.1", server.port, FINGERPRINT, "/path", b"{}", {"Authorization": "x"})
    assert server.heard == b""


def test_a_call_that_nobody_answers(tmp_path: Path) -> None:
    with Answering(tmp_path, b"nonsense\r\n\r\n") as server, pytest.raises(ConnectTransportError, match="cannot call"):
        pinned_call("127.0.0.1", server.port, server.fingerprint, "/path", b"{}", {})
    with pytest.raises(ConnectTransportError, match="cannot call"):
        pinned_call("127.0.0.1", server.port, server.fingerprint, "/path", b"{}", {})
