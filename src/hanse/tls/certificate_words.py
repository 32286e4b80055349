"""Certificates and trust in words, for the sentences of explain.py and for whoever shows them to people.

A certificate that was refused says what a stranger wanted it to say: its names come out on one line and of limited
length. Tests: tests/tls/test_certificate_words.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from hanse.tls.identity import PeerCertificate

NAMES_MAX = 20
"""Alternative names that are told; of more, only how many they are."""
AUTHORITIES_MAX = 5
NAME_LENGTH_MAX = 256


@dataclass(frozen=True, slots=True)
class Trust:
    """What peers are judged by: the setting, the names of the files it leads to, and the authorities in them.

    No whole paths: errors carry these words to whoever searches.
    """

    setting: str
    files: tuple[str, ...]
    authorities: tuple[x509.Certificate, ...]

    @property
    def configuration(self) -> str:
        kind = "trust store" if self.setting.endswith(".path") else "PEM-trust"
        return f"with trust configuration: {kind}{{{','.join(self.files)}}}"

    @property
    def issuers(self) -> str:
        """Whom it trusts, as the rest of a sentence that named somebody else."""
        names = [printable(one.subject.rfc4514_string()) for one in self.authorities]
        if len(names) == 1:
            mark = self.authorities[0].fingerprint(hashes.SHA256()).hex()
            return f"it only trusts the issuer [{names[0]}] with fingerprint [{mark}]"
        listed = f" [{'], ['.join(names)}]" if len(names) <= AUTHORITIES_MAX else ""
        return f"but trusts [{len(names)}] other issuers{listed}"


def printable(text: str) -> str:
    """On one line, whatever stands in it, and not longer than a name may be."""
    cut = text if len(text) <= NAME_LENGTH_MAX else f"{text[:NAME_LENGTH_MAX]}…"
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in cut)


def alternative_names(certificate: PeerCertificate) -> list[str]:
    """`DNS:…` and `IP:…`; at the end how many were left out."""
    names = [*(f"DNS:{name}" for name in certificate.dns_names), *(f"IP:{ip}" for ip in certificate.ip_addresses)]
    more = [f"and {len(names) - NAMES_MAX} more"] if len(names) > NAMES_MAX else []
    return [*map(printable, names[:NAMES_MAX]), *more]


def described(certificate: PeerCertificate) -> str:
    """As the second half of a sentence about a certificate that was provided."""
    names = ",".join(alternative_names(certificate))
    return (
        f"with subject name [{printable(certificate.subject)}], fingerprint [{certificate.fingerprint_sha256}]; the "
        f"certificate is valid between [{certificate.not_before.isoformat()}] and "
        f"[{certificate.not_after.isoformat()}]; the certificate "
        + (f"has subject alternative names [{names}]" if names else "does not have any subject alternative names")
        + f"; the certificate is issued by [{printable(certificate.issuer)}]"
    )


def shown_fields(certificate: PeerCertificate) -> dict[str, Any]:
    """As APIs show the certificate of a peer."""
    return {
        "subject_dn": printable(certificate.subject),
        "issuer": printable(certificate.issuer),
        "subject_alternative_names": alternative_names(certificate),
        "serial_number": certificate.serial_number,
        "fingerprint_sha256": certificate.fingerprint_sha256,
        "not_before": iso(certificate.not_before),
        "expiry": iso(certificate.not_after),
    }


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
