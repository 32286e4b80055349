"""Certificates with one fault each, and contexts of a peer that shows them without looking."""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hanse.settings.registry import Settings
from hanse.tls import der
from hanse.tls.authority import COMMON_NAME_OTHER
from hanse.tls.contexts import TlsContexts
from hanse.tls.ssl_settings import TRANSPORT, SslSettings, read_ssl_settings

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
SOUND_NAMES = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


@dataclass(frozen=True)
class Recipe:
    """What goes into a certificate."""

    subject: str = "berlin"
    signer: str = "ca"
    uses: tuple[x509.ObjectIdentifier, ...] | None = (SERVER, CLIENT)
    names: tuple[x509.GeneralName, ...] = SOUND_NAMES
    begins: datetime = NOW - DAY
    ends: datetime = NOW + DAY
    is_authority: bool = False
    rsa_bits: int = 0
    digest: str = "sha256"
    shows: tuple[str, ...] = ()
    """The authorities whose certificates follow in the file."""


@dataclass
class Party:
    certificate: x509.Certificate
    key: Any


AUTHORITIES = {
    "ca": Recipe("ca", "ca", is_authority=True),
    "stranger": Recipe("stranger", "stranger", is_authority=True),
    "impostor": Recipe("ca", "impostor", is_authority=True),
    "middle": Recipe("middle", "ca", is_authority=True),
    "old-middle": Recipe("old-middle", "ca", is_authority=True, ends=NOW - DAY / 2),
    "leaf-as-authority": Recipe("not-an-authority", "ca"),
}
NODES = {
    "sound": Recipe(),
    "sound without uses": Recipe(uses=None),
    "sound below an intermediate": Recipe(signer="middle", shows=("middle",)),
    "expired": Recipe(ends=NOW - DAY / 2),
    "not yet valid": Recipe(begins=NOW + DAY / 2),
    "of another authority": Recipe(signer="stranger"),
    "of another authority that is shown": Recipe(signer="stranger", shows=("stranger",)),
    "of an impostor with the authority's name": Recipe(signer="impostor"),
    "missing intermediate": Recipe(signer="middle"),
    "expired intermediate": Recipe(signer="old-middle", shows=("old-middle",)),
    "signed by a node": Recipe(signer="leaf-as-authority", shows=("leaf-as-authority",)),
    "another name": Recipe(names=(x509.DNSName("elsewhere.example"), x509.IPAddress(ipaddress.ip_address("10.0.0.9")))),
    "no names": Recipe("127.0.0.1", names=()),
    "for servers only": Recipe(uses=(SERVER,)),
    "for clients only": Recipe(uses=(CLIENT,)),
    "for signing code": Recipe(uses=(ExtendedKeyUsageOID.CODE_SIGNING,)),
    "self-signed": Recipe(signer="berlin"),
    "SHA-1": Recipe(digest="sha1"),
    "tiny RSA": Recipe(rsa_bits=1024),
}


@dataclass
class Workshop:
    """Makes each certificate once, and writes it as an operator would have it."""

    folder: Path
    made: dict[str, Party] = field(default_factory=dict)
    built: dict[str, TlsContexts] = field(default_factory=dict)

    def authority(self, name: str) -> Party:
        return self._party(name, AUTHORITIES[name])

    def write(self, name: str, recipe: Recipe | None = None) -> str:
        """The stem of the files of a node's certificate."""
        stem = name.replace(" ", "-").replace("'", "")
        if not (self.folder / f"{stem}.crt").exists():
            recipe = recipe or NODES[name]
            party = self._party(name, recipe)
            chain = [party, *(self.authority(above) for above in recipe.shows)]
            (self.folder / f"{stem}.crt").write_bytes(b"".join(pem(one.certificate) for one in chain))
            (self.folder / f"{stem}.key").write_bytes(key_pem(party.key))
            (self.folder / "ca.crt").write_bytes(pem(self.authority("ca").certificate))
        return stem

    def settings(self, name: str, recipe: Recipe | None = None, prefix: str = TRANSPORT, **more: Any) -> Settings:
        stem = self.write(name, recipe)
        values = {
            "enabled": "true",
            "key": f"{stem}.key",
            "certificate": f"{stem}.crt",
            "certificate_authorities": "ca.crt",
            **more,
        }
        return Settings({f"{prefix}.{key}": value for key, value in values.items()})

    def contexts(self, name: str, recipe: Recipe | None = None, prefix: str = TRANSPORT, **more: Any) -> TlsContexts:
        """Contexts as the node makes them, once for the same settings."""
        settings = self.settings(name, recipe, prefix, **more)
        known = repr((prefix, sorted(settings.items())))
        if known not in self.built:
            self.built[known] = TlsContexts.from_settings(settings, prefix, self.folder)
        return self.built[known]

    def careless(self, name: str, version: ssl.TLSVersion) -> TlsContexts:
        """A peer that shows what no node would load, and verifies nothing."""
        settings = self.settings("sound", verification_mode="none")
        read = read_ssl_settings(settings, TRANSPORT, self.folder)
        return _Careless(read, self.folder / self.write(name), version)

    def _party(self, name: str, recipe: Recipe) -> Party:
        if name not in self.made:
            key = _key(recipe)
            is_own = recipe.signer in (name, recipe.subject)
            signer = Party(None, key) if is_own else self.authority(recipe.signer)  # type: ignore[arg-type]
            subject = _name(recipe.subject)
            issuer = subject if is_own else signer.certificate.subject
            self.made[name] = Party(_sign(recipe, subject, issuer, key, signer.key), key)
        return self.made[name]


class _Careless(TlsContexts):
    def __init__(self, settings: SslSettings, stem: Path, version: ssl.TLSVersion) -> None:
        super().__init__(settings)
        self._stem, self._version = stem, version

    def server(self) -> ssl.SSLContext:
        return self._with(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def client(self, *, check_name: bool | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return self._with(context)

    def _with(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = context.maximum_version = self._version
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(self._stem.with_suffix(".crt"), self._stem.with_suffix(".key"))
        return context


def other_name(text: str) -> x509.OtherName:
    encoded = text.encode()
    return x509.OtherName(COMMON_NAME_OTHER, bytes((0x0C, len(encoded))) + encoded)


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: Any, password: bytes | None = None) -> bytes:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key(recipe: Recipe) -> Any:
    if recipe.rsa_bits:
        return rsa.generate_private_key(public_exponent=65537, key_size=recipe.rsa_bits)
    return ec.generate_private_key(ec.SECP256R1())


def _sign(recipe: Recipe, subject: x509.Name, issuer: x509.Name, key: Any, signer: Any) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(recipe.begins if recipe.begins < recipe.ends else recipe.ends - DAY)
        .not_valid_after(recipe.ends)
        .add_extension(x509.BasicConstraints(ca=recipe.is_authority, path_length=None), critical=True)
    )
    if recipe.uses is not None and not recipe.is_authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage(recipe.uses), critical=False)
    if recipe.names and not recipe.is_authority:
        builder = builder.add_extension(x509.SubjectAlternativeName(recipe.names), critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    return _resigned_with_sha1(certificate, signer) if recipe.digest == "sha1" else certificate


def _resigned_with_sha1(certificate: x509.Certificate, signer: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """What no library of today signs any more, and what old authorities have signed."""
    algorithm = der.sequence(der.oid("1.2.840.10045.4.1"))
    version, serial, _, *rest = der.read_one(certificate.tbs_certificate_bytes).children()
    signed = der.sequence(version.raw, serial.raw, algorithm, *(part.raw for part in rest))
    digest = hashlib.sha1(signed, usedforsecurity=False).digest()
    signature = signer.sign(digest, ec.ECDSA(Prehashed(hashes.SHA1())))
    return x509.load_der_x509_certificate(der.sequence(signed, algorithm, der.tagged(0x03, b"\0" + signature)))
