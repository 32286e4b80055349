"""Who the other side of a connection proved to be: the parts of its certificate that logs, realms and audits need.

Reads a certificate that OpenSSL already judged (or refused); judges nothing itself. Strings are for people; whoever
decides by a name uses its `Rdns`, or the name of an authority could be written by another one.
Tests: tests/tls/test_identity.py.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes

from hanse.tls import der
from hanse.tls.authority import COMMON_NAME_OTHER

_STRINGS = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii", 0x14: "latin-1", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}
"""The string types of ASN.1: UTF8, Printable, IA5, Teletex, BMP and Universal."""
_EXPLICIT_0 = 0xA0

Rdns = tuple[tuple[tuple[str, str], ...], ...]
"""A distinguished name in parts: its RDNs, most significant first, each a sorted tuple of (attribute oid, value).

Values are in the form in which OpenSSL compares names: case of ASCII letters and runs of white space do not count.
"""


NAME_PIECES = re.compile(r"(?:[^,+\\]|\\.)+|[,+]|\\", re.DOTALL)
"""The attributes of a name and what separates them."""
_EMAIL = x509.NameOID.EMAIL_ADDRESS
_OTHER_NAMES = {"E": _EMAIL, "EMAIL": _EMAIL, "EMAILADDRESS": _EMAIL}

UNREADABLE = (ValueError, TypeError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType)
"""What a certificate that OpenSSL took may still raise when it is read."""


class PeerCertificate(msgspec.Struct, frozen=True):
    """The identifying fields of a certificate. Names are RFC 2253 strings; serial number and fingerprint are hex.

    `proven_issuers`: the authorities above it on the chain that OpenSSL verified, the trust anchor included. Empty when
    nothing was verified. A name that belongs to one trust anchor is never here because another authority took it.
    `proven_fingerprints`: the SHA-256 of all of them (of the certificate itself where that is trusted), anchor last.
    """

    subject: str
    issuer: str
    serial_number: str
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint_sha256: str
    subject_rdns: Rdns = ()
    proven_issuers: tuple[Rdns, ...] = ()
    proven_fingerprints: tuple[str, ...] = ()
    common_names: tuple[str, ...] = ()
    """The names of type commonName among the subject alternative names, which are not the subject's CN."""

    @property
    def anchor_sha256(self) -> str:
        """The fingerprint of the trust anchor, which tells authorities of one name apart; empty without one."""
        return self.proven_fingerprints[-1] if self.proven_fingerprints else ""


def structured(name: x509.Name) -> Rdns:
    """The name in parts, for comparing."""
    return tuple(tuple(sorted((part.oid.dotted_string, _compared(part.value)) for part in rdn)) for rdn in name.rdns)


def structured_text(text: str) -> Rdns:
    """The same of a name written as RFC 2253 or 4514 has it, or with spaces behind the commas. Raises ValueError."""
    parts = [_trimmed(piece) for piece in NAME_PIECES.findall(text)]
    for at, part in enumerate(parts):
        kind, equals, value = part.partition("=")
        if equals:
            parts[at] = f"{_trimmed(kind).upper()}={_trimmed(value)}"
    name = x509.Name.from_rfc4514_string("".join(parts), _OTHER_NAMES)
    if not name.rdns:
        raise ValueError("it is empty")
    return structured(name)


def _trimmed(text: str) -> str:
    """Without spaces around it, but for an escaped one at the end: its backslash would escape what comes next."""
    trimmed = text.strip(" ")
    escapes = len(trimmed) - len(trimmed.rstrip("\\"))
    return trimmed + " " if escapes % 2 and text.endswith(" ") else trimmed


def _compared(value: str | bytes) -> str:
    if isinstance(value, bytes):
        return f"#{value.hex()}"
    # Only what RFC 5280 and OpenSSL treat alike: no other letters, no NUL, nothing invisible is folded away.
    folded = "".join(char.lower() if char.isascii() else char for char in value)
    return " ".join(part for part in re.split(r"[ \t\n\r\f\v]+", folded) if part)


def proven_issuers(chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]) -> tuple[Rdns, ...]:
    """The names of the authorities on a verified chain (leaf first, trust anchor last).

    Whoever runs an authority may put any name into one below it, also that of another trust anchor: such a name is
    left out.
    """
    if not chain:
        return ()
    anchor = chain[-1]
    if len(chain) == 1:  # the certificate itself is trusted, so what it says of its issuer is
        return (structured(anchor.issuer),)
    taken = {structured(other.subject) for other in anchors}
    between = (structured(authority.subject) for authority in chain[1:-1])
    return (structured(anchor.subject), *(name for name in between if name not in taken))


def is_of_same_authority(
    certificate: PeerCertificate, own_chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> bool:
    """Whether the trust anchor proven above `certificate` also stands above the own one (first of `own_chain`)."""
    own = {fingerprint(anchor) for anchor in own_authorities(own_chain, anchors)}
    return bool(certificate.anchor_sha256) and certificate.anchor_sha256 in own


def own_authorities(
    own_chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """The trust anchors that issued a certificate of `own_chain`, the nearest to its first one first."""
    found = (anchor for one in own_chain for anchor in anchors if _is_issued(one, anchor))
    return tuple({fingerprint(anchor): anchor for anchor in found}.values())


def fingerprint(certificate: x509.Certificate) -> str:
    """The SHA-256 of the certificate, in hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _is_issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def read_certificate(
    der: bytes, chain: Sequence[x509.Certificate] = (), anchors: Sequence[x509.Certificate] = ()
) -> PeerCertificate:
    """The identifying fields of one DER certificate; ValueError when it cannot be parsed.

    `chain` is the one OpenSSL verified, `anchors` what is trusted.
    """
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
        fingerprint_sha256=fingerprint(certificate),
        subject_rdns=structured(certificate.subject),
        proven_issuers=proven_issuers(chain, anchors),
        common_names=alternative_common_names(certificate),
        proven_fingerprints=tuple(fingerprint(one) for one in chain[1:] or chain),
    )


def readable_certificate(der: bytes) -> PeerCertificate | None:
    """The same of a certificate that nobody verified, for words about it; None when it cannot be read."""
    try:
        return read_certificate(der)
    except UNREADABLE:
        return None


def alternative_names(certificate: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The DNS names and the IP addresses in the certificate's subject alternative names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return tuple(names.get_values_for_type(x509.DNSName)), tuple(str(address) for address in addresses)


def alternative_common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The otherNames with the OID of commonName; one that is no string, or cannot be printed, is none."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    others = names.get_values_for_type(x509.OtherName)
    texts = [_text(other.value) for other in others if other.type_id == COMMON_NAME_OTHER]
    return tuple(text for text in texts if text and text.isprintable())


def _text(value: bytes) -> str | None:
    """The string of an otherName; some tools tag it twice."""
    try:
        element = der.read_one(value)
        if element.tag == _EXPLICIT_0:
            element = der.read_one(element.content)
        return element.content.decode(_STRINGS[element.tag]) if element.tag in _STRINGS else None
    except ValueError:
        return None


def peer_certificate(transport: asyncio.BaseTransport) -> PeerCertificate | None:
    """The certificate the peer proved to own, None on plaintext or when it showed none.

    Parses anew at every call: ask once per connection.
    """
    tls = transport.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject | ssl.SSLSocket):
        return None
    der = tls.getpeercert(binary_form=True)
    if not der:
        return None
    anchors = [x509.load_der_x509_certificate(trusted) for trusted in tls.context.get_ca_certs(binary_form=True)]
    return read_certificate(der, _verified_chain(tls), anchors)


def _verified_chain(tls: ssl.SSLObject | ssl.SSLSocket) -> list[x509.Certificate]:
    """Leaf first, trust anchor last; empty where nothing was verified, as in a resumed session.

    Public from Python 3.13; before that it is reached through the inner object.
    """
    source = tls if hasattr(tls, "get_verified_chain") else getattr(tls, "_sslobj", None)
    found = source.get_verified_chain() if source is not None else None
    return [x509.load_der_x509_certificate(_der(certificate)) for certificate in found or ()]


def _der(certificate: Any) -> bytes:
    return certificate if isinstance(certificate, bytes) else ssl.PEM_cert_to_DER_cert(certificate.public_bytes())


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
        return readable_certificate(_der(first))
    except (AttributeError, ValueError, TypeError, ssl.SSLError):
        return None
