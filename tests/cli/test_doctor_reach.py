"""The way to another cluster, with what goes wrong on it, over real sockets and real TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hanse import __version__, clock
from hanse.cli.doctor_reach import Ground, reach
from hanse.cli.findings import FAILS, Finding, Findings
from hanse.settings.registry import Settings
from hanse.tls.authority import CertificateAuthority
from hanse.tls.ssl_settings import TRANSPORT
from hanse.transport.actions import Origin
from hanse.transport.frames import HelloAck, encode_frame
from hanse.transport.hello import PREFACE, Hello
from hanse.transport.identity import Identity
from hanse.transport.server import TransportServer

OWN = Hello("here", "uuid-here", "n", "here-1", "e", __version__, "", ())
OSLO = Hello("oslo", "uuid-oslo", "n2", "oslo-1", "e2", __version__, "", ())
HOME, ABROAD = CertificateAuthority.create("CN=ca-home"), CertificateAuthority.create("CN=ca-oslo")
SETTING = "cluster.remote.oslo.seeds"


def ground(folder: Path, own: CertificateAuthority, *trusted: CertificateAuthority, **issue: Any) -> Ground:
    folder.mkdir()
    certificate, key = own.issue("node", **{"dns": ("localhost",), "ips": ("127.0.0.1",), **issue})
    (folder / "node.crt").write_bytes(certificate)
    (folder / "node.key").write_bytes(key)
    (folder / "trusted.crt").write_bytes(b"".join(one.certificate_pem for one in trusted))
    names = {"enabled": "true", "key": "node.key", "certificate": "node.crt", "certificate_authorities": "trusted.crt"}
    return Ground.of(Settings({f"{TRANSPORT}.{key}": value for key, value in names.items()}), folder, {})


async def never(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
    raise AssertionError


@asynccontextmanager
async def oslo(theirs: Ground, hello: Hello = OSLO) -> AsyncIterator[str]:
    server = TransportServer(lambda: hello, never, theirs.contexts)
    host, port = await server.start("127.0.0.1", 0)
    try:
        yield f"{host}:{port}"
    finally:
        await server.close()


async def found(address: str, ours: Ground, own: Hello = OWN) -> list[Finding]:
    findings = Findings()
    await reach(findings, "oslo", address, "", ours, own, SETTING)
    return findings.all


async def failure(address: str, ours: Ground, own: Hello = OWN) -> Finding:
    (failed,) = [one for one in await found(address, ours, own) if one.status == FAILS]
    return failed


async def test_all_holds(tmp_path: Path) -> None:
    async with oslo(ground(tmp_path / "oslo", ABROAD, HOME)) as address:
        seen = await found(address, ground(tmp_path / "home", HOME, ABROAD))
    assert [(one.check, one.status) for one in seen] == [
        ("name", "holds"),
        ("tcp", "holds"),
        ("tls", "holds"),
        ("clock", "holds"),
        ("hello", "holds"),
        ("clock skew", "holds"),
        ("version", "holds"),
    ]
    assert "node [oslo-1] of cluster [oslo] answers" in seen[4].detail


async def test_no_such_name_and_nobody_there(tmp_path: Path) -> None:
    ours = ground(tmp_path / "home", HOME, ABROAD)
    failed = await failure("no-such-host.invalid:9300", ours)
    assert (failed.check, SETTING in failed.mend) == ("name", True)
    async with oslo(ground(tmp_path / "oslo", ABROAD, HOME)) as address:
        pass
    failed = await failure(address, ours)
    assert failed.check == "tcp"
    assert "start the node there" in failed.mend


async def test_their_authority_is_not_trusted_here(tmp_path: Path) -> None:
    async with oslo(ground(tmp_path / "oslo", ABROAD, HOME)) as address:
        failed = await failure(address, ground(tmp_path / "home", HOME, HOME))
    assert failed.check == "tls"
    assert "Shown is [CN=node] from [CN=ca-oslo] for [DNS:localhost, IP:127.0.0.1]" in failed.detail
    assert "trusted here: [CN=ca-home]" in failed.detail
    assert "add the other cluster's CA" in failed.mend
    assert "trusted.crt" in failed.mend


async def test_our_authority_is_not_trusted_there(tmp_path: Path) -> None:
    async with oslo(ground(tmp_path / "oslo", ABROAD, ABROAD)) as address:
        failed = await failure(address, ground(tmp_path / "home", HOME, ABROAD))
    assert "does not trust the authority that signed this node's certificate" in failed.detail


@pytest.mark.parametrize(
    ("issue", "words", "mend"),
    [
        ({"now": datetime(2020, 1, 1, tzinfo=UTC), "days": 10}, "it has expired", "over there: hanse certutil cert"),
        ({"now": datetime(2090, 1, 1, tzinfo=UTC)}, "it is not valid yet", "set the clocks"),
        ({"ips": ("127.0.0.2",)}, "it is not valid for the name [127.0.0.1]", "verification_mode: certificate"),
    ],
)
async def test_a_certificate_that_does_not_hold(tmp_path: Path, issue: dict[str, Any], words: str, mend: str) -> None:
    async with oslo(ground(tmp_path / "oslo", ABROAD, HOME, **issue)) as address:
        failed = await failure(address, ground(tmp_path / "home", HOME, ABROAD))
    assert words in failed.detail
    assert mend in failed.mend


@pytest.mark.parametrize(("ahead_s", "words"), [(42, "[42s] ahead of ours"), (-42, "[42s] behind ours")])
async def test_clocks_that_do_not_agree(tmp_path: Path, ahead_s: int, words: str) -> None:
    class Fast(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            told = msgspec.structs.replace(OWN, clock_ms=clock.now_ms() + ahead_s * 1000)
            transport.write(PREFACE + encode_frame(HelloAck(told)))

    listener = await asyncio.get_running_loop().create_server(Fast, "127.0.0.1", 0)
    address = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    failed = {one.check: one for one in await found(address, Ground(None, None)) if one.status == FAILS}
    listener.close()
    assert words in failed["clock skew"].detail
    assert "set the clocks" in failed["clock skew"].mend


async def test_an_http_port(tmp_path: Path) -> None:
    class Http(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            assert isinstance(self.transport, asyncio.Transport)
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            self.transport.close()

    listener = await asyncio.get_running_loop().create_server(Http, "127.0.0.1", 0)
    address = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    failed = await failure(address, ground(tmp_path / "home", HOME, ABROAD))
    listener.close()
    assert "transport port" in failed.detail + failed.mend


async def test_a_way_back_and_another_release(tmp_path: Path) -> None:
    ours = ground(tmp_path / "home", HOME, ABROAD)
    async with oslo(
        ground(tmp_path / "oslo", ABROAD, HOME), Hello(*["oslo", "uuid-oslo", "n", "o", "e", "0.0.1", ""])
    ) as address:
        back = Hello("oslo", "uuid-oslo", "n", "o", "e", __version__, "", ())
        failed = [one for one in await found(address, ours, back) if one.status == FAILS]
    assert [one.check for one in failed] == ["hello", "version"]
    assert "is this cluster itself" in failed[0].detail
    assert "it runs [0.0.1]" in failed[1].detail
