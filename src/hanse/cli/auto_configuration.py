"""Writes the security part of a node's configuration: certificates, keystore passwords, lines of elasticsearch.yml.

Used by reconfigure-node, with the authorities of the cluster it joins, and by the first start of a node, with new ones.
The certificates are written first and elasticsearch.yml last, so that a failure half-way leaves a node that starts as
before. Tests: tests/cli/test_first_start.py.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from hanse.errors import SettingsError
from hanse.settings.elasticsearch_yml import FILE_NAME as YML
from hanse.settings.keystore import Keystore
from hanse.settings.network import is_loopback
from hanse.tls.authority import CertificateAuthority, Issued, Names
from hanse.tls.pkcs12 import KeyEntry, TrustedEntry, write_pkcs12

CERTS = "certs"
HTTP_CA_DN = "CN=Elasticsearch security auto-configuration HTTP CA"
TRANSPORT_CA_DN = "CN=Elasticsearch security auto-configuration transport CA"
HTTP_CA_DAYS = 3 * 365
HTTP_DAYS = 2 * 365
TRANSPORT_DAYS = 99 * 365
SECURE_SETTINGS = (
    "xpack.security.transport.ssl.keystore.secure_password",
    "xpack.security.transport.ssl.truststore.secure_password",
    "xpack.security.http.ssl.keystore.secure_password",
)
BEGIN = "#----------------------- BEGIN SECURITY AUTO CONFIGURATION -----------------------"
END = "#----------------------- END SECURITY AUTO CONFIGURATION -------------------------"
_BLOCK = re.compile(rf"\n*{re.escape(BEGIN)}\n.*?{re.escape(END)}\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Certificates:
    """What the files are made of. `http` is the authority; this node's HTTP certificate is made with it."""

    http: CertificateAuthority
    transport: Issued
    transport_ca: x509.Certificate | None

    @classmethod
    def new(cls, node_name: str) -> Certificates:
        """Authorities and certificates of a new cluster."""
        authority = CertificateAuthority.create(TRANSPORT_CA_DN, TRANSPORT_DAYS)
        transport = authority.issue_for(Names(_common_name(node_name)), TRANSPORT_DAYS)
        return cls(CertificateAuthority.create(HTTP_CA_DN, HTTP_CA_DAYS), transport, authority.certificate)


def configure_security(
    config_dir: Path, node_name: str, certificates: Certificates, extra: Mapping[str, str | Sequence[str]]
) -> None:
    """Writes everything anew, in place of what an earlier run wrote. Raises SettingsError naming the file."""
    yml = config_dir / YML
    try:
        before = yml.read_text() if yml.exists() else ""
        passwords = _write_certificates(config_dir, node_name, certificates)
        keystore = Keystore.load(config_dir) or Keystore.create(config_dir)
        for name in SECURE_SETTINGS:
            keystore.set(name, passwords["http.p12" if ".http." in name else "transport.p12"])
        keystore.save()
        _replace(yml, without_block(before).rstrip("\n") + "\n\n" + _block(extra))
    except OSError as error:
        raise SettingsError(f"cannot write the security configuration: {error}") from error


def without_block(text: str) -> str:
    """elasticsearch.yml without the lines of an earlier automatic configuration."""
    return _BLOCK.sub("\n", text)


def _write_certificates(config_dir: Path, node_name: str, made: Certificates) -> dict[str, str]:
    """The folder of certificates, complete or as before. Returns the passwords of its files."""
    passwords = {name: secrets.token_urlsafe(16) for name in ("http.p12", "transport.p12")}
    own = made.http.issue_for(Names(_common_name(node_name), *_own_names()), HTTP_DAYS)
    http = [
        KeyEntry("http", own.key, (own.certificate, made.http.certificate)),
        KeyEntry("http_ca", made.http.key, (made.http.certificate,)),
    ]
    trusted = [] if made.transport_ca is None else [TrustedEntry("transport_ca", made.transport_ca)]
    transport = [KeyEntry("transport", made.transport.key, (made.transport.certificate,))]
    contents = {
        "http_ca.crt": made.http.certificate.public_bytes(serialization.Encoding.PEM),
        "http.p12": write_pkcs12(http, password=passwords["http.p12"]),
        "transport.p12": write_pkcs12(transport, trusted, passwords["transport.p12"]),
    }
    fresh = config_dir / f".{CERTS}.{secrets.token_hex(4)}"
    fresh.mkdir(mode=0o700)
    try:
        for name, content in contents.items():
            with os.fdopen(os.open(fresh / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
        target = config_dir / CERTS
        if target.exists():
            target.rename(config_dir / f".{CERTS}.{secrets.token_hex(4)}.old")
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        for old in config_dir.glob(f".{CERTS}.*.old"):
            shutil.rmtree(old, ignore_errors=True)
    return passwords


def _block(extra: Mapping[str, str | Sequence[str]]) -> str:
    now = datetime.now(UTC).strftime("%d-%m-%Y %H:%M:%S")
    lines = [
        BEGIN,
        "#",
        f"# These settings, TLS certificates and keys were made on {now} UTC.",
        "#",
        "xpack.security.enabled: true",
        "xpack.security.enrollment.enabled: true",
        "xpack.security.http.ssl:",
        "  enabled: true",
        f"  keystore.path: {CERTS}/http.p12",
        "xpack.security.transport.ssl:",
        "  enabled: true",
        "  verification_mode: certificate",
        f"  keystore.path: {CERTS}/transport.p12",
        f"  truststore.path: {CERTS}/transport.p12",
    ]
    for key, value in extra.items():
        lines.append(f"{key}: {json.dumps(value)}")  # a JSON text is YAML too
    return "\n".join([*lines, END, ""])


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    mode = path.stat().st_mode & 0o7777 if path.exists() else 0o660
    try:
        fresh.write_text(text)
        fresh.chmod(mode)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _own_names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Host names and addresses under which clients may reach this machine."""
    host = socket.gethostname()
    addresses = ["127.0.0.1", "::1"]
    try:
        found = [str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)]
    except OSError:
        found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: the system only says which address it would use
            found.append(str(probe.getsockname()[0]))
        except OSError:
            pass
    addresses += [text for text in found if not is_loopback(text) and not ipaddress.ip_address(text).is_unspecified]
    names = ["localhost", *([host] if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", host) else [])]
    return tuple(dict.fromkeys(names)), tuple(dict.fromkeys(addresses))


def _common_name(node_name: str) -> str:
    """A node name may hold what a distinguished name would read as its parts."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", node_name)[:64] or "node"
