"""Files that change while a node runs: good ones are taken up, bad ones are reported and change nothing."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from hanse.errors import SettingsError
from hanse.settings.registry import Settings
from hanse.tls import endpoints
from hanse.tls.contexts import TlsContexts
from hanse.tls.identity import PeerCertificate, peer_certificate
from hanse.tls.reload import Reloader
from hanse.tls.ssl_settings import TRANSPORT

from .conftest import FAR_AHEAD, LONG_AGO, Place

NO_WAIT = Settings({"resource.reload.interval.high": "1ms"})


@dataclass(eq=False)
class Held:
    peer_certificate: PeerCertificate | None
    said: list[str] = field(default_factory=list)

    def cut(self, sentence: str) -> None:
        self.said.append(sentence)


class Noting(asyncio.Protocol):
    """Keeps what the handshake proved."""

    def __init__(self) -> None:
        self.peer: PeerCertificate | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.peer = peer_certificate(transport)
        assert isinstance(transport, asyncio.Transport)
        transport.close()


async def dialled(contexts: TlsContexts, server: TlsContexts) -> PeerCertificate:
    """What `contexts` learn of `server` in a real handshake."""
    listener = await endpoints.listen(Noting, "127.0.0.1", 0, server)
    port = listener.sockets[0].getsockname()[1]
    transport, app = await endpoints.dial(Noting, "127.0.0.1", port, contexts)
    transport.abort()
    listener.close()
    assert app.peer is not None
    return app.peer


def serial(contexts: TlsContexts) -> int:
    return contexts.identity[0].serial_number


async def test_a_new_certificate_is_taken_up_and_nobody_is_cut(place: Place) -> None:
    contexts = place.node("berlin", "ca")
    before = serial(contexts)
    held = Held(await dialled(contexts, contexts))
    contexts.hold(held)
    place.write("berlin", "ca")
    (outcome,) = await Reloader([contexts], Settings({})).reload()
    assert (outcome.prefix, outcome.changed, outcome.connections_cut) == (TRANSPORT, ("identity",), 0)
    assert serial(contexts) != before
    assert (contexts.reload_problem, held.said) == (None, [])
    assert set(outcome.files) == {place.folder / name for name in ("berlin.key", "berlin.crt", "ca.crt")}


async def test_an_authority_that_is_no_longer_trusted_takes_its_peers_along(place: Place) -> None:
    contexts = place.node("berlin", "ca", "ca", "other")
    friend = Held(await dialled(contexts, contexts))
    stranger = Held(await dialled(contexts, place.node("oslo", "other", "ca")))
    for one in (friend, stranger, Held(None)):
        contexts.hold(one)
    (place.folder / "other.crt").write_bytes(place.authority("ca").certificate_pem)
    (outcome,) = await Reloader([contexts], Settings({})).reload()
    assert (outcome.changed, outcome.connections_cut) == (("trust",), 1)
    assert friend.said == []
    assert stranger.said == [
        f"the authority that vouched for the certificate [CN=oslo] is no longer trusted in [{TRANSPORT}]"
    ]
    assert contexts.cut_untrusted() == 0


async def test_an_authority_of_the_same_name_is_another_one(place: Place) -> None:
    contexts = place.node("berlin", "ca")
    held = Held(await dialled(contexts, contexts))
    contexts.hold(held)
    del place.authorities["ca"]
    place.write("berlin", "ca")
    (outcome,) = await Reloader([contexts], Settings({})).reload()
    assert (outcome.changed, outcome.connections_cut) == (("identity", "trust"), 1)


@pytest.mark.parametrize("fault", ["expired", "not yet valid", "other key", "not there", "no certificate"])
async def test_files_that_cannot_be_used_leave_the_old_ones(place: Place, fault: str) -> None:
    contexts = place.node("berlin", "ca")
    before, server = serial(contexts), contexts.server()
    good = (place.folder / "berlin.crt").read_bytes()
    sentence = {
        "expired": "has expired on",
        "not yet valid": "is not valid before",
        "other key": "does not belong to the first certificate",
        "not there": "the file does not exist",
        "no certificate": "does not contain any readable certificate",
    }[fault]
    key = (place.folder / "berlin.key").read_bytes()
    match fault:
        case "expired":
            place.write("berlin", "ca", now=LONG_AGO, days=10)
        case "not yet valid":
            place.write("berlin", "ca", now=FAR_AHEAD)
        case "other key":
            place.write("berlin", "ca")
            (place.folder / "berlin.key").write_bytes(key)
        case "not there":
            (place.folder / "berlin.crt").unlink()
        case "no certificate":
            (place.folder / "berlin.crt").write_text("none")
    reloader = Reloader([contexts], Settings({}))
    (outcome,) = await reloader.reload()
    assert outcome.problem is not None
    assert sentence in outcome.problem
    assert (outcome.changed, contexts.reload_problem) == ((), outcome.problem)
    assert serial(contexts) == before
    assert contexts.server() is server
    (place.folder / "berlin.crt").write_bytes(good)
    (place.folder / "berlin.key").write_bytes(key)
    (outcome,) = await reloader.reload()
    assert (outcome.problem, contexts.reload_problem) == (None, None)


async def seen(contexts: TlsContexts, before: int) -> None:
    async with asyncio.timeout(20):
        while serial(contexts) == before:
            await asyncio.sleep(0.001)


async def test_what_changes_is_noticed(place: Place) -> None:
    contexts = place.node("berlin", "ca")
    watching = asyncio.get_running_loop().create_task(Reloader([contexts], NO_WAIT).watch())
    for _ in range(2):
        before = serial(contexts)
        place.write("berlin", "ca")
        await seen(contexts, before)
    watching.cancel()


async def test_an_exchanged_directory_link_is_noticed(place: Place) -> None:
    """As Kubernetes puts new secrets in place."""
    for version in ("one", "two"):
        certificate, key = place.authority("ca").issue("berlin", dns=("localhost",))
        (place.folder / version).mkdir()
        (place.folder / version / "tls.crt").write_bytes(certificate)
        (place.folder / version / "tls.key").write_bytes(key)
    data = place.folder / "..data"
    data.symlink_to("one")
    for name in ("tls.crt", "tls.key"):
        (place.folder / name).symlink_to(Path("..data") / name)
    settings = place.settings("tls", "ca")
    contexts = TlsContexts.from_settings(settings, TRANSPORT, place.folder)
    watching = asyncio.get_running_loop().create_task(Reloader([contexts], NO_WAIT).watch())
    before = serial(contexts)
    (place.folder / "next").symlink_to("two")
    (place.folder / "next").rename(data)
    await seen(contexts, before)
    watching.cancel()


async def test_who_follows_is_told_of_changes_only(place: Place) -> None:
    contexts = place.node("berlin", "ca")
    told: list[int] = []
    contexts.follow(lambda: told.append(len(contexts.trusted)))
    assert contexts.reload() is None
    assert told == []
    place.write("berlin", "ca")
    assert contexts.reload() is None
    assert told == [1]
    (place.folder / "berlin.key").write_text("half a key")
    assert contexts.reload() is not None
    assert told == [1]


async def test_watching_can_be_switched_off(place: Place) -> None:
    reloader = Reloader([place.node("berlin", "ca")], Settings({"resource.reload.enabled": "false"}))
    await reloader.watch()  # returns at once
    (outcome,) = await reloader.reload()
    assert outcome.problem is None


def test_contexts_without_tls_have_no_files_to_watch(place: Place) -> None:
    off = TlsContexts.from_settings(Settings({}), TRANSPORT, place.folder)
    assert Reloader([off], Settings({})).contexts == ()


class Holding(Noting):
    """Held as the servers do it."""

    def __init__(self, contexts: TlsContexts) -> None:
        super().__init__()
        self._contexts = contexts
        self.held: asyncio.Future[Held] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        held = Held(peer_certificate(transport))
        self._contexts.hold(held)
        self.held.set_result(held)


async def test_a_handshake_that_began_before_the_authority_went_is_cut_when_it_ends(place: Place) -> None:
    contexts = place.node("berlin", "ca", "ca", "other")
    stranger = place.node("oslo", "other", "ca")
    accepted = Holding(contexts)
    listener = await endpoints.listen(lambda: accepted, "127.0.0.1", 0, contexts)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = stranger.client().wrap_bio(received, sent, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    writer.write(sent.read())
    received.write(await reader.read(65536))  # so the old trust is what judges
    (place.folder / "other.crt").write_bytes(place.authority("ca").certificate_pem)
    (outcome,) = await Reloader([contexts], Settings({})).reload()
    assert (outcome.changed, outcome.connections_cut) == (("trust",), 0)
    tls.do_handshake()
    writer.write(sent.read())
    async with asyncio.timeout(20):
        held = await accepted.held
    assert held.said == [
        f"the authority that vouched for the certificate [CN=oslo] is no longer trusted in [{TRANSPORT}]"
    ]
    writer.close()
    listener.close()


async def test_what_could_not_be_used_is_tried_again_though_no_file_changes(place: Place) -> None:
    """As a certificate that becomes valid later, or a disk that answers again."""
    contexts = place.node("berlin", "ca")
    before = serial(contexts)
    problems: list[str | None] = []

    def authorities() -> tuple[x509.Certificate, ...]:
        problems.append(contexts.reload_problem)
        if len(problems) < 3:
            raise SettingsError("not now")
        return ()

    contexts.extra_trusted = authorities
    place.write("berlin", "ca")
    watching = asyncio.get_running_loop().create_task(Reloader([contexts], NO_WAIT, retry_s=0).watch())
    await seen(contexts, before)
    watching.cancel()
    assert problems[:3] == [None, "not now", "not now"]
    assert contexts.reload_problem is None


EC_KEY, P_256 = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06082a8648ce3d030107")
UNKNOWN = {
    "key algorithm": (EC_KEY, EC_KEY[:-1] + b"\x77"),
    "curve": (P_256, P_256[:-1] + b"\x77"),
    "letters in a name": (b"\x0c\x06berlin", b"\x0c\x06\xff\xfe\xff\xfe\xff\xfe"),
}


@pytest.mark.parametrize("part", UNKNOWN)
@pytest.mark.parametrize("file", ["berlin.crt", "ca.crt"])
async def test_certificates_that_parse_and_cannot_be_used_are_a_problem_and_no_crash(
    place: Place, file: str, part: str
) -> None:
    contexts = place.node("berlin", "ca")
    before = serial(contexts)
    good = (place.folder / "berlin.crt").read_bytes()
    der = x509.load_pem_x509_certificate(good).public_bytes(serialization.Encoding.DER)
    assert UNKNOWN[part][0] in der
    wrong = ssl.DER_cert_to_PEM_cert(der.replace(*UNKNOWN[part]))
    (place.folder / file).write_text(wrong)
    (outcome,) = await Reloader([contexts], Settings({})).reload()
    assert serial(contexts) == before
    if file == "berlin.crt":
        assert outcome.problem is not None
    for one in contexts.listed:  # what is in use can be shown
        assert one.certificate.subject.rfc4514_string()
