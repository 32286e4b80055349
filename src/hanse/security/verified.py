"""Credentials that were checked lately, so that bcrypt is paid once and not per request.

What is kept is a keyed hash of user, password and stored hash (the key is random per process): memory that leaks tells
no password, and a changed password misses by itself. Failures are never kept. Parallel checks of the same credentials
share one. Bounded, with a time to live. Tests: tests/security/test_verified.py.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from hashlib import blake2b

from hanse.security.passwords import PasswordHasher

Clock = Callable[[], float]


class VerifiedCredentials:
    """`check` is a password check that remembers successes."""

    def __init__(
        self,
        hasher: PasswordHasher,
        *,
        ttl_s: float = 20 * 60,
        entries_max: int = 100_000,
        clock: Clock = time.monotonic,
    ) -> None:
        self.hasher = hasher
        self.hashed = 0
        """How many checks have really been hashed."""
        self._ttl_s = ttl_s
        self._entries_max = entries_max
        self._clock = clock
        self._secret = os.urandom(32)
        self._verified: dict[bytes, tuple[float, str]] = {}
        self._checking: dict[bytes, asyncio.Future[bool]] = {}

    async def check(self, username: str, password: str, stored: str) -> bool:
        """Whether the password is the one behind `stored`. `stored` may be a dummy for a user that does not exist."""
        key = self._key(username, password, stored)
        entry = self._verified.get(key)
        if entry is not None:
            if self._clock() < entry[0]:
                return True
            del self._verified[key]
        checking = self._checking.get(key)
        if checking is None:
            self.hashed += 1
            checking = self.hasher.check(password, stored)
            self._checking[key] = checking
            checking.add_done_callback(lambda done: self._checked(key, username, done))
        # Shielded: one client that hangs up must not fail the others that wait for the same check.
        return await asyncio.shield(checking)

    def _checked(self, key: bytes, username: str, done: asyncio.Future[bool]) -> None:
        del self._checking[key]
        if done.cancelled() or done.exception() is not None or not done.result() or self._ttl_s <= 0:
            return
        if len(self._verified) >= self._entries_max:
            del self._verified[next(iter(self._verified))]
        self._verified[key] = (self._clock() + self._ttl_s, username)

    def forget(self, username: str | None = None) -> None:
        """Forgets one user's credentials, or everybody's."""
        if username is None:
            self._verified.clear()
        else:
            self._verified = {key: entry for key, entry in self._verified.items() if entry[1] != username}

    def _key(self, username: str, password: str, stored: str) -> bytes:
        # Lengths come first, so that no two different triples give the same bytes.
        name, secret = username.encode("utf-8", "surrogatepass"), password.encode("utf-8", "surrogatepass")
        text = b"%d:%d:" % (len(name), len(secret)) + name + secret + stored.encode()
        return blake2b(text, key=self._secret, digest_size=32).digest()
