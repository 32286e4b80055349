"""Trust in one authority that is known by its fingerprint only: what an enrollment token brings along.

A first connection, over which nothing is sent, learns the chain that the other side shows; when a certificate in it has
the fingerprint, a context is made that trusts that one alone and checks names as usual.
Tests: tests/tls/test_pinned.py.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from hanse.errors import ConnectTransportError

TIMEOUT_S = 10.0


def pinned_context(host: str, port: int, fingerprint: str, *, timeout_s: float = TIMEOUT_S) -> ssl.SSLContext:
    """A context for further connections. Raises ConnectTransportError when nobody there has the authority.

    `fingerprint` is the SHA-256 of the authority's certificate in hex, with or without colons.
    """
    wanted = fingerprint.replace(":", "").lower()
    for der in _shown_chain(host, port, timeout_s):
        try:
            certificate = x509.load_der_x509_certificate(der)
        except ValueError:
            continue
        if certificate.fingerprint(hashes.SHA256()).hex() == wanted:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_verify_locations(cadata=certificate.public_bytes(serialization.Encoding.DER))
            return context
    raise ConnectTransportError(
        f"[{host}:{port}] does not show a certificate authority with the SHA-256 fingerprint [{wanted}]"
    )


def _shown_chain(host: str, port: int, timeout_s: float) -> list[bytes]:
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout_s) as plain,
            unverified.wrap_socket(plain, server_hostname=host) as connection,
        ):
            return _chain_of(connection)
    except OSError as error:
        raise ConnectTransportError(f"cannot connect to [{host}:{port}]: {error.strerror or error}") from error


def _chain_of(connection: Any) -> list[bytes]:
    if hasattr(connection, "get_unverified_chain"):  # public since Python 3.13
        return list(connection.get_unverified_chain())
    found = connection._sslobj.get_unverified_chain() or ()
    return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in found]
