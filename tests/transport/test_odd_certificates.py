"""Certificates of a trusted authority that OpenSSL takes and nobody else can read: no one is let in by one."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import structlog
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.security.certificates import Party, name

from hanse.settings.registry import Settings
from hanse.tls.contexts import TlsContexts
from hanse.transport.connection import connect
from hanse.transport.hello import DiallingHello

from .conftest import PREFIX, StartServer, hello


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def mistyped(party: Party, by: Party) -> bytes:
    """The party's certificate with a NUL in a PrintableString, which no library writes, signed again."""
    genuine = party.certificate
    tbs = genuine.tbs_certificate_bytes
    value = b"\x0c\x06node\0x"
    assert tbs.count(value) == 1
    tbs = tbs.replace(value, b"\x13" + value[1:])
    ecdsa_with_sha256 = bytes.fromhex("300a06082a8648ce3d040302")
    signature = by.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return _der(0x30, tbs + ecdsa_with_sha256 + _der(0x03, b"\0" + signature))


def private_pem(party: Party) -> bytes:
    return party.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def contexts(folder: Path, authority: Party) -> TlsContexts:
    folder.mkdir()
    node = authority.issue(name("node"), "localhost", "127.0.0.1")
    (folder / "ca.crt").write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "node.crt").write_bytes(node.certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "node.key").write_bytes(private_pem(node))
    values = {
        "enabled": "true",
        "verification_mode": "certificate",
        "key": "node.key",
        "certificate": "node.crt",
        "certificate_authorities": "ca.crt",
    }
    return TlsContexts.from_settings(Settings({f"{PREFIX}.{key}": v for key, v in values.items()}), PREFIX, folder)


def odd_client(folder: Path, authority: Party) -> ssl.SSLContext:
    party = authority.issue(name("node\0x"))
    (folder / "odd.crt").write_text(ssl.DER_cert_to_PEM_cert(mistyped(party, authority)))
    (folder / "odd.key").write_bytes(private_pem(party))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(folder / "odd.crt", folder / "odd.key")
    return context


async def test_it_is_refused_on_the_transport_and_others_are_served(tmp_path: Path, start_server: StartServer) -> None:
    authority = Party.authority(name("ca"))
    own = contexts(tmp_path / "node", authority)
    asked: list[str] = []

    async def answer(action: str, *_: object) -> bytes:
        asked.append(action)
        return b""

    server, port = await start_server(answer, tls=own)
    with structlog.testing.capture_logs() as logs:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=odd_client(tmp_path, authority))
        writer.write(DiallingHello(hello("odd")).start().data)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
    assert server.connection_count == 0
    (event,) = (line["event"] for line in logs if line["log_level"] == "warning")
    assert event.startswith("failed to establish trust with client at [127.0.0.1:")
    assert event.endswith("the client provided a certificate that cannot be read; issue it a proper one")
    assert own.refused_handshakes == 1
    good = await connect("127.0.0.1", port, hello("good"), own)
    assert good.is_open
    await good.close()
    assert asked == []
