"""Real certificates and real servers on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trustme

from hanse.settings.registry import Settings
from hanse.tls.contexts import TlsContexts
from hanse.transport.hello import Hello
from hanse.transport.server import OnRequest, TransportServer

PREFIX = "xpack.security.transport.ssl"


def hello(name: str = "node-1", cluster: str = "hanse") -> Hello:
    return Hello(
        cluster, f"uuid-of-{cluster}", f"id-of-{name}", name, f"ephemeral-{name}", "9.1.0", "127.0.0.1:9300", ("data",)
    )


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


def write_contexts(folder: Path, issuer: trustme.CA, trusted: trustme.CA, *names: str) -> TlsContexts:
    folder.mkdir(parents=True, exist_ok=True)
    certificate = issuer.issue_cert(*(names or ("localhost", "127.0.0.1")), key_type=trustme.KeyType.ECDSA)
    (folder / "node.key").write_bytes(certificate.private_key_pem.bytes())
    (folder / "node.crt").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    (folder / "ca.crt").write_bytes(trusted.cert_pem.bytes())
    values = {
        f"{PREFIX}.enabled": "true",
        f"{PREFIX}.key": "node.key",
        f"{PREFIX}.certificate": "node.crt",
        f"{PREFIX}.certificate_authorities": "ca.crt",
    }
    return TlsContexts.from_settings(Settings(values), PREFIX, folder)


@pytest.fixture
def contexts(tmp_path: Path, authority: trustme.CA) -> TlsContexts:
    return write_contexts(tmp_path / "certs", authority, authority)


StartServer = Callable[..., Awaitable[tuple[TransportServer, int]]]


@pytest.fixture
async def start_server(contexts: TlsContexts) -> AsyncIterator[StartServer]:
    """`await start_server(on_request)` gives a server with mutual TLS and its port; all are closed at the end."""
    servers: list[TransportServer] = []

    async def start(
        on_request: OnRequest, *, tls: TlsContexts | None = contexts, own: Hello | None = None
    ) -> tuple[TransportServer, int]:
        server = TransportServer(lambda: own or hello(), on_request, tls)
        servers.append(server)
        _, port = await server.start("127.0.0.1", 0)
        return server, port

    yield start
    for server in servers:
        await server.close()
