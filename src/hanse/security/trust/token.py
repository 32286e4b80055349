"""The token that an invitation is carried in: one line that a person copies from one terminal to the other.

It is a secret until it is used. Tests: tests/security/trust/test_token.py.
"""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

from hanse.errors import IllegalArgumentError
from hanse.security.trust.authentication_string import Card, binding_of

PREFIX = "hanse_trust_1_"
CHARS_MAX = 65_536
_ID = re.compile(r"[0-9a-f]{16}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class TrustToken(msgspec.Struct, frozen=True):
    """`addresses` are HTTPS addresses of the inviter; the certificate shown there has `fingerprint` (SHA-256, hex).

    `key` is an API key as `id:secret`; `expires_ms` is the moment by the inviter's clock, `lifetime_ms` how long the
    invitation is good for in all.
    """

    id: str
    card: Card
    addresses: tuple[str, ...]
    fingerprint: str
    key: str
    expires_ms: int
    lifetime_ms: int

    @property
    def binding(self) -> str:
        return binding_of(self.key)

    def encode(self) -> str:
        return PREFIX + base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> TrustToken:
        """Raises IllegalArgumentError for what is no token; says nothing of what it holds."""
        bare = "".join(text.split())
        if not bare.startswith(PREFIX) or len(bare) > CHARS_MAX:
            raise IllegalArgumentError(
                f"this is no token of [hanse trust invite]: one begins with [{PREFIX}] and has one line"
            )
        encoded = bare[len(PREFIX) :]
        try:
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            found = msgspec.json.decode(raw, type=cls)
        except (binascii.Error, ValueError, msgspec.DecodeError) as error:
            raise IllegalArgumentError("the token is damaged or cut short; copy it once more, whole") from error
        if not found.addresses or ":" not in found.key or not _ID.fullmatch(found.id) or found.lifetime_ms < 0:
            raise IllegalArgumentError("the token names no address, secret or id; ask for a new one")
        if not _FINGERPRINT.fullmatch(found.fingerprint):
            raise IllegalArgumentError("the token names no certificate; ask for a new one")
        return found
