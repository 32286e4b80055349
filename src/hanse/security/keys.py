"""API keys: made by a user, limited by what that user could do at that moment, revocable.

Kept in the security store under their id with a salted SHA-256 of the secret. A fast hash is enough here, unlike for
passwords: the secret is 128 random bits, which nobody guesses. Effective rights are the key's own descriptors under
the owner's snapshot (see role_store.py). Tests: tests/security/test_api_key_actions.py.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hanse import clock
from hanse.transport.identity import Identity, RealmRef

if TYPE_CHECKING:
    from hanse.security.realms.chain import RealmChain

KIND = "api_key"
REALM = RealmRef("_es_api_key", "_es_api_key")
SECRET_BYTES = 16


def new_id() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(15)).decode()


def new_secret() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).decode().rstrip("=")


def hash_secret(secret: str) -> str:
    salt = secrets.token_hex(16)
    return f"{salt}${_digest(salt, secret)}"


def _digest(salt: str, secret: str) -> str:
    return hashlib.sha256(f"{salt}:{secret}".encode("utf-8", "surrogatepass")).hexdigest()


_DUMMY = f"{'0' * 32}${'0' * 64}"


async def authenticate_key(realms: RealmChain, id: str, secret: str) -> Identity | None:
    """The identity of a valid key, None for an unknown, wrong, expired or invalidated one."""
    stored = realms.store.entries(KIND).get(id) if realms.store is not None else None
    salt, _, wanted = (stored["hash"] if stored else _DUMMY).partition("$")
    is_right = hmac.compare_digest(_digest(salt, secret), wanted)
    if stored is None or not is_right or not is_active(stored, clock.now_ms()):
        return None
    return identity_of(id, stored)


def is_active(stored: Mapping[str, Any], now: int) -> bool:
    return not stored.get("invalidated") and (stored.get("expiration") is None or stored["expiration"] > now)


def identity_of(id: str, stored: Mapping[str, Any]) -> Identity:
    return Identity(
        stored["username"],
        (),
        REALM,
        metadata=stored.get("metadata") or {},
        authentication_type="api_key",
        api_key={
            "id": id,
            "name": stored["name"],
            "role_descriptors": stored.get("role_descriptors") or {},
            "limited_by": stored.get("limited_by") or {},
        },
    )
