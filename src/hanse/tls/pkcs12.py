"""PKCS#12 stores as Java reads and writes them: several private keys, and certificates marked as trusted.

Written here because libraries give either one key or trusted entries, while `elastic-certificates.p12` is a key with
the authority as a trusted entry, and an auto-configured `http.p12` is two keys. Java takes a certificate for an anchor
only with an attribute of its own (TRUSTED_KEY_USAGE). Written: AES-256-CBC under PBKDF2-HMAC-SHA256, HMAC-SHA256 over
all, which OpenSSL 1.1 and Java 8u301 read. Read: that family; older files go through `cryptography`, which knows one
key. The bytes of each file come from `pkcs12_protection.py`. Tests: tests/tls/test_pkcs12.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from hanse.errors import IllegalArgumentError
from hanse.tls import der
from hanse.tls.pkcs12_protection import (
    UnsupportedProtectionError,
    decrypt,
    encrypt,
    has_valid_mac,
    message_authentication,
)

TRUSTED_KEY_USAGE = "2.16.840.1.113894.746875.1.1"
_ANY_USAGE = "2.5.29.37.0"
_DATA, _ENCRYPTED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.6"
_KEY_BAG, _SHROUDED_KEY_BAG, _CERT_BAG = (f"1.2.840.113549.1.12.10.1.{number}" for number in (1, 2, 3))
_X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"
_FRIENDLY_NAME, _LOCAL_KEY_ID = "1.2.840.113549.1.9.20", "1.2.840.113549.1.9.21"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A private key and its certificate (further ones of the chain after it) under an alias."""

    alias: str
    key: PrivateKey
    chain: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class TrustedEntry:
    """A certificate that ends a chain."""

    alias: str
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class Store:
    """What a file holds. `others` are certificates that are neither trusted nor belong to a key."""

    keys: tuple[KeyEntry, ...] = ()
    trusted: tuple[TrustedEntry, ...] = ()
    others: tuple[x509.Certificate, ...] = ()


def write_pkcs12(keys: Sequence[KeyEntry], trusted: Iterable[TrustedEntry] = (), password: str = "") -> bytes:
    """The bytes of a store. Raises IllegalArgumentError for a password that other tools would read differently.

    The first key is the one that programs which know only one key will find.
    """
    if not password.isascii():
        raise IllegalArgumentError("PKCS#12 passwords must be plain ASCII")
    key_bags = [_shrouded_key(entry, password) for entry in keys]
    trusted = list(trusted)
    anchors = {entry.certificate for entry in trusted}
    bags = []
    for entry in keys:
        own, *rest = entry.chain
        bags.append(_certificate(own, _named(entry.alias), _local_key(own)))
        bags += [_certificate(issuer) for issuer in rest if issuer not in anchors]
    bags += [_certificate(entry.certificate, _named(entry.alias), _trusted()) for entry in trusted]
    contents = [_encrypted(der.sequence(*bags), password)]
    if key_bags:
        contents.insert(0, _plain(der.sequence(*key_bags)))
    safe = der.sequence(*contents)
    return der.sequence(der.integer(3), _plain(safe), message_authentication(safe, password))


def read_pkcs12(data: bytes, password: str = "") -> Store:
    """Everything in a store. Raises IllegalArgumentError; a wrong password is one reason of several."""
    try:
        _, content, *mac = der.read_one(data).children(2)
        safe = _content_of(content)
        if mac and not has_valid_mac(mac[0], safe, password):
            raise IllegalArgumentError("the keystore password was incorrect")
        found = _Found()
        for part in der.read_one(safe).children():
            _read_part(part, password, found)
        return found.store()
    except (UnsupportedProtectionError, ValueError, IndexError) as error:
        return _read_older(data, password, error)


def _read_older(data: bytes, password: str, why: Exception) -> Store:
    try:
        found = pkcs12.load_pkcs12(data, password.encode())
    except ValueError:
        raise IllegalArgumentError(
            "cannot read the PKCS#12 file: its password is wrong, or it is damaged or protected in an unknown way"
        ) from why
    others = tuple(entry.certificate for entry in found.additional_certs)
    if found.key is None or found.cert is None:
        return Store(trusted=tuple(TrustedEntry(f"{at}", one) for at, one in enumerate(others)))
    if not isinstance(found.key, PrivateKey):
        raise IllegalArgumentError("the key in the PKCS#12 file is neither an EC, RSA nor Edwards key")
    alias = (found.cert.friendly_name or b"1").decode(errors="replace")
    return Store(keys=(KeyEntry(alias, found.key, (found.cert.certificate,)),), others=others)


@dataclass(slots=True)
class _Found:
    """Bags as they come; keys meet their certificates at the end."""

    keys: list[tuple[str, bytes, PrivateKey]] = field(default_factory=list)
    trusted: list[TrustedEntry] = field(default_factory=list)
    certificates: list[tuple[bytes, x509.Certificate]] = field(default_factory=list)

    def store(self) -> Store:
        entries, used = [], set()
        for alias, _, key in self.keys:
            own = next((one for _, one in self.certificates if one.public_key() == key.public_key()), None)
            if own is None:
                raise IllegalArgumentError(f"the key [{alias}] of the PKCS#12 file has no certificate in it")
            used.add(own)
            entries.append(KeyEntry(alias, key, (own,)))
        others = tuple(one for _, one in self.certificates if one not in used)
        return Store(tuple(entries), tuple(self.trusted), others)


def _read_part(part: der.Element, password: str, found: _Found) -> None:
    kind, content = part.children(2)
    if kind.raw == der.oid(_ENCRYPTED_DATA):
        _, encrypted = content.children(1)[0].children(2)
        _, protection, hidden = encrypted.children(3)
        bags = decrypt(protection, hidden.content, password)
    else:
        bags = _content_of(part)
    for bag in der.read_one(bags).children():
        _read_bag(bag, password, found)


def _read_bag(bag: der.Element, password: str, found: _Found) -> None:
    kind, value, *rest = bag.children(2)
    inner = value.children(1)[0]
    attributes = _attributes(rest)
    name = attributes.get(der.oid(_FRIENDLY_NAME))
    alias = name.content.decode("utf-16-be") if name is not None else ""
    local = attributes.get(der.oid(_LOCAL_KEY_ID))
    identifier = local.content if local is not None else b""
    if kind.raw == der.oid(_CERT_BAG):
        certificate = x509.load_der_x509_certificate(inner.children(2)[1].children(1)[0].content)
        if der.oid(TRUSTED_KEY_USAGE) in attributes:
            found.trusted.append(TrustedEntry(alias, certificate))
        else:
            found.certificates.append((identifier, certificate))
    elif kind.raw in (der.oid(_SHROUDED_KEY_BAG), der.oid(_KEY_BAG)):
        plain = inner.raw
        if kind.raw == der.oid(_SHROUDED_KEY_BAG):
            protection, hidden = inner.children(2)
            plain = decrypt(protection, hidden.content, password)
        key = serialization.load_der_private_key(plain, None)
        if not isinstance(key, PrivateKey):
            raise IllegalArgumentError(f"the key [{alias}] of the PKCS#12 file is neither an EC, RSA nor Edwards key")
        found.keys.append((alias, identifier, key))


def _attributes(rest: list[der.Element]) -> dict[bytes, der.Element]:
    """The first value of each attribute, under its encoded OID."""
    if not rest:
        return {}
    pairs = [attribute.children(2) for attribute in rest[0].children()]
    return {kind.raw: values.children(1)[0] for kind, values in pairs}


def _content_of(info: der.Element) -> bytes:
    kind, content = info.children(2)
    if kind.raw != der.oid(_DATA):
        raise ValueError("the store is not protected by a password")
    return content.children(1)[0].content


def _plain(content: bytes) -> bytes:
    return der.sequence(der.oid(_DATA), der.explicit(0, der.octets(content)))


def _encrypted(content: bytes, password: str) -> bytes:
    protection, hidden = encrypt(content, password)
    inner = der.sequence(der.oid(_DATA), protection, der.implicit(0, hidden))
    return der.sequence(der.oid(_ENCRYPTED_DATA), der.explicit(0, der.sequence(der.integer(0), inner)))


def _shrouded_key(entry: KeyEntry, password: str) -> bytes:
    plain = entry.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    protection, hidden = encrypt(plain, password)
    value = der.explicit(0, der.sequence(protection, der.octets(hidden)))
    return der.sequence(der.oid(_SHROUDED_KEY_BAG), value, der.set_of(_named(entry.alias), _local_key(entry.chain[0])))


def _certificate(certificate: x509.Certificate, *attributes: bytes) -> bytes:
    content = der.octets(certificate.public_bytes(serialization.Encoding.DER))
    value = der.explicit(0, der.sequence(der.oid(_X509_CERTIFICATE), der.explicit(0, content)))
    return der.sequence(der.oid(_CERT_BAG), value, *([der.set_of(*attributes)] if attributes else []))


def _named(alias: str) -> bytes:
    return der.sequence(der.oid(_FRIENDLY_NAME), der.set_of(der.bmp(alias)))


def _local_key(certificate: x509.Certificate) -> bytes:
    identifier = certificate.fingerprint(hashes.SHA256())[:20]
    return der.sequence(der.oid(_LOCAL_KEY_ID), der.set_of(der.octets(identifier)))


def _trusted() -> bytes:
    return der.sequence(der.oid(TRUSTED_KEY_USAGE), der.set_of(der.oid(_ANY_USAGE)))
