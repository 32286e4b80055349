"""One reading of the files of a prefix, made into OpenSSL's contexts: what `contexts.py` hands out until the next one.

All files are read together and have to fit each other; whatever is wrong with them is a SettingsError.
Tests: tests/tls/test_contexts.py.
"""

from __future__ import annotations

import secrets
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from hanse.errors import SettingsError
from hanse.tls.identity import UNREADABLE, fingerprint
from hanse.tls.key_material import KeyMaterial, Stores, read_identity, read_trusted
from hanse.tls.listing import ListedCertificate, read_listed
from hanse.tls.presented import watch
from hanse.tls.ssl_settings import REMOTE_CLIENT, REMOTE_SERVER, SslSettings
from hanse.tls.trust_restrictions import TrustRestrictions, read_restrictions

_UNUSABLE = (*UNREADABLE, ssl.SSLError, UnsupportedAlgorithm)
"""What the libraries raise for files that parse and cannot be used all the same, such as a key of an unknown kind."""
_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_MAY_BE_NAMELESS = (REMOTE_CLIENT, REMOTE_SERVER)
"""The first only dials; the second opens no port yet, so its own certificate is not demanded."""
_TOO_WEAK = {
    "EE_KEY_TOO_SMALL": "its key is too small; make one of P-256, or of RSA with at least 2048 bits",
    "CA_KEY_TOO_SMALL": "the key of its authority is too small; make one of P-256, or of RSA with at least 2048 bits",
    "CA_MD_TOO_WEAK": "it is signed with a digest that is broken, such as SHA-1; have it signed with SHA-256",
}
SECURITY_LEVEL = 2
"""OpenSSL's: no certificate signed with SHA-1, no RSA key below 2048 bits, wherever certificates are verified."""
_CLIENT_AUTHENTICATION = {
    "required": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "none": ssl.CERT_NONE,
}


@dataclass(frozen=True, slots=True)
class Built:
    """What one reading of the files gave."""

    server: ssl.SSLContext | None
    client: ssl.SSLContext
    client_any_name: ssl.SSLContext
    identity: KeyMaterial | None
    trusted: tuple[x509.Certificate, ...]
    listed: tuple[ListedCertificate, ...]
    restrictions: TrustRestrictions | None
    anchors: frozenset[str]
    """The fingerprints of what is trusted."""

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        return self.identity.chain if self.identity is not None else ()


def build(settings: SslSettings, extra: Iterable[x509.Certificate] = ()) -> Built:
    """Raises SettingsError for whatever the files hold; nothing else, or the watcher of the files would end."""
    try:
        return _read(settings, extra)
    except _UNUSABLE as error:
        raise SettingsError(
            f"failed to load SSL configuration [{settings.prefix}] - a certificate or key in its files cannot be used: "
            f"{getattr(error, 'reason', None) or error}"
        ) from error


def _read(settings: SslSettings, extra: Iterable[x509.Certificate]) -> Built:
    beside = tuple(extra)
    stores = Stores()
    try:
        identity = read_identity(settings, stores)
        trusted = tuple(dict.fromkeys((*read_trusted(settings, identity, stores), *beside)))
        restrictions = read_restrictions(settings.restrictions)
        listed = read_listed(settings, stores)
    except SettingsError as error:
        raise SettingsError(f"failed to load SSL configuration [{settings.prefix}] - {error.reason}") from error
    if identity is None and settings.prefix not in _MAY_BE_NAMELESS:
        raise SettingsError(needs_identity(settings.prefix))
    if settings.verification_mode == "none":
        restrictions = None
    for one in listed:  # read lazily: the APIs that show them must not be the first to find out
        _ = one.certificate.subject, one.certificate.issuer
    return Built(
        server=None if identity is None else _server(settings, identity, trusted),
        client=_client(settings, identity, trusted, check_name=settings.verification_mode == "full"),
        client_any_name=_client(settings, identity, trusted, check_name=False),
        identity=identity,
        trusted=trusted,
        listed=(*listed, *(ListedCertificate(None, "DER", None, False, one) for one in beside)),
        restrictions=restrictions,
        anchors=frozenset(fingerprint(authority) for authority in trusted),
    )


def needs_identity(prefix: str) -> str:
    return (
        f"invalid SSL configuration for {prefix} - server ssl configuration requires a key and certificate, but these "
        f"have not been configured; you must set either [{prefix}.keystore.path], or both [{prefix}.key] and "
        f"[{prefix}.certificate]"
    )


def _server(settings: SslSettings, identity: KeyMaterial, trusted: tuple[x509.Certificate, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _configure(context, settings, identity)
    # OpenSSL cannot ask for a certificate and accept any: with `none` a peer is not asked and stays nameless.
    if settings.verification_mode != "none":
        context.verify_mode = _CLIENT_AUTHENTICATION[settings.client_authentication]
    if context.verify_mode != ssl.CERT_NONE:
        _trust(context, trusted)
        watch(context)
        # A resumed session would bring back a peer whose authority is no longer trusted.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    return context


def _client(
    settings: SslSettings, identity: KeyMaterial | None, trusted: tuple[x509.Certificate, ...], *, check_name: bool
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check_name
    context.verify_mode = ssl.CERT_NONE if settings.verification_mode == "none" else ssl.CERT_REQUIRED
    _configure(context, settings, identity)
    if context.verify_mode != ssl.CERT_NONE:
        _trust(context, trusted)
    return context


def _configure(context: ssl.SSLContext, settings: SslSettings, identity: KeyMaterial | None) -> None:
    versions = [_VERSIONS[name] for name in settings.protocols]
    context.minimum_version, context.maximum_version = min(versions), max(versions)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.set_ciphers(f"{settings.ciphers}:@SECLEVEL={SECURITY_LEVEL}")
    except ssl.SSLError as error:
        raise SettingsError(f"none of the suites in [{settings.prefix}.cipher_suites] is supported") from error
    if identity is not None:
        _load_identity(context, settings, identity)


def _load_identity(context: ssl.SSLContext, settings: SslSettings, identity: KeyMaterial) -> None:
    """Hands key and chain to OpenSSL, which takes only files: encrypted, with a passphrase nobody else ever sees."""
    passphrase = secrets.token_bytes(32).hex()
    encryption = serialization.BestAvailableEncryption(passphrase.encode())
    with tempfile.NamedTemporaryFile(prefix="hanse-tls-") as file:
        file.write(
            identity.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
        for certificate in identity.chain:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        file.flush()
        try:
            context.load_cert_chain(file.name, password=passphrase)
        except ssl.SSLError as error:
            setting = "keystore.path" if settings.keystore is not None else "certificate"
            raise SettingsError(
                f"failed to load SSL configuration [{settings.prefix}] - the certificate in "
                f"[{settings.prefix}.{setting}] cannot be used: {_TOO_WEAK.get(error.reason, error.reason or error)}"
            ) from error


def _trust(context: ssl.SSLContext, trusted: tuple[x509.Certificate, ...]) -> None:
    """Any listed certificate ends a chain, an intermediate one too, as in Java."""
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    der = b"".join(certificate.public_bytes(serialization.Encoding.DER) for certificate in trusted)
    if der:
        context.load_verify_locations(cadata=der)
