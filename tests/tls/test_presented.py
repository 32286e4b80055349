"""What is kept of a client that a server refuses, over memory BIOs with real certificates."""

from __future__ import annotations

import gc
import ssl

import pytest
from cryptography.hazmat.primitives import hashes

from hanse.tls import presented
from hanse.tls.contexts import TlsContexts
from hanse.tls.presented import leaf_of, presented_certificate

from .conftest import LONG_AGO, Place

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def handshake(server: TlsContexts, client: ssl.SSLContext, version: ssl.TLSVersion) -> tuple[ssl.SSLObject, str]:
    """The server's end, and what it made of the client."""
    client.minimum_version = client.maximum_version = version
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.server().wrap_bio(to_server, to_client, server_side=True),
    ]
    outcome = ["", ""]
    for _ in range(4):
        for at, end in enumerate(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                outcome[at] = outcome[at] or error.reason
    return ends[1], outcome[1]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("issue", [{}, {"now": LONG_AGO, "days": 10}])
def test_whose_certificate_was_refused(place: Place, version: ssl.TLSVersion, issue: dict[str, object]) -> None:
    server = place.node("berlin", "ca-berlin")
    client = place.node("rogue", "ca-rogue" if not issue else "ca-berlin", "ca-berlin", issue=issue)
    end, outcome = handshake(server, client.client(), version)
    assert outcome == "CERTIFICATE_VERIFY_FAILED"
    seen = presented_certificate(end)
    assert seen is not None
    assert (seen.subject, seen.dns_names, seen.ip_addresses) == ("CN=rogue", ("localhost",), ("127.0.0.1",))
    assert seen.fingerprint_sha256 == client.identity[0].fingerprint(hashes.SHA256()).hex()
    assert presented_certificate(end) is None  # told once


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_kept_of_a_client_that_is_let_in_or_shows_nothing(place: Place, version: ssl.TLSVersion) -> None:
    server = place.node("berlin", "ca")
    before = len(presented._kept)
    end, outcome = handshake(server, place.node("paris", "ca").client(), version)
    assert outcome == ""
    assert end.getpeercert(binary_form=True)
    assert presented_certificate(end) is None
    bare = ssl.create_default_context(cadata=place.authority("ca").certificate_pem.decode())
    end, outcome = handshake(server, bare, version)
    assert outcome == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    assert presented_certificate(end) is None
    assert len(presented._kept) == before


def test_what_was_not_asked_for_goes_with_the_connection(place: Place) -> None:
    gc.collect()
    before = len(presented._kept)
    server, client = place.node("berlin", "ca-berlin"), place.node("rogue", "ca-rogue", "ca-berlin")
    end, _ = handshake(server, client.client(), ssl.TLSVersion.TLSv1_3)
    assert len(presented._kept) == before + 1
    del end
    gc.collect()
    assert len(presented._kept) == before


def message(leaf: bytes, context: bytes | None) -> bytes:
    entry = len(leaf).to_bytes(3) + leaf
    body = (b"" if context is None else bytes([len(context)]) + context) + len(entry).to_bytes(3) + entry
    return b"\x0b" + len(body).to_bytes(3) + body


def test_messages() -> None:
    assert leaf_of(message(b"leaf", None), is_tls_1_3=False) == b"leaf"
    assert leaf_of(message(b"leaf", b""), is_tls_1_3=True) == b"leaf"
    assert leaf_of(message(b"leaf", b"abc"), is_tls_1_3=True) == b"leaf"
    assert leaf_of(message(b"", None), is_tls_1_3=False) is None
    assert leaf_of(message(b"x" * (presented.LEAF_BYTES_MAX + 1), None), is_tls_1_3=False) is None
    whole = message(b"leaf", b"")
    assert all(leaf_of(whole[:length], is_tls_1_3=True) is None for length in range(len(whole)))
