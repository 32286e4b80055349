"""Names that strangers chose, on one line."""

from __future__ import annotations

from hanse.tls.certificate_words import NAMES_MAX, Trust, alternative_names, described, printable, shown_fields
from hanse.tls.identity import PeerCertificate

from .conftest import FAR_AHEAD, LONG_AGO, Place


def certificate(subject: str = "CN=oslo", dns: tuple[str, ...] = (), ips: tuple[str, ...] = ()) -> PeerCertificate:
    return PeerCertificate(subject, "CN=ca", "1f", dns, ips, LONG_AGO, FAR_AHEAD, "ab" * 32)


def test_a_name_cannot_begin_a_line_nor_fill_the_log() -> None:
    assert printable("CN=a\r\n2026 all is well\x1b[2J") == "CN=a\\x0d\\x0a2026 all is well\\x1b[2J"
    assert printable("CN=Tromsø") == "CN=Tromsø"
    many = certificate("CN=" + "x" * 5000, tuple(f"{'n' * 5000}{at}" for at in range(1000)))
    assert alternative_names(many)[-1] == f"and {1000 - NAMES_MAX} more"
    assert len(described(many)) < 7000
    assert len(str(shown_fields(many))) < 7000


def test_what_a_certificate_says_of_itself() -> None:
    text = described(certificate("CN=oslo", ("oslo.example",), ("10.0.0.1",)))
    assert "with subject name [CN=oslo], fingerprint [abab" in text
    assert "valid between [2020-01-01T00:00:00+00:00] and [2090-01-01T00:00:00+00:00]" in text
    assert "has subject alternative names [DNS:oslo.example,IP:10.0.0.1]" in text
    assert "does not have any subject alternative names" in described(certificate())


def test_what_was_consulted(place: Place) -> None:
    one, two = (place.authority(name).certificate for name in ("ca-berlin", "ca-oslo"))
    alone = Trust("x.ssl.certificate_authorities", ("ca.crt", "more.crt"), (one,))
    assert alone.configuration == "with trust configuration: PEM-trust{ca.crt,more.crt}"
    assert alone.issuers.startswith("it only trusts the issuer [CN=ca-berlin] with fingerprint [")
    store = Trust("x.ssl.truststore.path", ("trust.p12",), (one, two))
    assert store.configuration == "with trust configuration: trust store{trust.p12}"
    assert store.issuers == "but trusts [2] other issuers [CN=ca-berlin], [CN=ca-oslo]"
    assert Trust("x", (), (one,) * 6).issuers == "but trusts [6] other issuers"
