"""The short authentication string: twelve digits that two people compare, and the commitment that makes them enough.

Tests: tests/security/trust/test_authentication_string.py.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

import msgspec

DIGITS = 12
NONCE_BYTES = 32
_NONCE = re.compile(r"[0-9a-f]{64}")
_LABEL = b"hanse trust 1 "


class Way(msgspec.Struct, frozen=True):
    """How others reach a cluster's transport: its nodes by seeds (sniff mode), or all by one address (proxy mode)."""

    seeds: tuple[str, ...] = ()
    proxy_address: str = ""
    server_name: str = ""


class Card(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a cluster says of itself; all of it goes into the string. `authority` is a certificate, DER in base64.

    The last fields are left out where they are empty: a node that does not know them reads the same card.
    """

    cluster_name: str
    cluster_uuid: str
    authority: str
    seeds: tuple[str, ...]
    proxy_address: str = ""
    server_name: str = ""

    @property
    def way(self) -> Way:
        return Way(self.seeds, self.proxy_address, self.server_name)


def new_nonce() -> str:
    return secrets.token_bytes(NONCE_BYTES).hex()


def is_nonce(text: str) -> bool:
    return _NONCE.fullmatch(text) is not None


def commitment(binding: str, card: Card, nonce: str) -> str:
    """What the accepting side sends before it has seen the inviter's nonce. Raises ValueError for what is no hex."""
    return _digest("commitment", _bytes(binding), _hash(card), _bytes(nonce)).hex()


def opens(committed: str, binding: str, card: Card, nonce: str) -> bool:
    try:
        return hmac.compare_digest(committed, commitment(binding, card, nonce))
    except (ValueError, TypeError):
        return False


def authentication_string(binding: str, inviter: tuple[Card, str], acceptor: tuple[Card, str]) -> str:
    """Three groups of four digits over both cards (certificates included), both nonces and the one-time secret."""
    parts = [part for card, nonce in (inviter, acceptor) for part in (_hash(card), _bytes(nonce))]
    number = int.from_bytes(_digest("string", _bytes(binding), *parts)[:16]) % 10**DIGITS
    digits = f"{number:0{DIGITS}}"
    return "-".join(digits[at : at + 4] for at in range(0, DIGITS, 4))


def is_same(one: str, other: str) -> bool:
    """Hyphens and spaces do not count."""
    return hmac.compare_digest(_plain(one), _plain(other))


def binding_of(key: str) -> str:
    """What both sides can derive from the one-time secret, and nobody the secret from."""
    return _digest("binding", key.encode()).hex()


def _plain(text: str) -> bytes:
    return "".join(char for char in text if char not in "- \t").encode()


def _bytes(hexadecimal: str) -> bytes:
    found = bytes.fromhex(hexadecimal)
    if len(found) != NONCE_BYTES:
        raise ValueError(f"expected {NONCE_BYTES} bytes")
    return found


def _hash(card: Card) -> bytes:
    return hashlib.sha256(msgspec.json.encode(card)).digest()


def _digest(purpose: str, *parts: bytes) -> bytes:
    """All parts but the secret have a fixed length, and each purpose its own label: no two inputs read alike."""
    return hashlib.sha256(_LABEL + purpose.encode() + b"\0" + b"".join(parts)).digest()
