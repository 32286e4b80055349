"""How a PKCS#12 file keeps its secret: encryption under a password (PBES2) and the message authentication code.

Written with AES-256-CBC under PBKDF2-HMAC-SHA256 and HMAC-SHA256; read with any AES and SHA-1 or SHA-2. The key of the
code comes from RFC 7292 appendix B, since that is what every reader expects. Tests: tests/tls/test_pkcs12.py.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from hanse.tls import der

ROUNDS = 10_000
ROUNDS_MAX = 5_000_000
"""A file that asks for more would hold the node for seconds; no tool writes one."""
SALT_BYTES = 20
BLOCK_BYTES = 16

_PBES2, _PBKDF2 = "1.2.840.113549.1.5.13", "1.2.840.113549.1.5.12"
_AES_256 = "2.16.840.1.101.3.4.1.42"
_HMAC_SHA256, _SHA256 = "1.2.840.113549.2.9", "2.16.840.1.101.3.4.2.1"
_KEY_BYTES = {der.oid(f"2.16.840.1.101.3.4.1.{number}"): size for number, size in ((2, 16), (22, 24), (42, 32))}
_HMACS = {der.oid(f"1.2.840.113549.2.{at}"): name for at, name in ((7, "sha1"), (9, "sha256"), (10, "sha384"))}
_HMACS[der.oid("1.2.840.113549.2.11")] = "sha512"
_DIGESTS = {der.oid(f"2.16.840.1.101.3.4.2.{at}"): name for at, name in ((1, "sha256"), (2, "sha384"), (3, "sha512"))}
_DIGESTS[der.oid("1.3.14.3.2.26")] = "sha1"


class UnsupportedProtectionError(Exception):
    """A file protected in an older way than this module reads."""


def encrypt(plain: bytes, password: str) -> tuple[bytes, bytes]:
    """The description of the protection, and the bytes."""
    salt, vector = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(BLOCK_BYTES)
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS, 32)
    digest = der.sequence(der.oid(_HMAC_SHA256), der.null())
    derivation = der.sequence(der.octets(salt), der.integer(ROUNDS), der.integer(32), digest)
    parameters = der.sequence(
        der.sequence(der.oid(_PBKDF2), derivation), der.sequence(der.oid(_AES_256), der.octets(vector))
    )
    padder = PKCS7(BLOCK_BYTES * 8).padder()
    padded = padder.update(plain) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return der.sequence(der.oid(_PBES2), parameters), encryptor.update(padded) + encryptor.finalize()


def decrypt(protection: der.Element, hidden: bytes, password: str) -> bytes:
    """Raises ValueError for a wrong password, UnsupportedProtectionError for an older way."""
    kind, parameters = protection.children(2)
    if kind.raw != der.oid(_PBES2):
        raise UnsupportedProtectionError
    derivation, scheme = parameters.children(2)
    function, arguments = derivation.children(2)
    cipher, vector = scheme.children(2)
    if function.raw != der.oid(_PBKDF2) or cipher.raw not in _KEY_BYTES:
        raise UnsupportedProtectionError
    salt, rounds, *rest = arguments.children(2)
    digest = next((part.children(1)[0].raw for part in rest if part.tag == der.SEQUENCE), None)
    if digest is not None and digest not in _HMACS:
        raise UnsupportedProtectionError
    key = hashlib.pbkdf2_hmac(
        _HMACS[digest] if digest is not None else "sha1",
        password.encode(),
        salt.content,
        _bounded(rounds),
        _KEY_BYTES[cipher.raw],
    )
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector.content)).decryptor()
    padded = decryptor.update(hidden) + decryptor.finalize()
    unpadder = PKCS7(BLOCK_BYTES * 8).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def message_authentication(content: bytes, password: str) -> bytes:
    salt = secrets.token_bytes(SALT_BYTES)
    key = _derive("sha256", password, salt, ROUNDS)
    code = hmac.digest(key, content, "sha256")
    digest = der.sequence(der.sequence(der.oid(_SHA256), der.null()), der.octets(code))
    return der.sequence(digest, der.octets(salt), der.integer(ROUNDS))


def has_valid_mac(mac: der.Element, content: bytes, password: str) -> bool:
    digest, salt, *rounds = mac.children(2)
    algorithm, code = digest.children(2)
    name = _DIGESTS.get(algorithm.children(1)[0].raw)
    if name is None:
        raise UnsupportedProtectionError
    key = _derive(name, password, salt.content, _bounded(rounds[0]) if rounds else 1)
    return hmac.compare_digest(hmac.digest(key, content, name), code.content)


def _bounded(rounds: der.Element) -> int:
    if not 1 <= rounds.number <= ROUNDS_MAX:
        raise ValueError(f"the PKCS#12 file asks for {rounds.number} rounds, but at most {ROUNDS_MAX} are done")
    return rounds.number


def _derive(digest: str, password: str, salt: bytes, rounds: int) -> bytes:
    """RFC 7292 appendix B.2 with purpose 3. The result is one hash long, so that its steps over blocks fall away."""
    block = hashlib.new(digest).block_size
    secret = password.encode("utf-16-be") + b"\0\0"
    value = b"\x03" * block + _filled(salt, block) + _filled(secret, block)
    for _ in range(rounds):
        value = hashlib.new(digest, value).digest()
    return value


def _filled(text: bytes, block: int) -> bytes:
    """`text` repeated to whole blocks."""
    size = block * -(-len(text) // block)
    return (text * (size // len(text) + 1))[:size] if text else b""
