"""Certificates as a hostile or careless authority could make them, seen as a node sees them: after a TLS handshake."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hanse.tls.identity import PeerCertificate, peer_certificate

CN, OU, O = NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME  # noqa: E741


def name(*rdns: Any) -> x509.Name:
    """`"x"` stands for CN=x; a list of (oid, value) for one relative name with several values."""
    parts = [[(CN, rdn)] if isinstance(rdn, str) else rdn for rdn in rdns]
    return x509.Name(
        x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in part]) for part in parts
    )


@dataclass
class Party:
    """A certificate with its key and those above it up to, and without, the trust anchor."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    above: tuple[x509.Certificate, ...] = ()

    @classmethod
    def authority(cls, subject: x509.Name) -> Party:
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(_signed(subject, subject, key, key, is_authority=True), key)

    def issue(self, subject: x509.Name, *dns: str, is_authority: bool = False, by: x509.Name | None = None) -> Party:
        """`by`: how the issuer's name is written into the certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = by or self.certificate.subject
        certificate = _signed(subject, issuer, key, self.key, dns=dns, is_authority=is_authority)
        is_anchor = self.certificate.issuer == self.certificate.subject
        return Party(certificate, key, () if is_anchor else (self.certificate, *self.above))


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    dns: tuple[str, ...] = (),
    is_authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        # Key identifiers, as an impostor sets them: OpenSSL then looks for the right key, not for the right name.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in dns]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def seen(party: Party, *trusted: Party) -> PeerCertificate:
    """What the accepting node knows of the party after a real handshake. Raises ssl.SSLError when it is refused."""
    own = Party.authority(name("the-node"))
    server = _context(ssl.PROTOCOL_TLS_SERVER, own)
    server.verify_mode = ssl.CERT_REQUIRED
    for anchor in trusted:
        server.load_verify_locations(cadata=anchor.certificate.public_bytes(serialization.Encoding.DER))
    client = _context(ssl.PROTOCOL_TLS_CLIENT, party)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    accepting = server.wrap_bio(to_server, to_client, server_side=True)
    dialling = client.wrap_bio(to_client, to_server)
    waiting = [dialling, accepting]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    found = peer_certificate(_Connected(accepting))  # type: ignore[arg-type]
    assert found is not None
    return found


class _Connected:
    """The one thing that is asked of a transport."""

    def __init__(self, tls: ssl.SSLObject) -> None:
        self._tls = tls

    def get_extra_info(self, key: str) -> ssl.SSLObject | None:
        return self._tls if key == "ssl_object" else None


def _context(protocol: int, party: Party) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "identity.pem"
        file.write_bytes(
            party.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (party.certificate, *party.above))
        )
        context.load_cert_chain(file)
    return context
