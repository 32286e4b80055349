"""TLS faults as sentences: what was refused, by whom, and what would mend it.

`explain` makes the sentence that logs, errors and tests share of what `fault_of` named (faults.py).
Tests: tests/tls/test_explain.py.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace

from hanse.tls.certificate_words import Trust, described
from hanse.tls.faults import Fault, UnreadableCertificateError, fault_of
from hanse.tls.identity import PeerCertificate
from hanse.tls.ssl_settings import TRANSPORT
from hanse.tls.trust_restrictions import RestrictedTrustError


@dataclass(frozen=True, slots=True)
class View:
    """From where a fault is seen. `peer` is the dialled `host:port` or the address that dialled us."""

    peer: str = ""
    host: str = ""
    is_dialling: bool = True
    prefix: str = TRANSPORT
    shown: PeerCertificate | None = None
    trust: Trust | None = None


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
