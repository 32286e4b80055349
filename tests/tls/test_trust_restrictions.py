"""Only named nodes of a trusted authority are let in: on both directions, before a byte of theirs is read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from hanse.errors import ConnectTransportError, SettingsError
from hanse.settings.registry import Settings
from hanse.tls.authority import COMMON_NAME_OTHER, CertificateAuthority, Names
from hanse.tls.contexts import TlsContexts
from hanse.tls.endpoints import dial, listen
from hanse.tls.faults import Fault
from hanse.tls.identity import peer_certificate, readable_certificate
from hanse.tls.reload import Reloader
from hanse.tls.ssl_settings import TRANSPORT, X509_FIELDS, RestrictionSettings
from hanse.tls.trust_restrictions import TrustRestrictions, read_restrictions

from .faulty import Recipe, Workshop, other_name
from .test_endpoints import Caller, fate, listening

OTHER, DNS = X509_FIELDS
FRIEND = Recipe("friend", names=(other_name("node1.friend.cluster"), *Recipe().names))
FOE = Recipe("node1.friend.cluster", names=(other_name("node1.foe.cluster"), *Recipe().names))
NAMELESS = Recipe("node1.friend.cluster")


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("restricted"))


def restrictions_file(workshop: Workshop, text: str, name: str = "restrictions.yml") -> dict[str, str]:
    (workshop.folder / name).write_text(text)
    return {"trust_restrictions.path": name}


FRIENDS = 'trust.subject_name: ["*.friend.cluster"]\n'


async def test_both_directions_let_in_a_listed_name_and_nobody_else(workshop: Workshop) -> None:
    judge = workshop.contexts("judge", Recipe("judge"), **restrictions_file(workshop, FRIENDS))
    friend, foe = workshop.contexts("friend", FRIEND), workshop.contexts("foe", FOE)
    nameless = workshop.contexts("nameless", NAMELESS)
    async with listening(judge) as listener:
        _, caller = await dial(Caller, "127.0.0.1", listener.port, friend)
        assert await asyncio.wait_for(caller.heard, 5) == b"hello"
        accepted = len(listener.accepted)
        for stranger in (foe, nameless):
            assert await fate(stranger, listener.port) == "the other side closed the connection"
            failure = await listener.failure()
            assert failure.fault is Fault.RESTRICTED
            assert failure.sentence.startswith("failed to establish trust with client at [127.0.0.1:")
            assert "with subject name [CN=node1.friend.cluster]" in failure.sentence
            assert "none of the trust restrictions [*.friend.cluster]" in failure.sentence
            assert "restrictions.yml]" in failure.sentence
        assert all(echo.transport is None for echo in listener.accepted[accepted:])
    async with listening(friend) as listener:
        _, caller = await dial(Caller, "127.0.0.1", listener.port, judge)
        assert await asyncio.wait_for(caller.heard, 5) == b"hello"
    for stranger in (foe, nameless):
        async with listening(stranger) as listener:
            with pytest.raises(ConnectTransportError) as raised:
                await dial(Caller, "127.0.0.1", listener.port, judge)
        assert "connect_exception: failed to establish trust with server at [127.0.0.1]" in raised.value.reason
        assert "none of the trust restrictions [*.friend.cluster]" in raised.value.reason


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
async def test_dns_names_count_when_the_setting_says_so(workshop: Workshop, version: str) -> None:
    file = restrictions_file(workshop, 'trust.subject_name: "local*"\n', "dns.yml")
    more = {"trust_restrictions.x509_fields": DNS.upper(), "supported_protocols": version}
    judge = workshop.contexts("judge", Recipe("judge"), **file, **more)
    other = workshop.contexts("elsewhere", Recipe("localhost", names=(x509.DNSName("elsewhere"), other_name("local"))))
    async with listening(judge) as listener:
        _, caller = await dial(Caller, "127.0.0.1", listener.port, workshop.contexts("foe", FOE))
        assert await asyncio.wait_for(caller.heard, 5) == b"hello"
        await fate(other, listener.port)
        assert "its names [elsewhere] match none" in (await listener.failure()).sentence


async def test_what_the_refused_dialler_is_told(workshop: Workshop) -> None:
    judge = workshop.contexts("judge", Recipe("judge"), **restrictions_file(workshop, FRIENDS))
    server = await listen(asyncio.Protocol, "127.0.0.1", 0, judge, restricted_answer=lambda text: text.encode())
    try:
        port = server.sockets[0].getsockname()[1]
        transport, caller = await dial(Caller, "127.0.0.1", port, workshop.contexts("foe", FOE))
        told = (await asyncio.wait_for(caller.heard, 5)).decode()
        transport.abort()
        await caller.lost
    finally:
        server.close()
    assert "its names [node1.foe.cluster] match none of the trust restrictions of this node" in told
    assert "friend.cluster]" not in told.replace("[CN=node1.friend.cluster]", "")  # not what is allowed here


async def test_a_changed_file_acts_on_the_next_handshake_and_a_wrong_one_changes_nothing(workshop: Workshop) -> None:
    name = "changing.yml"
    settings = workshop.settings("judge", Recipe("judge"), **restrictions_file(workshop, FRIENDS, name))
    judge = TlsContexts.from_settings(settings, TRANSPORT, workshop.folder)
    foe = workshop.contexts("foe", FOE)
    assert workshop.folder / name in judge.files
    (workshop.folder / name).write_text("trust.subject_name: [")
    why = judge.reload()
    assert why is not None
    assert f"[{TRANSPORT}.trust_restrictions.path]" in why
    async with listening(judge) as listener:
        await fate(foe, listener.port)
        assert (await listener.failure()).fault is Fault.RESTRICTED
        (workshop.folder / name).write_text(
            'trust:\n  subject_name: ["*.friend.cluster", "/node[0-9]\\\\.foe\\\\..+/"]\n'
        )
        (reloaded,) = await Reloader([judge], Settings({})).reload()
        assert (reloaded.problem, reloaded.changed) == (None, ("trust_restrictions",))
        assert (await Reloader([judge], Settings({})).reload())[0].changed == ()
        _, caller = await dial(Caller, "127.0.0.1", listener.port, foe)
        assert await asyncio.wait_for(caller.heard, 5) == b"hello"


class Connection:
    """What contexts hold of an open connection."""

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        self.peer_certificate = peer_certificate(transport)
        self.told = ""

    def cut(self, sentence: str) -> None:
        self.told = sentence


async def test_an_open_connection_is_cut_when_its_name_is_taken_off_the_list(workshop: Workshop) -> None:
    name = "shrinking.yml"
    settings = workshop.settings("judge", Recipe("judge"), **restrictions_file(workshop, FRIENDS, name))
    judge = TlsContexts.from_settings(settings, TRANSPORT, workshop.folder)
    async with listening(workshop.contexts("friend", FRIEND)) as listener:
        transport, _ = await dial(Caller, "127.0.0.1", listener.port, judge)
        connection = Connection(transport)
        judge.hold(connection)
        assert judge.cut_untrusted() == 0
        (workshop.folder / name).write_text("trust.subject_name: nobody")
        assert judge.reload() is None
        assert judge.cut_untrusted() == 1
        transport.abort()
    assert connection.told.startswith("the name in the certificate [CN=friend] is no longer trusted in")


async def test_without_verification_restrictions_have_no_effect_and_the_log_says_so(workshop: Workshop) -> None:
    file = restrictions_file(workshop, FRIENDS, "ineffective.yml")
    settings = workshop.settings("judge", Recipe("judge"), verification_mode="none", **file)
    with structlog.testing.capture_logs() as logs:
        judge = TlsContexts.from_settings(settings, TRANSPORT, workshop.folder)
    assert "trust restrictions have no effect where nothing is verified" in [entry["event"] for entry in logs]
    async with listening(judge) as listener:
        _, caller = await dial(Caller, "127.0.0.1", listener.port, workshop.contexts("foe", FOE))
        assert await asyncio.wait_for(caller.heard, 5) == b"hello"


async def test_without_diagnosis_the_log_only_says_that_a_peer_is_not_trusted(workshop: Workshop) -> None:
    settings = workshop.settings("judge", Recipe("judge"), **restrictions_file(workshop, FRIENDS))
    quiet = settings.merged({"xpack.security.ssl.diagnose.trust": "false"})
    judge = TlsContexts.from_settings(quiet, TRANSPORT, workshop.folder)
    with structlog.testing.capture_logs() as logs:
        async with listening(judge) as listener:
            await fate(workshop.contexts("foe", FOE), listener.port)
            await listener.failure()
    assert [entry["event"] for entry in logs] == ["a peer is not trusted, closing connection"]
    assert logs[0]["fault"] == "restricted"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "trust.subject_name: []",
        "trust.subject_name: 7",
        "trust.subject_name: [7]",
        'trust.subject_name: [""]',
        "trust.subject_names: [a]",
        "trust: {subject_name: [a], other: b}",
        "trust.subject_name: [a]\nmore: b",
        "trust.subject_name: [/(/]",
        "trust.subject_name: ['/(?=a)/']",
        "trust.subject_name: [" + "[" * 5000,
        "\tno yaml",
        "trust.subject_name: [" + ",".join("a" * 3 for _ in range(1001)) + "]",
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start_and_names_the_setting(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.yml"
    path.write_text(text)
    with pytest.raises(SettingsError) as raised:
        read_restrictions(RestrictionSettings("a.trust_restrictions.path", path, (OTHER,)))
    assert f"cannot use the trust restrictions [{path}] in [a.trust_restrictions.path]" in raised.value.reason
    assert "\n" not in raised.value.reason


def test_a_file_that_cannot_be_read_stops_the_start(workshop: Workshop) -> None:
    for file, words in [("missing.yml", "the file does not exist"), ("../ca.crt", "SSL resources should be placed in")]:
        with pytest.raises(SettingsError, match=r"trust_restrictions\.path") as raised:
            workshop.contexts("judge", Recipe("judge"), **{"trust_restrictions.path": file})
        assert words in raised.value.reason
    with pytest.raises(SettingsError, match="is not a supported x509 field for trust restrictions"):
        workshop.contexts("judge", Recipe("judge"), **{"trust_restrictions.x509_fields": "subject.cn"})


@pytest.mark.parametrize(
    ("pattern", "name", "allowed"),
    [
        ("*", "anything", True),
        ("node1.example", "node1.example", True),
        ("node1.example", "node1xexample", False),
        ("node1.example", "node1.example.evil", False),
        ("*.example", "a.b.example", True),
        ("*.example", "a.example.evil", False),
        ("node*.example", "node.example", True),
        ("NODE1.example", "node1.example", False),
        ("/node[12]/", "node2", True),
        ("/node[12]/", "node2.evil", False),
        ("/a|b/", "ab", False),
        ("[a]*", "[a]b", True),
        ("a+", "aa", False),
    ],
)
def test_patterns_match_all_of_a_name(tmp_path: Path, pattern: str, name: str, allowed: bool) -> None:
    path = tmp_path / "r.yml"
    path.write_text(f"trust.subject_name: ['{pattern}']")
    found = read_restrictions(RestrictionSettings("s", path, (OTHER,)))
    assert found is not None
    assert found.allows(name) is allowed


def certificate(subject: x509.Name, *names: x509.GeneralName) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(CertificateAuthority.create().certificate.not_valid_before_utc)
        .not_valid_after(CertificateAuthority.create().certificate.not_valid_after_utc)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())


def compared(shown: bytes, fields: tuple[str, ...]) -> tuple[str, ...]:
    """The names of a DER certificate that restrictions compare."""
    return TrustRestrictions(RestrictionSettings("s", Path("r.yml"), fields), (), ()).names_of(
        readable_certificate(shown)
    )


def raw(oid: str, value: bytes) -> x509.OtherName:
    return x509.OtherName(x509.ObjectIdentifier(oid), value)


FRIENDLY = b"\x06friend"


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((raw("2.5.4.3", b"\x0c" + FRIENDLY),), ("friend",)),
        ((raw("2.5.4.3", b"\x13" + FRIENDLY),), ("friend",)),
        ((raw("2.5.4.3", b"\xa0\x08\x0c" + FRIENDLY),), ("friend",)),
        ((raw("2.5.4.3", b"\x1e\x0c" + "friend".encode("utf-16-be")),), ("friend",)),
        ((raw("2.5.4.3", b"\x0c\x07friend\0"),), ()),
        ((raw("2.5.4.3", b"\x0c\x0bfriend\0evil"),), ()),
        ((raw("2.5.4.3", b"\x0c\x06frien\xff"),), ()),
        ((raw("2.5.4.3", b"\x04" + FRIENDLY),), ()),
        ((raw("2.5.4.3", b"\x30\x08\x0c" + FRIENDLY),), ()),
        ((raw("2.5.4.3", b"\xa0\x0a\xa0\x08\x0c" + FRIENDLY),), ()),
        ((raw("2.5.4.10", b"\x0c" + FRIENDLY),), ()),
        ((x509.RFC822Name("friend"), x509.UniformResourceIdentifier("friend")), ()),
        ((x509.DirectoryName(x509.Name.from_rfc4514_string("CN=friend")),), ()),
        ((x509.DNSName("friend"),), ()),
    ],
)
def test_only_a_well_formed_other_name_is_a_name(names: tuple[x509.GeneralName, ...], found: tuple[str, ...]) -> None:
    made = certificate(x509.Name.from_rfc4514_string("CN=friend,OU=friend"), *names)
    assert compared(made.public_bytes(Encoding.DER), (OTHER,)) == found


@pytest.mark.parametrize("subject", ["CN=friend", "CN=evil+CN=friend", "CN=friend,CN=evil", r"CN=evil\2Cfriend"])
def test_the_subject_is_never_compared(subject: str) -> None:
    made = certificate(x509.Name.from_rfc4514_string(subject))
    assert compared(made.public_bytes(Encoding.DER), X509_FIELDS) == ()


def test_names_written_by_certutil_are_found() -> None:
    issued = CertificateAuthority.create().issue_for(Names("x", dns=("a.example",), cn=("node1.friend", "zwölf")))
    shown = issued.certificate.public_bytes(Encoding.DER)
    assert compared(shown, (OTHER,)) == ("node1.friend", "zwölf")
    assert compared(shown, X509_FIELDS) == ("node1.friend", "zwölf", "a.example")
    assert COMMON_NAME_OTHER.dotted_string == "2.5.4.3"


def test_alternative_names_that_cannot_be_read_are_none() -> None:
    made = certificate(x509.Name.from_rfc4514_string("CN=a"), other_name("friend"))
    broken = made.public_bytes(Encoding.DER).replace(b"\x0c" + FRIENDLY, b"\x0c\x7ffriend")
    assert compared(broken, X509_FIELDS) == ()
    assert compared(b"no certificate", X509_FIELDS) == ()
    assert readable_certificate(broken) is None
