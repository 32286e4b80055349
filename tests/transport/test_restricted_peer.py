"""A peer that trust restrictions refuse is told so in the transport's own words, before anything of it is read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog

from hanse.errors import ConnectTransportError
from hanse.settings.registry import Settings
from hanse.tls.authority import CertificateAuthority, Names
from hanse.tls.contexts import TlsContexts
from hanse.transport.connection import connect

from .conftest import PREFIX, StartServer, hello


def contexts(folder: Path, authority: CertificateAuthority, name: str, allowed: str | None = None) -> TlsContexts:
    folder.mkdir()
    issued = authority.issue_for(Names(name, ("localhost",), ("127.0.0.1",), (f"{name}.node",)))
    (folder / "node.crt").write_bytes(issued.certificate_pem)
    (folder / "node.key").write_bytes(issued.key_pem())
    (folder / "ca.crt").write_bytes(authority.certificate_pem)
    values = {"enabled": "true", "key": "node.key", "certificate": "node.crt", "certificate_authorities": "ca.crt"}
    if allowed is not None:
        (folder / "restrictions.yml").write_text(f"trust.subject_name: ['{allowed}']\n")
        values["trust_restrictions.path"] = "restrictions.yml"
    return TlsContexts.from_settings(Settings({f"{PREFIX}.{key}": v for key, v in values.items()}), PREFIX, folder)


async def test_a_refused_server_is_told_by_the_node_that_dialled_it(tmp_path: Path, start_server: StartServer) -> None:
    authority = CertificateAuthority.create("CN=ca")
    _, port = await start_server(nothing, tls=contexts(tmp_path / "foe", authority, "foe"))
    own = contexts(tmp_path / "judge", authority, "judge", "friend*")
    with structlog.testing.capture_logs() as logs:
        with pytest.raises(ConnectTransportError, match="match none of"):
            await connect("127.0.0.1", port, hello("judge"), own)
        told = "the node that dialled refuses this one: the certificate [CN=foe] is of a trusted authority"
        while not any(line["event"].startswith(told) for line in logs):
            await asyncio.sleep(0.001)


async def nothing(*_: object) -> bytes:
    raise AssertionError("a refused peer reached a handler")


async def test_a_refused_node_is_told_and_a_listed_one_is_let_in(tmp_path: Path, start_server: StartServer) -> None:
    authority = CertificateAuthority.create("CN=ca")
    server, port = await start_server(nothing, tls=contexts(tmp_path / "judge", authority, "judge", "friend*"))
    with pytest.raises(ConnectTransportError) as raised:
        await connect("127.0.0.1", port, hello("foe"), contexts(tmp_path / "foe", authority, "foe"))
    assert "its names [foe.node] match none of the trust restrictions of this node" in raised.value.reason
    assert server.connection_count == 0
    assert server._contexts is not None
    assert server._contexts.refused_handshakes >= 1
    friend = await connect("127.0.0.1", port, hello("friend"), contexts(tmp_path / "friend", authority, "friend"))
    assert friend.is_open
    await friend.close()
