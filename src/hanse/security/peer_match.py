"""Which certificates are a remote peer's: `{"any": [...], "all": [...]}` of issuer, subject, san and fingerprints.

Distinguished names are compared part by part, never as text, so that no escape, multi-valued part, second common name
or embedded NUL makes one name pass for another; an issuer has to be proven by the verified chain.
Tests: tests/security/test_peer_match.py.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hanse.errors import HanseError, ParsingError
from hanse.security.patterns import NamePatterns
from hanse.tls.identity import PeerCertificate, structured_text

CRITERIA_MAX = 1000
_HOST_NAME = re.compile(r"[a-z0-9_*.-]{1,253}")
_SAN_PATTERN = re.compile(r"[a-z0-9_*?.:-]{1,253}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


Test = Callable[[PeerCertificate], bool]


class PeerParsingError(ParsingError):
    """A definition of a remote peer that cannot be read."""

    type = "parse_exception"


@dataclass(frozen=True, slots=True)
class PeerMatch:
    """One of `any` (where there is one) and every one of `all` has to hold."""

    any: tuple[Test, ...]
    all: tuple[Test, ...]
    needs_proof: bool
    """Looks at what an authority vouches for, so a certificate whose issuers are not proven cannot be judged. Only a
    fingerprint needs nobody's word: the handshake proves the key."""

    def matches(self, certificate: PeerCertificate) -> bool:
        if self.any and not any(holds(certificate) for holds in self.any):
            return False
        return all(holds(certificate) for holds in self.all)


def parse_match(peer: str, body: Any) -> PeerMatch:
    """Raises HanseError with status 400."""
    if not isinstance(body, Mapping):
        raise problem(peer, '[match] is missing or no object; expected {"any": [...]} or {"all": [...]}')
    for field in body:
        if field not in ("any", "all"):
            raise problem(peer, f"unexpected field [match.{field}], expected [any] or [all]")
    of_any = _criteria(peer, "any", body.get("any"))
    of_all = _criteria(peer, "all", body.get("all"))
    if not of_any and not of_all:
        raise problem(peer, "[match] names no criterion; it would match every certificate or none")
    vouched = any("fingerprint_sha256" not in entry for part in ("any", "all") for entry in body.get(part) or ())
    return PeerMatch(of_any, of_all, vouched)


def _criteria(peer: str, part: str, value: Any) -> tuple[Test, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        raise problem(peer, f"[match.{part}] must be an array with one criterion at least")
    if len(value) > CRITERIA_MAX:
        raise problem(peer, f"[match.{part}] has more than [{CRITERIA_MAX}] criteria")
    return tuple(_criterion(peer, f"match.{part}", entry) for entry in value)


def _criterion(peer: str, where: str, entry: Any) -> Test:
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise problem(peer, f"each entry of [{where}] must be an object with exactly one of [{', '.join(_READERS)}]")
    ((kind, text),) = entry.items()
    reader = _READERS.get(kind)
    if reader is None:
        raise problem(peer, f"unexpected field [{where}.{kind}], expected one of [{', '.join(_READERS)}]")
    if not isinstance(text, str) or not text:
        raise problem(peer, f"[{where}.{kind}] must be a string that is not empty")
    try:
        return reader(text)
    except HanseError as error:
        raise problem(peer, f"[{where}.{kind}] [{text}]: {error.reason}") from error
    except ValueError as error:
        raise problem(peer, f"[{where}.{kind}] [{text}] {error}") from error


def _issuer(text: str) -> Test:
    wanted = _distinguished_name(text)
    return lambda certificate: wanted in certificate.proven_issuers


def _subject(text: str) -> Test:
    wanted = _distinguished_name(text)
    return lambda certificate: certificate.subject_rdns == wanted


def _distinguished_name(text: str) -> Any:
    try:
        return structured_text(text)
    except ValueError as error:
        reason = f": {error}" if str(error) else ""
        raise ValueError(f"is not a distinguished name such as [CN=ca-munich,O=Example]{reason}") from error


def _san(text: str) -> Test:
    lowered = text.lower()
    try:
        wanted = str(ipaddress.ip_address(lowered))
    except ValueError:
        wanted = lowered
    if _SAN_PATTERN.fullmatch(wanted) is None:
        raise ValueError("is not a host name, an address or a pattern of these such as [*.munich.example]")
    if not any(char.isalnum() for char in wanted):
        raise ValueError("would match every name")
    patterns = NamePatterns([wanted])

    def holds(certificate: PeerCertificate) -> bool:
        # What is no host name (a NUL in it, say) is nobody's name.
        names = (name.lower() for name in certificate.dns_names)
        return any(_HOST_NAME.fullmatch(name) is not None and patterns.matches(name) for name in names) or any(
            patterns.matches(address) for address in certificate.ip_addresses
        )

    return holds


def _digits(text: str) -> str:
    wanted = text.lower().replace(":", "")
    if _FINGERPRINT.fullmatch(wanted) is None:
        raise ValueError("is not a SHA-256 fingerprint: 64 hexadecimal digits, with or without colons")
    return wanted


def _fingerprint(text: str) -> Test:
    wanted = _digits(text)
    return lambda certificate: certificate.fingerprint_sha256 == wanted


def _issuer_fingerprint(text: str) -> Test:
    """Of the trust anchor: what tells two authorities apart that bear one name, as auto-configured ones do."""
    wanted = _digits(text)
    return lambda certificate: certificate.anchor_sha256 == wanted


_READERS: dict[str, Callable[[str], Test]] = {
    "issuer": _issuer,
    "subject": _subject,
    "san": _san,
    "fingerprint_sha256": _fingerprint,
    "issuer_fingerprint_sha256": _issuer_fingerprint,
}


def problem(peer: str, sentence: str) -> PeerParsingError:
    return PeerParsingError(f"failed to parse remote peer [{peer}]. {sentence}")
