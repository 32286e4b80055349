"""Which fault a failed handshake stands for: names for what ssl, sockets and our own checks raise.

The faults are judged by OpenSSL and by the checks of this room; here they only get a name. `explain.py` puts them into
words. Tests: tests/tls/test_explain.py.
"""

from __future__ import annotations

import ssl
from enum import Enum

from hanse.tls.trust_restrictions import RestrictedTrustError


class Fault(Enum):
    """`OWN_*`: the peer refused what this node showed. The rest: this side refused, or nobody did."""

    NO_CERTIFICATE = "no_certificate"
    UNKNOWN_AUTHORITY = "unknown_authority"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    NAME_MISMATCH = "name_mismatch"
    NO_AUTHORITY = "no_authority"
    WRONG_USE = "wrong_use"
    RESTRICTED = "restricted"
    WEAK = "weak"
    BAD_CERTIFICATE = "bad_certificate"
    OWN_MISSING = "own_missing"
    OWN_UNKNOWN_AUTHORITY = "own_unknown_authority"
    OWN_EXPIRED = "own_expired"
    OWN_WRONG_USE = "own_wrong_use"
    OWN_BAD_CERTIFICATE = "own_bad_certificate"
    NO_COMMON_VERSION = "no_common_version"
    NO_COMMON_CIPHER = "no_common_cipher"
    PLAINTEXT_HTTP = "plaintext_http"
    PLAINTEXT = "plaintext"
    WRONG_KEY = "wrong_key"
    TIMED_OUT = "timed_out"
    CLOSED = "closed"
    OTHER = "other"


class PlaintextError(ConnectionError):
    """The bytes that came in are not TLS."""

    def __init__(self, first_bytes: bytes) -> None:
        super().__init__("plaintext")
        self.is_http = looks_like_http(first_bytes)


class UnreadableCertificateError(ssl.SSLError):
    """The chain of the certificate is trusted, and the certificate itself cannot be read."""

    def __init__(self) -> None:
        super().__init__("unreadable certificate")


class HandshakeTimeoutError(TimeoutError):
    """The handshake did not end in time."""


_VERIFY_FAULTS = {
    9: Fault.NOT_YET_VALID,
    10: Fault.EXPIRED,
    2: Fault.UNKNOWN_AUTHORITY,
    18: Fault.UNKNOWN_AUTHORITY,
    19: Fault.UNKNOWN_AUTHORITY,
    20: Fault.UNKNOWN_AUTHORITY,
    21: Fault.UNKNOWN_AUTHORITY,
    7: Fault.UNKNOWN_AUTHORITY,  # the name of a trusted authority, with another key
    30: Fault.UNKNOWN_AUTHORITY,
    24: Fault.NO_AUTHORITY,
    32: Fault.NO_AUTHORITY,
    79: Fault.NO_AUTHORITY,
    26: Fault.WRONG_USE,
    66: Fault.WEAK,
    67: Fault.WEAK,
    68: Fault.WEAK,
    62: Fault.NAME_MISMATCH,
    64: Fault.NAME_MISMATCH,
}
"""By OpenSSL's X509_V_ERR number."""

_REASON_FAULTS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": Fault.NO_CERTIFICATE,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": Fault.OWN_MISSING,
    "TLSV1_ALERT_UNKNOWN_CA": Fault.OWN_UNKNOWN_AUTHORITY,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": Fault.OWN_EXPIRED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": Fault.OWN_WRONG_USE,
    "SSLV3_ALERT_BAD_CERTIFICATE": Fault.OWN_BAD_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": Fault.OWN_BAD_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": Fault.OWN_BAD_CERTIFICATE,
    "TLSV1_ALERT_ACCESS_DENIED": Fault.OWN_BAD_CERTIFICATE,
    "TLSV1_ALERT_PROTOCOL_VERSION": Fault.NO_COMMON_VERSION,
    "UNSUPPORTED_PROTOCOL": Fault.NO_COMMON_VERSION,
    "VERSION_TOO_LOW": Fault.NO_COMMON_VERSION,
    "NO_SHARED_CIPHER": Fault.NO_COMMON_CIPHER,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": Fault.NO_COMMON_CIPHER,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": Fault.NO_COMMON_CIPHER,
    "HTTP_REQUEST": Fault.PLAINTEXT_HTTP,
    "HTTPS_PROXY_REQUEST": Fault.PLAINTEXT_HTTP,
    "WRONG_VERSION_NUMBER": Fault.PLAINTEXT,
    "PACKET_LENGTH_TOO_LONG": Fault.PLAINTEXT,
    "RECORD_LAYER_FAILURE": Fault.PLAINTEXT,
    "BAD_SIGNATURE": Fault.WRONG_KEY,
    "TLSV1_ALERT_DECRYPT_ERROR": Fault.WRONG_KEY,
}

_HTTP_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"TRACE ", b"CONNECT ")
_TLS_HANDSHAKE = 0x16
_TLS_ALERT = 0x15


def looks_like_http(first_bytes: bytes) -> bool:
    return first_bytes.startswith(_HTTP_METHODS) or first_bytes.startswith(b"HTTP/")


def looks_like_tls(first_bytes: bytes) -> bool:
    """True for the beginning of a TLS record: a handshake, or the alert that refuses one."""
    is_record = first_bytes[:1] in (bytes([_TLS_HANDSHAKE]), bytes([_TLS_ALERT]))
    return is_record and first_bytes[1:2] in (b"", b"\x03")


def fault_of(exc: BaseException | type[BaseException] | None) -> Fault:
    """Which fault an exception stands for; an end of the connection without exception is CLOSED."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return _VERIFY_FAULTS.get(exc.verify_code, Fault.BAD_CERTIFICATE)
    if isinstance(exc, RestrictedTrustError):
        return Fault.RESTRICTED
    if isinstance(exc, UnreadableCertificateError):
        return Fault.BAD_CERTIFICATE
    if isinstance(exc, PlaintextError):
        return Fault.PLAINTEXT_HTTP if exc.is_http else Fault.PLAINTEXT
    if isinstance(exc, TimeoutError):
        return Fault.TIMED_OUT
    if isinstance(exc, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Fault.CLOSED
    if isinstance(exc, ssl.SSLError):
        return _REASON_FAULTS.get(exc.reason or "", Fault.OTHER)
    if exc is None or isinstance(exc, ConnectionError | type):
        return Fault.CLOSED
    return Fault.OTHER
