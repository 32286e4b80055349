"""TLS faults as sentences: what was refused, by whom, and what would mend it.

`fault_of` names the fault in an exception from ssl or a socket; `explain` makes the sentence that logs, errors and
tests share. The faults are judged by OpenSSL, here they are only put into words. Tests: tests/tls/test_explain.py.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from enum import Enum

from hanse.tls.certificate_words import Trust, described
from hanse.tls.identity import PeerCertificate
from hanse.tls.ssl_settings import TRANSPORT
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


@dataclass(frozen=True, slots=True)
class View:
    """From where a fault is seen. `peer` is the dialled `host:port` or the address that dialled us."""

    peer: str = ""
    host: str = ""
    is_dialling: bool = True
    prefix: str = TRANSPORT
    shown: PeerCertificate | None = None
    trust: Trust | None = None


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


def explain(exc: BaseException | type[BaseException] | None, view: View | None = None) -> str:
    """One sentence for a failed handshake, or for a connection that ended: what happened and what would mend it."""
    seen = view or View()
    fault = fault_of(exc)
    if fault is Fault.OTHER:
        return f"{_other(exc)}{_of(seen)}"
    if isinstance(exc, RestrictedTrustError):
        return _restricted(exc, seen)
    if isinstance(exc, UnreadableCertificateError):
        return f"{_distrust(replace(seen, shown=None))} that cannot be read; issue it a proper one"
    if fault in _BY_CODE and isinstance(exc, ssl.SSLCertVerificationError):
        return _BY_CODE[fault](exc.verify_code, seen)
    if fault is Fault.NAME_MISMATCH and isinstance(exc, ssl.SSLCertVerificationError):
        return _name_mismatch(exc, seen)
    if fault is Fault.BAD_CERTIFICATE and isinstance(exc, ssl.SSLCertVerificationError):
        return f"{_distrust(seen)}: {exc.verify_message}; issue it a proper certificate"
    return _SENTENCES[fault](seen)


def _distrust(view: View) -> str:
    """Elasticsearch's beginning of these lines, and what the certificate said of itself where it is known."""
    side, place = ("server", view.host or view.peer) if view.is_dialling else ("client", view.peer)
    text = f"failed to establish trust with {side} at [{place}]; the {side} provided a certificate"
    return text if view.shown is None else f"{text} {described(view.shown)}"


def _unknown_authority(code: int, view: View) -> str:
    side = "server" if view.is_dialling else "client"
    seen = {
        18: "; it is self-signed",
        19: f"; the authority at the top of the chain that the {side} provided is not one that is trusted here",
        20: f"; the {side} did not provide a copy of the issuing certificate in the certificate chain",
        21: f"; the {side} did not provide a copy of the issuing certificate in the certificate chain",
        7: "; its signature is not that of the authority it names",
    }.get(code, "")
    trust = view.trust
    consulted, trusted = (f" ({trust.configuration})", f", {trust.issuers}") if trust is not None else ("", "")
    setting = trust.setting if trust is not None else f"{view.prefix}.certificate_authorities"
    return (
        f"{_distrust(view)}{seen}; this ssl context ([{view.prefix}{consulted}]) is not configured to trust that issuer"
        f"{trusted}; if the peer is to be trusted, add the certificate of the authority that signed it to "
        f"[{setting}] on this node, or the missing ones of its chain to the file of its certificate"
    )


def _weak(code: int, view: View) -> str:
    what = {
        66: "its key is too small",
        67: "the key of an authority above it is too small",
        68: "it is signed with a digest that is broken, such as SHA-1",
    }[code]
    return (
        f"{_distrust(view)}; {what}; issue it a new one with a key of P-256 or at least 2048 bits of RSA, signed with "
        f"SHA-256"
    )


def _restricted(exc: RestrictedTrustError, view: View) -> str:
    restrictions = exc.restrictions
    names = f"its names [{', '.join(exc.names)}]" if exc.names else "it holds no name that is compared and so none"
    return (
        f"{_distrust(replace(view, shown=exc.shown))}; its chain is trusted, but {names} "
        f"{'match' if exc.names else 'matches'} none of the trust restrictions [{', '.join(restrictions.patterns)}] in "
        f"[{restrictions.settings.path}], which compare [{', '.join(restrictions.settings.fields)}]; if the peer is to "
        f"be trusted, add its name to [trust.subject_name] there"
    )


def _name_mismatch(exc: ssl.SSLCertVerificationError, view: View) -> str:
    name = view.host or exc.verify_message.partition("'")[2].rstrip(".'")
    kind = "IP address" if exc.verify_code == 64 else "DNS name"
    return (
        f"{_distrust(view)}; it is not valid for the name [{name}] that was dialled; issue it with that {kind} among "
        f"its subject alternative names, dial a name that it holds, or set [{view.prefix}.verification_mode] to "
        f"[certificate]"
    )


def _no_certificate(view: View) -> str:
    return (
        f"failed to establish trust with client at [{view.peer}]; Empty client certificate chain: the client did not "
        f"provide a certificate and [{view.prefix}.client_authentication] is [required]; set [{view.prefix}.key] and "
        f"[{view.prefix}.certificate] on the client"
    )


def _own_bad(view: View) -> str:
    if view.is_dialling:
        return f"the server{_at(view)} did not accept this node's certificate; its log says why"
    return (
        f"client did not trust this server's certificate, closing connection{_from(view)}; most often the client "
        f"dialled a name or address that the certificate does not hold"
    )


def _own_unknown_authority(view: View) -> str:
    mend = "add the certificate of the authority that signed this node's certificate to its trusted authorities"
    if view.is_dialling:
        return f"the server{_at(view)} does not trust the authority that signed this node's certificate; {mend}"
    return f"client did not trust this server's certificate, closing connection{_from(view)}; {mend}"


def _own_expired(view: View) -> str:
    who = f"the server{_at(view)} refused" if view.is_dialling else f"the client{_of(view)} refused"
    return f"{who} this node's certificate because it has expired; renew [{view.prefix}.certificate]"


def _closed(view: View) -> str:
    if view.is_dialling:
        return (
            f"the server{_at(view)} closed the connection without saying why; it may not speak TLS on that port, or "
            f"not be a node at all"
        )
    return f"the client{_of(view)} closed the connection during the handshake"


def _plaintext(view: View) -> str:
    if view.is_dialling:
        return (
            f"the server{_at(view)} does not speak TLS on that port; enable [{view.prefix}.enabled] there, or dial "
            f"its TLS port"
        )
    return f"received plaintext traffic on an encrypted channel, closing connection{_from(view)}"


def _plaintext_http(view: View) -> str:
    if view.is_dialling:
        return f"the server{_at(view)} answered in plaintext HTTP; dial its transport port with TLS enabled"
    if view.prefix.endswith("http.ssl"):
        return f"received plaintext http traffic on an https channel, closing connection{_from(view)}"
    return (
        f"received plaintext traffic on an encrypted channel, closing connection{_from(view)}; it is an HTTP request, "
        f"and this is not an HTTP port"
    )


_BY_CODE = {Fault.UNKNOWN_AUTHORITY: _unknown_authority, Fault.WEAK: _weak}

_SENTENCES = {
    Fault.NO_CERTIFICATE: _no_certificate,
    Fault.EXPIRED: lambda view: f"{_distrust(view)}; it has expired; issue it a new one",
    Fault.NOT_YET_VALID: lambda view: f"{_distrust(view)}; it is not valid yet; check the clocks of both nodes",
    Fault.NO_AUTHORITY: lambda view: (
        f"{_distrust(view)}; what signed it, or stands above it, is not the certificate of an authority; have it "
        f"issued by an authority"
    ),
    Fault.WRONG_USE: lambda view: (
        f"{_distrust(view)}; its extended key usage does not allow this use; a node's certificate needs both "
        f"serverAuth and clientAuth, or no extended key usage"
    ),
    Fault.OWN_MISSING: lambda view: (
        f"the server{_at(view)} requires a client certificate and this node presented none; set "
        f"[{view.prefix}.key] and [{view.prefix}.certificate] on this node"
    ),
    Fault.OWN_UNKNOWN_AUTHORITY: _own_unknown_authority,
    Fault.OWN_EXPIRED: _own_expired,
    Fault.OWN_WRONG_USE: lambda view: (
        f"the peer{_of(view)} refused this node's certificate because its extended key usage does not allow this use; "
        f"a node's certificate needs both serverAuth and clientAuth, or no extended key usage"
    ),
    Fault.OWN_BAD_CERTIFICATE: _own_bad,
    Fault.NO_COMMON_VERSION: lambda view: (
        f"no TLS version in common with the peer{_of(view)}; compare [{view.prefix}.supported_protocols] on both sides"
    ),
    Fault.NO_COMMON_CIPHER: lambda view: (
        f"the handshake with the peer{_of(view)} found no agreement; compare [{view.prefix}.cipher_suites] on both "
        f"sides, and under TLSv1.2 whether the dialling side has a certificate to show"
    ),
    Fault.PLAINTEXT: _plaintext,
    Fault.PLAINTEXT_HTTP: _plaintext_http,
    Fault.WRONG_KEY: lambda view: (
        f"the handshake with the peer{_of(view)} failed because a signature does not fit its certificate; a node "
        f"may use a key that is not its certificate's, or its certificate's signature is not that of the authority it "
        f"names"
    ),
    Fault.TIMED_OUT: lambda view: (
        f"the peer{_of(view)} did not finish the handshake in time; it may be overloaded, not a node, or behind a "
        f"firewall that drops packets"
    ),
    Fault.CLOSED: _closed,
}


def restricted_for_peer(exc: RestrictedTrustError) -> str:
    """What the refused peer is told: its own names, nothing of what is allowed here."""
    subject = exc.shown.subject if exc.shown is not None else ""
    return (
        f"the certificate [{subject}] is of a trusted authority, but its names [{', '.join(exc.names)}] "
        f"match none of the trust restrictions of this node"
    )


def _other(exc: object) -> str:
    reason = getattr(exc, "reason", None) or getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    return f"TLS failed: {str(reason).lower().replace('_', ' ')}"


def _at(view: View) -> str:
    return f" at [{view.peer}]" if view.peer else ""


def _of(view: View) -> str:
    return f" [{view.peer}]" if view.peer else ""


def _from(view: View) -> str:
    return f" from [{view.peer}]" if view.peer else ""
