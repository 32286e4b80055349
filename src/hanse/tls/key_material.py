"""Reads keys and certificates from PEM and PKCS#12 files, as a checked pair and a list of trusted certificates.

Every failure is a SettingsError that names the setting and the file. Nothing is cached: a reload reads anew.
Tests: tests/tls/test_key_material.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from hanse.errors import SettingsError
from hanse.tls.pem_faults import fault_of
from hanse.tls.ssl_settings import SslSettings, StoreSettings

FILE_BYTES_MAX = 4 * 1024 * 1024
"""A bundle of every public authority is 220 KB; a longer file is not what the operator meant."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A private key and the chain that belongs to it, the node's own certificate first.

    `others` are certificates that lie in the same keystore without being part of the chain.
    """

    key: PrivateKey
    chain: tuple[x509.Certificate, ...]
    others: tuple[x509.Certificate, ...] = ()


class Stores:
    """The PKCS#12 files of one reading, each opened once: what derives their keys from passwords is slow on purpose."""

    def __init__(self) -> None:
        self._opened: dict[tuple[Path, str | None], pkcs12.PKCS12KeyAndCertificates] = {}

    def open(self, store: StoreSettings, use: str = "") -> pkcs12.PKCS12KeyAndCertificates:
        """Raises SettingsError; `use` stands in its sentence."""
        known = (store.path, store.password)
        if known not in self._opened:
            self._opened[known] = _open_store(store, use)
        return self._opened[known]


def read_identity(settings: SslSettings, stores: Stores) -> KeyMaterial | None:
    """The node's own key and certificate, None when none are configured."""
    if settings.keystore is not None:
        return _identity_of_store(settings.keystore, stores)
    if settings.certificate is None or settings.key is None:
        return None
    cert_setting, key_setting = f"{settings.prefix}.certificate", f"{settings.prefix}.key"
    chain = read_certificates(settings.certificate, cert_setting, "PEM certificate")
    key = _read_key(settings.key, key_setting, settings.key_passphrase)
    if key.public_key() != chain[0].public_key():
        raise SettingsError(
            f"the private key [{settings.key}] in [{key_setting}] does not belong to the first certificate of "
            f"[{settings.certificate}] in [{cert_setting}]"
        )
    return KeyMaterial(key, chain)


def read_trusted(settings: SslSettings, identity: KeyMaterial | None, stores: Stores) -> tuple[x509.Certificate, ...]:
    """The certificates that end a chain. Without a trust setting: those beside the node's own key.

    Elasticsearch would add the public authorities then. We do not: whoever can get a certificate from one of them
    would be a node of this cluster.
    """
    if settings.truststore is not None:
        return read_trusted_store(settings.truststore, stores)
    if settings.authorities is not None:
        setting = f"{settings.prefix}.certificate_authorities"
        files = [read_certificates(path, setting, "PEM certificate_authorities") for path in settings.authorities]
        return tuple(certificate for found in files for certificate in found)
    return (*identity.chain, *identity.others) if identity is not None else ()


def read_certificates(path: Path, setting: str, what: str) -> tuple[x509.Certificate, ...]:
    """Every certificate in a PEM file; one at least."""
    data = read_file(path, setting, what)
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError as error:
        raise SettingsError(
            f"cannot read configured [{what}] [{path}] in [{setting}] because the file does not contain any "
            f"readable certificate: {fault_of(data, 'CERTIFICATE')}"
        ) from error


def _read_key(path: Path, setting: str, passphrase: str | None) -> PrivateKey:
    data = read_file(path, setting, "PEM private key")
    where = f"cannot read configured [PEM private key] [{path}] in [{setting}]"
    encrypted = b"ENCRYPTED" in data
    if encrypted and passphrase is None:
        raise SettingsError(
            f"{where} because it is encrypted and no passphrase is set; add [{setting.removesuffix('key')}"
            f"secure_key_passphrase] to the keystore"
        )
    try:
        key = serialization.load_pem_private_key(data, passphrase.encode() if encrypted and passphrase else None)
    except (ValueError, TypeError) as error:
        cause = "this is usually caused by an incorrect passphrase" if encrypted else fault_of(data, "PRIVATE KEY")
        raise SettingsError(f"{where} - {cause}") from error
    return _usable(key, where)


def _usable(key: object, where: str) -> PrivateKey:
    if not isinstance(key, PrivateKey):
        raise SettingsError(f"{where} because its kind of key cannot be used for TLS; use an EC or RSA key")
    return key


def read_file(path: Path, setting: str, what: str) -> bytes:
    """The bytes of a file of bounded size. Raises SettingsError naming the setting."""
    where = f"cannot read configured [{what}] [{path}] in [{setting}] because"
    try:
        if path.is_dir():
            raise SettingsError(f"{where} it is a directory, not a file")
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise SettingsError(f"{where} the file does not exist") from error
    except PermissionError as error:
        raise SettingsError(f"{where} access to it is denied; the node's user must be allowed to read it") from error
    except OSError as error:
        raise SettingsError(f"{where} {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise SettingsError(f"{where} it is larger than {FILE_BYTES_MAX} bytes")
    return data


def _open_store(store: StoreSettings, use: str) -> pkcs12.PKCS12KeyAndCertificates:
    data = read_file(store.path, store.setting, f"{store.type} keystore")
    password = None if store.password is None else store.password.encode()
    try:
        return pkcs12.load_pkcs12(data, password)
    except ValueError as error:
        given = "a keystore password was provided" if store.password else "no password was provided"
        raise SettingsError(
            f"cannot read configured [{store.type}] keystore{use} [{store.path}] in [{store.setting}] - this is "
            f"usually caused by an incorrect password; ({given})"
        ) from error


def _identity_of_store(store: StoreSettings, stores: Stores) -> KeyMaterial:
    where = f"cannot use the keystore [{store.path}] in [{store.setting}]"
    if store.key_password not in (None, store.password):
        raise SettingsError(
            f"{where} because [{store.setting.removesuffix('path')}secure_key_password] differs from the password of "
            f"the store; only stores with one password can be read"
        )
    found = stores.open(store)
    if found.key is None or found.cert is None:
        raise SettingsError(f"{where} because it does not hold a private key with its certificate")
    key = _usable(found.key, where)
    others = [entry.certificate for entry in found.additional_certs]
    chain = [found.cert.certificate]
    while (issuer := _issuer(chain[-1], others)) is not None:
        others.remove(issuer)
        chain.append(issuer)
    return KeyMaterial(key, tuple(chain), tuple(others))


def _issuer(certificate: x509.Certificate, candidates: list[x509.Certificate]) -> x509.Certificate | None:
    return next((other for other in candidates if other.subject == certificate.issuer), None)


def read_trusted_store(store: StoreSettings, stores: Stores) -> tuple[x509.Certificate, ...]:
    """Every trusted certificate in a truststore; one at least."""
    found = stores.open(store, " (as a truststore)")
    trusted = tuple(entry.certificate for entry in found.additional_certs)
    if not trusted:
        raise SettingsError(
            f"the truststore [{store.path}] in [{store.setting}] does not contain any trusted certificate entries"
        )
    return trusted
