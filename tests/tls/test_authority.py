"""What our authority signs satisfies strict verifiers, and what it is asked wrongly is refused by name."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from hanse.errors import IllegalArgumentError
from hanse.tls.authority import CertificateAuthority, Names, dns_name, self_signed, signing_request
from hanse.tls.identity import alternative_names


def issued(authority: CertificateAuthority, *args: object, **options: object) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.issue(*args, **options)[0])  # type: ignore[arg-type]


def test_keys_are_p256_and_serve_both_sides() -> None:
    authority = CertificateAuthority.create("CN=Harbour,O=Hanse")
    certificate = issued(authority, "node-1", ["node-1.example"], ["10.0.0.1", "::1"])
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    assert certificate.issuer == authority.certificate.subject
    assert authority.certificate.subject.rfc4514_string() == "CN=Harbour,O=Hanse"
    assert alternative_names(certificate) == (("node-1.example",), ("10.0.0.1", "::1"))
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(uses) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_a_strict_verifier_accepts_the_chain() -> None:
    authority = CertificateAuthority.create()
    certificate = issued(authority, "node-1", ["node-1.example"])
    verifier = (
        PolicyBuilder().store(Store([authority.certificate])).build_server_verifier(x509.DNSName("node-1.example"))
    )
    assert verifier.verify(certificate, []) == [certificate, authority.certificate]


def test_rsa_when_a_key_size_is_given() -> None:
    authority = CertificateAuthority.create(key_bits=2048)
    key = issued(authority, "node-1", key_bits=3072).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 3072


def test_an_authority_survives_its_files() -> None:
    made = CertificateAuthority.create()
    again = CertificateAuthority.load(made.certificate_pem, made.key_pem(b"secret"), b"secret")
    assert issued(again, "node-1").issuer == made.certificate.subject


def test_days_and_clock() -> None:
    start = datetime(2030, 5, 1, tzinfo=UTC)
    certificate = issued(CertificateAuthority.create(), "node-1", days=10, now=start)
    assert certificate.not_valid_after_utc == datetime(2030, 5, 11, tzinfo=UTC)
    assert certificate.not_valid_before_utc < start  # a clock that is a little behind is no reason to refuse


def test_the_key_of_a_node_may_be_encrypted() -> None:
    _, key_pem = CertificateAuthority.create().issue("node-1", password=b"secret")
    assert b"ENCRYPTED" in key_pem
    assert load_pem_private_key(key_pem, b"secret")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"dns": ["bad name\u2028"]}, "is not a valid DNS name"),
        ({"ips": ["300.1.1.1"]}, "[300.1.1.1] is not a valid IP address"),
        ({"days": 0}, "days must be at least 1"),
        ({"key_bits": 1024}, "key size must be between 2048 and 16384, but was 1024"),
    ],
)
def test_what_cannot_be_issued_is_named(options: dict[str, object], reason: str) -> None:
    with pytest.raises(IllegalArgumentError) as raised:
        CertificateAuthority.create().issue("node-1", **options)  # type: ignore[arg-type]
    assert reason in raised.value.reason


def test_a_bad_distinguished_name_is_named() -> None:
    with pytest.raises(IllegalArgumentError, match="is not a valid distinguished name"):
        CertificateAuthority.create("CN=a,=b")


def test_files_that_do_not_make_an_authority_are_refused() -> None:
    one, other = CertificateAuthority.create(), CertificateAuthority.create()
    with pytest.raises(IllegalArgumentError, match="does not belong"):
        CertificateAuthority.load(one.certificate_pem, other.key_pem())
    node_certificate, node_key = one.issue("node-1")
    with pytest.raises(IllegalArgumentError, match=r"\[CN=node-1\] is not a certificate authority"):
        CertificateAuthority.load(node_certificate, node_key)
    with pytest.raises(IllegalArgumentError, match="cannot read the certificate authority"):
        CertificateAuthority.load(b"nonsense", one.key_pem())
    with pytest.raises(IllegalArgumentError, match="cannot read the certificate authority"):
        CertificateAuthority.load(one.certificate_pem, one.key_pem(b"secret"))


def test_openssl_takes_it_as_an_anchor() -> None:
    context = ssl.create_default_context(cadata=CertificateAuthority.create().certificate_pem.decode())
    assert context.cert_store_stats()["x509_ca"] >= 1


def test_a_certificate_that_signs_itself_is_its_own_anchor() -> None:
    alone = self_signed(Names("CN=alone,O=Hanse", ("alone.example",)), 10)
    assert alone.certificate.issuer == alone.certificate.subject
    alone.certificate.verify_directly_issued_by(alone.certificate)
    with pytest.raises(IllegalArgumentError, match="is not a certificate authority"):
        CertificateAuthority.of(alone.certificate, alone.key)


def test_a_request_carries_the_names_and_is_signed_by_its_key() -> None:
    request, key = signing_request(Names("node-1", ("node-1.example",), ("10.0.0.1",)), key_bits=2048)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert request.is_signature_valid
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node-1.example"]


def test_names_for_trust_restrictions_are_other_names() -> None:
    certificate = CertificateAuthority.create().issue_for(Names("n", cn=("n.node.hanse.cluster",))).certificate
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (other,) = found.get_values_for_type(x509.OtherName)
    assert (other.type_id.dotted_string, other.value) == ("2.5.4.3", b"\x0c\x14n.node.hanse.cluster")


@pytest.mark.parametrize("text", ["", "a b", "a..b", "-a", "a-", "a/b", "*", "*.*.b", "a" * 64, "x." * 130])
def test_what_no_host_name_may_hold(text: str) -> None:
    with pytest.raises(IllegalArgumentError, match="is not a valid DNS name"):
        dns_name(text)


@pytest.mark.parametrize("text", ["a", "es01", "a-b.c", "*.a.example", "bücher.example", "my_host", "_srv.a", "a.b."])
def test_host_names(text: str) -> None:
    assert dns_name(text).value.isascii()
