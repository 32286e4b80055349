"""How far `hanse doctor` gets on the way to another cluster by itself: name, socket, TLS both ways, hello.

Dials as the node would, with the node's own certificate and trust. When that is refused it looks a second time without
verifying, to say what was shown; nothing is sent then. Tests: tests/cli/test_doctor_reach.py.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hanse import __version__
from hanse.cli.findings import Findings
from hanse.errors import ConnectTransportError, HanseError
from hanse.remote.verification import clock_words
from hanse.settings.registry import Settings
from hanse.tls import endpoints
from hanse.tls.certificate_words import alternative_names, printable
from hanse.tls.contexts import TlsContexts
from hanse.tls.faults import Fault, fault_of
from hanse.tls.identity import PeerCertificate, peer_certificate
from hanse.tls.listing import WARN_DAYS
from hanse.tls.ssl_settings import TRANSPORT
from hanse.transport.connection import Connection, connect
from hanse.transport.hello import CLOCK_SKEW_S_MAX, Hello

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What the node has to dial with. `blind` verifies nothing; both are None when transport TLS is off."""

    contexts: TlsContexts | None
    blind: TlsContexts | None

    @classmethod
    def of(cls, settings: Settings, config_dir: Path, secure: dict[str, str]) -> Ground:
        """Raises SettingsError for files that cannot be read."""
        contexts = TlsContexts.from_settings(settings, TRANSPORT, config_dir, secure)
        if not contexts.enabled:
            return cls(None, None)
        unverified = Settings({**settings, f"{TRANSPORT}.verification_mode": "none"})
        return cls(contexts, TlsContexts.from_settings(unverified, TRANSPORT, config_dir, secure))


async def reach(
    findings: Findings, alias: str, address: str, server_name: str, ground: Ground, own: Hello, setting: str
) -> None:
    """From the name to the answered hello; stops at the first thing that does not hold."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    mend = (
        f'PUT /_cluster/settings {{"persistent": {{"{setting}": …}}}}, with the right address in place of [{address}]'
    )
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        findings.fails(alias, "name", f"[{host}] cannot be resolved: {error}", mend)
        return
    findings.holds(alias, "name", f"[{host}] is {', '.join(sorted({str(one[4][0]) for one in found}))}")
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
    except (OSError, TimeoutError) as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or str(error)
        step = f"start the node there, open the port in firewalls between, or: {mend}"
        findings.fails(alias, "tcp", f"[{address}] cannot be connected to: {why}", step)
        return
    findings.holds(alias, "tcp", f"[{address}] accepts connections")
    await _dial(findings, alias, (host, int(port)), server_name, ground, own, mend)


async def _dial(
    findings: Findings,
    alias: str,
    place: tuple[str, int],
    server_name: str,
    ground: Ground,
    own: Hello,
    mend: str,
) -> None:
    try:
        connection = await connect(*place, own, ground.contexts, server_name=server_name or None, timeout_s=TIMEOUT_S)
    except ConnectTransportError as error:
        fault = fault_of(error.__cause__) if error.__cause__ is not None else None
        if fault in (None, Fault.CLOSED):
            findings.fails(alias, "hello", error.reason, mend)
        else:
            shown = await _second_look(place, server_name or place[0], ground)
            findings.fails(alias, "tls", f"{error.reason}{shown}", _mend_of(fault, ground))
        return
    try:
        _judge(findings, alias, connection, own, mend)
    finally:
        await connection.close()


async def _second_look(place: tuple[str, int], name: str, ground: Ground) -> str:
    """What the other side shows to somebody who believes anything."""
    if ground.blind is None or ground.contexts is None:
        return ""
    try:
        transport, _ = await endpoints.dial(
            asyncio.Protocol, *place, ground.blind, server_name=name, timeout_s=TIMEOUT_S
        )
    except HanseError:
        return ""
    certificate = peer_certificate(transport)
    transport.abort()
    trusted = "; ".join(one.subject.rfc4514_string() for one in ground.contexts.trusted)
    return f". Shown is {_described(certificate)}; trusted here: [{trusted}]" if certificate is not None else ""


def _described(certificate: PeerCertificate) -> str:
    names = ", ".join(alternative_names(certificate)) or "no names"
    return (
        f"[{printable(certificate.subject)}] from [{printable(certificate.issuer)}] for [{names}], valid from "
        f"[{certificate.not_before.isoformat()}] to [{certificate.not_after.isoformat()}]"
    )


def _mend_of(fault: Fault | None, ground: Ground) -> str:
    """The step that mends a failed handshake, on the side where it has to be done."""
    files = [path.name for path in ground.contexts.files] if ground.contexts is not None else []
    match fault:
        case Fault.UNKNOWN_AUTHORITY:
            return (
                f"add the other cluster's CA to a file in [{TRANSPORT}.certificate_authorities] (of {files}); it is "
                f"taken up without a restart. Or in one step, for both sides: hanse trust invite"
            )
        case Fault.OWN_UNKNOWN_AUTHORITY | Fault.OWN_BAD_CERTIFICATE | Fault.OWN_MISSING:
            return (
                f"over there: add this cluster's CA to a file in [{TRANSPORT}.certificate_authorities]. Or in one "
                f"step, for both sides: hanse trust invite"
            )
        case Fault.EXPIRED | Fault.WRONG_USE | Fault.BAD_CERTIFICATE:
            return "over there: hanse certutil cert, put the new files in place, POST /_ssl/reload"
        case Fault.OWN_EXPIRED | Fault.OWN_WRONG_USE:
            return "here: hanse certutil cert, put the new files in place, POST /_ssl/reload"
        case Fault.NOT_YET_VALID:
            return "set the clocks of both machines: timedatectl set-ntp true"
        case Fault.NAME_MISMATCH:
            return (
                f"over there: hanse certutil cert --dns … --ip … with the dialled name; or here: "
                f"[{TRANSPORT}.verification_mode: certificate]"
            )
        case Fault.PLAINTEXT | Fault.PLAINTEXT_HTTP:
            return f"name the transport port (by default 9300); both sides need [{TRANSPORT}.enabled: true]"
        case _:
            return f"compare [{TRANSPORT}.*] on both sides"


def _judge(findings: Findings, alias: str, connection: Connection, own: Hello, mend: str) -> None:
    peer, certificate = connection.peer, connection.peer_certificate
    if certificate is None:
        findings.holds(alias, "tls", "is off on both sides: whoever reaches the port is believed")
    else:
        findings.holds(alias, "tls", f"both sides accept each other; shown is {_described(certificate)}")
        _judge_dates(findings, alias, certificate)
    if own.cluster_uuid and peer.cluster_uuid == own.cluster_uuid:
        findings.fails(alias, "hello", f"[{connection.address}] is this cluster itself", mend)
    else:
        findings.holds(alias, "hello", f"node [{peer.node_name}] of cluster [{peer.cluster_name}] answers")
    skew_s = connection.clock_skew_s
    if skew_s is not None and abs(skew_s) >= CLOCK_SKEW_S_MAX:
        step = "set the clocks of both machines: timedatectl set-ntp true"
        findings.fails(alias, "clock skew", f"its clock is {clock_words(skew_s)}", step)
    elif skew_s is not None:
        findings.holds(alias, "clock skew", f"its clock differs from ours by less than [{CLOCK_SKEW_S_MAX:.0f}s]")
    if peer.version == __version__:
        findings.holds(alias, "version", f"both run [{peer.version}]")
    else:
        findings.fails(
            alias, "version", f"it runs [{peer.version}], this node [{__version__}]", "bring both to one release"
        )


def _judge_dates(findings: Findings, alias: str, certificate: PeerCertificate) -> None:
    now = datetime.now(UTC)
    if certificate.not_before > now:
        findings.fails(
            alias,
            "clock",
            f"its certificate begins at [{certificate.not_before.isoformat()}], in the future",
            "set the clocks of both machines: timedatectl set-ntp true",
        )
    elif certificate.not_after - now < timedelta(days=WARN_DAYS):
        findings.fails(
            alias,
            "expiry",
            f"its certificate ends at [{certificate.not_after.isoformat()}]",
            "over there: hanse certutil cert, put the new files in place, POST /_ssl/reload",
        )
    else:
        findings.holds(alias, "clock", f"its certificate is valid at [{now.isoformat(timespec='seconds')}], our time")
