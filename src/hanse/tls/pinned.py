"""Trust in what is known by its fingerprint only: what an enrollment token or an invitation brings along.

An authority (`pinned_context`): a first connection, over which nothing is sent, learns the chain that the other side
shows; when a certificate in it has the fingerprint, a context is made that trusts that one alone and checks names as
usual. A node's own certificate (`pinned_call`): nothing is sent before the other side has shown that very one.
Tests: tests/tls/test_pinned.py.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import ssl
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from hanse.errors import ConnectTransportError, SecurityError

TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 1024 * 1024


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


def pinned_call(
    host: str,
    port: int,
    certificate_sha256: str,
    path: str,
    body: bytes,
    headers: dict[str, str],
    *,
    timeout_s: float = TIMEOUT_S,
) -> tuple[int, bytes]:
    """Posts JSON; status and body. Raises SecurityError for another certificate, ConnectTransportError for none.

    The name does not count: the fingerprint says more than it. Blocks, so it belongs into a thread.
    """
    connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=_unverified())
    try:
        connection.connect()
        shown = connection.sock.getpeercert(binary_form=True) or b""
        found = hashlib.sha256(shown).hexdigest()
        if not hmac.compare_digest(found, certificate_sha256):
            raise SecurityError(
                f"[{host}:{port}] shows a certificate with the SHA-256 fingerprint [{found}], expected is "
                f"[{certificate_sha256}]: another node answers there, or somebody stands in between. Nothing was sent"
            )
        connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ConnectTransportError(f"cannot call [{host}:{port}]: {why}") from error
    finally:
        connection.close()


def _shown_chain(host: str, port: int, timeout_s: float) -> list[bytes]:
    try:
        with (
            socket.create_connection((host, port), timeout_s) as plain,
            _unverified().wrap_socket(plain, server_hostname=host) as connection,
        ):
            return _chain_of(connection)
    except OSError as error:
        raise ConnectTransportError(f"cannot connect to [{host}:{port}]: {error.strerror or error}") from error


def _unverified() -> ssl.SSLContext:
    """For callers that look at the certificate themselves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _chain_of(connection: Any) -> list[bytes]:
    if hasattr(connection, "get_unverified_chain"):  # public since Python 3.13
        return list(connection.get_unverified_chain())
    found = connection._sslobj.get_unverified_chain() or ()
    return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in found]
