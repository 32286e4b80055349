"""The first password of the `elastic` user. Called by the node at start. Tests: tests/security/test_bootstrap.py."""

from __future__ import annotations

import secrets
from typing import Any

import structlog

from hanse.errors import SettingsError
from hanse.security.passwords import hash_now, problem_with
from hanse.security.store import Entries, SecurityStore

log = structlog.get_logger(__name__)

ELASTIC = "elastic"
GENERATED_CHARS = 20
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789*+-_="


async def ensure_elastic_password(
    store: SecurityStore, env_password: str | None, algorithm: str = "bcrypt"
) -> str | None:
    """Gives `elastic` a password when it has none: `env_password` (ELASTIC_PASSWORD, or the keystore's
    bootstrap.password), else a generated one.

    Returns a generated password, which the node shows once on the terminal and never logs; None when nothing was
    generated. A password that exists is kept, whatever the environment says.
    """
    stored = store.users().get(ELASTIC, {})
    if stored.get("password"):
        return None
    generated = None
    password = env_password
    if not password:
        password = generated = "".join(secrets.choice(_ALPHABET) for _ in range(GENERATED_CHARS))
    problem = problem_with(password)
    if problem is not None:
        raise SettingsError(f"the password in ELASTIC_PASSWORD or [bootstrap.password] cannot be used: {problem}")
    hashed = hash_now(password, algorithm)

    def give(users: Entries) -> dict[str, dict[str, Any] | None]:
        """Another node of the cluster may have been first."""
        known = users.get(ELASTIC, {})
        return {} if known.get("password") else {ELASTIC: {**known, "enabled": True, "password": hashed}}

    await store.change("user", give)
    if store.users()[ELASTIC]["password"] != hashed:
        return None
    log.info("the elastic user has its first password", generated=generated is not None)
    return generated
