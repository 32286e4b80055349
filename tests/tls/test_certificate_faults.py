"""Every fault of a certificate, shown by the side that dials and by the side that accepts, in every verification mode.

Who is let in is what docs/security.md says; whoever is refused is told why, and so is the side that refuses. Real
sockets on both event loops. A certificate revoked by its fingerprint is not a fault of TLS: a remote peer with
`"enabled": false` matches it, and the gate refuses its requests (tests/journeys/test_peer_ceilings.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

import pytest

from hanse.errors import ConnectTransportError, SettingsError
from hanse.tls.contexts import TlsContexts
from hanse.tls.endpoints import dial
from hanse.tls.faults import Fault
from hanse.tls.handshake import connection_lost_sentence

from .faulty import NODES, Workshop, key_pem
from .test_endpoints import Caller, listening

IN = None
UNKNOWN, EXPIRED, USE, WEAK = Fault.UNKNOWN_AUTHORITY, Fault.EXPIRED, Fault.WRONG_USE, Fault.WEAK

TABLE: dict[str, tuple[Fault | None, Fault | None, Fault | None]] = {
    # what is shown: judged by a dialler in mode full, by one in mode certificate, by an acceptor in either
    "sound": (IN, IN, IN),
    "sound without uses": (IN, IN, IN),
    "sound below an intermediate": (IN, IN, IN),
    "expired": (EXPIRED, EXPIRED, EXPIRED),
    "not yet valid": (Fault.NOT_YET_VALID, Fault.NOT_YET_VALID, Fault.NOT_YET_VALID),
    "of another authority": (UNKNOWN, UNKNOWN, UNKNOWN),
    "of another authority that is shown": (UNKNOWN, UNKNOWN, UNKNOWN),
    "of an impostor with the authority's name": (UNKNOWN, UNKNOWN, UNKNOWN),
    "missing intermediate": (UNKNOWN, UNKNOWN, UNKNOWN),
    "expired intermediate": (EXPIRED, EXPIRED, EXPIRED),
    "signed by a node": (Fault.NO_AUTHORITY, Fault.NO_AUTHORITY, Fault.NO_AUTHORITY),
    "another name": (Fault.NAME_MISMATCH, IN, IN),
    "no names": (Fault.NAME_MISMATCH, IN, IN),
    "for servers only": (IN, IN, USE),
    "for clients only": (USE, USE, IN),
    "for signing code": (USE, USE, USE),
    "self-signed": (UNKNOWN, UNKNOWN, UNKNOWN),
    "SHA-1": (WEAK, WEAK, WEAK),
    "tiny RSA": (WEAK, WEAK, WEAK),
}
WORDS = {
    "expired": "it has expired",
    "not yet valid": "it is not valid yet; check the clocks",
    "of another authority": "did not provide a copy of the issuing certificate in the certificate chain",
    "of another authority that is shown": "the authority at the top of the chain",
    "of an impostor with the authority's name": "its signature is not that of the authority it names",
    "missing intermediate": "did not provide a copy of the issuing certificate in the certificate chain",
    "expired intermediate": "has expired",
    "signed by a node": "is not the certificate of an authority",
    "another name": "it is not valid for the name [127.0.0.1] that was dialled",
    "no names": "it is not valid for the name [127.0.0.1] that was dialled",
    "for servers only": "its extended key usage does not allow this use",
    "for clients only": "its extended key usage does not allow this use",
    "for signing code": "its extended key usage does not allow this use",
    "self-signed": "it is self-signed",
    "SHA-1": "it is signed with a digest that is broken, such as SHA-1",
    "tiny RSA": "its key is too small",
}
"""What names the fault on the side that refuses."""
TOLD = {
    EXPIRED: ("because it has expired",),
    Fault.NOT_YET_VALID: ("did not accept this node's certificate", "client did not trust this server's certificate"),
    UNKNOWN: (
        "does not trust the authority",
        "client did not trust this server's certificate",
        "not that of the authority it names",
    ),
    Fault.NO_AUTHORITY: ("does not trust the authority", "client did not trust this server's certificate"),
    Fault.NAME_MISMATCH: ("client did not trust this server's certificate",),
    USE: ("because its extended key usage does not allow this use",),
    WEAK: ("did not accept this node's certificate", "client did not trust this server's certificate"),
}
"""What the refused side says, as far as the alert tells: dialling or accepting."""

CASES = list(TABLE)
VERSIONS = [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("faults"))


async def meet(dialler: TlsContexts, acceptor: TlsContexts) -> tuple[str | None, Any]:
    """What the dialler was told (None: it was let in and answered), and the acceptor's record of a failure."""
    async with listening(acceptor) as listener:
        try:
            transport, caller = await dial(Caller, "127.0.0.1", listener.port, dialler)
        except ConnectTransportError as error:
            return error.reason, await listener.failure()
        await asyncio.wait({caller.heard, caller.lost}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if caller.heard.done():
            assert caller.heard.result() == b"hello"
            assert listener.has_refused_nobody
            transport.abort()
            with contextlib.suppress(OSError):
                await caller.lost
            return None, None
        return connection_lost_sentence(caller.lost.result()), await listener.failure()


def test_the_table_knows_every_certificate() -> None:
    assert list(NODES) == CASES
    assert set(WORDS) == {case for case, row in TABLE.items() if any(row)}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", ["full", "certificate", "none"])
@pytest.mark.parametrize("case", CASES)
async def test_a_dialler_judges_what_the_acceptor_shows(
    workshop: Workshop, case: str, mode: str, version: ssl.TLSVersion
) -> None:
    judge = workshop.contexts("sound", verification_mode=mode)
    sentence, failure = await meet(judge, workshop.careless(case, version))
    wanted = {"full": TABLE[case][0], "certificate": TABLE[case][1], "none": IN}[mode]
    if wanted is IN:
        assert sentence is None
        return
    assert sentence is not None
    assert "connect_exception: failed to establish trust with server at [127.0.0.1]" in sentence
    assert WORDS[case] in sentence
    assert any(words in failure.sentence for words in TOLD[wanted]), failure.sentence


ACCEPTING = [
    ("full", "required"),
    ("certificate", "required"),
    ("none", "required"),
    ("full", "optional"),
    ("full", "none"),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("mode", "asked"), ACCEPTING)
@pytest.mark.parametrize("case", CASES)
async def test_an_acceptor_judges_what_the_dialler_shows(
    workshop: Workshop, case: str, mode: str, asked: str, version: ssl.TLSVersion
) -> None:
    judge = workshop.contexts("sound", verification_mode=mode, client_authentication=asked)
    sentence, failure = await meet(workshop.careless(case, version), judge)
    wanted = IN if "none" in (mode, asked) else TABLE[case][2]
    if wanted is IN:
        assert sentence is None
        return
    assert failure.fault is wanted
    assert failure.sentence.startswith("failed to establish trust with client at [127.0.0.1:")
    if wanted is not Fault.NO_CERTIFICATE:
        assert failure.presented is not None
        assert f"with subject name [{failure.presented.subject}]" in failure.sentence
    assert WORDS[case] in failure.sentence
    assert sentence is not None
    assert any(words in sentence for words in TOLD[wanted]), sentence


MODES = ["full", "certificate", "none"]


def refusal(workshop: Workshop, **settings: Any) -> str:
    with pytest.raises(SettingsError) as raised:
        workshop.contexts("sound", **settings)
    assert "\n" not in raised.value.reason
    return raised.value.reason


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("case", "setting", "words"),
    [
        ("corrupt", "certificate", "because the file does not contain any readable certificate"),
        ("corrupt", "key", "cannot read configured [PEM private key]"),
        ("corrupt", "certificate_authorities", "because the file does not contain any readable certificate"),
        ("empty", "certificate", "because the file does not contain any readable certificate"),
        ("missing", "certificate", "because the file does not exist"),
        ("missing", "key", "because the file does not exist"),
        ("missing", "certificate_authorities", "because the file does not exist"),
        ("encrypted", "key", "because it is encrypted and no passphrase is set"),
        ("another's", "key", "does not belong to the first certificate of"),
        ("tiny RSA", "certificate", "cannot be used: its key is too small"),
        ("SHA-1", "certificate", "cannot be used: it is signed with a digest that is broken, such as SHA-1"),
        ("outside", "certificate", "SSL resources should be placed in the"),
        ("outside", "key", "SSL resources should be placed in the"),
        ("outside", "certificate_authorities", "SSL resources should be placed in the"),
    ],
)
def test_a_node_does_not_start_with_files_that_cannot_work(
    workshop: Workshop, case: str, setting: str, words: str, mode: str
) -> None:
    stem = workshop.write("sound")
    key = workshop.made["sound"].key
    (workshop.folder / "corrupt").write_bytes((workshop.folder / f"{stem}.crt").read_bytes().replace(b"M", b"\0"))
    (workshop.folder / "empty").write_bytes(b"")
    (workshop.folder / "encrypted").write_bytes(key_pem(key, b"secret"))
    workshop.write("expired")
    file = {"another's": "expired.key", "outside": f"../{stem}.crt"}.get(case, case)
    changes = {setting: file}
    if case in NODES:
        changes = {"certificate": f"{workshop.write(case)}.crt", "key": f"{workshop.write(case)}.key"}
    reason = refusal(workshop, verification_mode=mode, **changes)
    assert words in reason
    assert f"[xpack.security.transport.ssl.{setting}]" in reason


@pytest.mark.parametrize("mode", MODES)
async def test_a_wrong_pass_phrase_is_named(workshop: Workshop, mode: str) -> None:
    workshop.write("sound")
    (workshop.folder / "encrypted").write_bytes(key_pem(workshop.made["sound"].key, b"secret"))
    reason = refusal(workshop, verification_mode=mode, key="encrypted", key_passphrase="wrong")
    assert "this is usually caused by an incorrect passphrase" in reason
