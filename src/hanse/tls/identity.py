"""Who the other side of a connection proved to be: the parts of its certificate that logs, realms and audits need.

Reads a certificate that OpenSSL already judged (or refused); judges nothing itself. Tests: tests/tls/test_identity.py.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes


class PeerCertificate(msgspec.Struct, frozen=True):
    """The identifying fields of a certificate. Names are RFC 2253 strings; serial number and fingerprint are hex."""

    subject: str
    issuer: str
    serial_number: str
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint_sha256: str

    @property
    def common_name(self) -> str | None:
        """The first CN of the subject, which PKI realms take as the user name by default."""
        names = x509.Name.from_rfc4514_string(self.subject).get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return str(names[0].value) if names else None


def read_certificate(der: bytes) -> PeerCertificate:
    """The identifying fields of one DER certificate; ValueError when it cannot be parsed."""
    certificate = x509.load_der_x509_certificate(der)
    dns_names, ip_addresses = alternative_names(certificate)
    return PeerCertificate(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial_number=f"{certificate.serial_number:x}",
        dns_names=dns_names,
        ip_addresses=ip_addresses,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint_sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def alternative_names(certificate: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The DNS names and the IP addresses in the certificate's subject alternative names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return tuple(names.get_values_for_type(x509.DNSName)), tuple(str(address) for address in addresses)


def peer_certificate(transport: asyncio.BaseTransport) -> PeerCertificate | None:
    """The certificate the peer proved to own, None on plaintext or when it showed none.

    Parses anew at every call: ask once per connection.
    """
    tls = transport.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject | ssl.SSLSocket):
        return None
    der = tls.getpeercert(binary_form=True)
    return read_certificate(der) if der else None


def shown_certificate(tls: ssl.SSLObject) -> PeerCertificate | None:
    """The certificate a dialled server showed in a handshake that failed, where OpenSSL kept it; else None.

    Serves only to explain. Public from Python 3.13; before that it is reached through the inner object.
    """
    source = tls if hasattr(tls, "get_unverified_chain") else getattr(tls, "_sslobj", None)
    try:
        chain = source.get_unverified_chain()  # type: ignore[union-attr]
        first = chain[0] if chain else None
        if first is None:
            return None
        return read_certificate(first if isinstance(first, bytes) else ssl.PEM_cert_to_DER_cert(first.public_bytes()))
    except (AttributeError, ValueError, TypeError, ssl.SSLError):
        return None
