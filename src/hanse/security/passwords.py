"""Password hashes in Elasticsearch's forms: bcrypt (`$2a$10$...`) and PBKDF2 (`{PBKDF2}10000$salt$hash`).

Hashing and checking block a core for tens of milliseconds: they run in a small pool of threads with a bounded queue,
never on the event loop. bcrypt reads 72 bytes, so a longer password is refused when set rather than cut silently.
Tests: tests/security/test_passwords.py.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import re
from concurrent.futures import ThreadPoolExecutor

import bcrypt

from hanse.errors import RejectedExecutionError

PASSWORD_CHARS_MIN = 6
BCRYPT_BYTES_MAX = 72
WAITING_MAX = 500
"""Checks that may wait for a thread; beyond it a login is turned away with 429 instead of queueing for minutes."""
PBKDF2_SALT_BYTES = 32
PBKDF2_HASH_BYTES = 32
PBKDF2_ROUNDS_MAX = 10_000_000
BCRYPT_COST_MAX = 16

_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_PBKDF2 = re.compile(r"\{PBKDF2\}(\d{1,8})\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)")


def problem_with(password: str) -> str | None:
    """The sentence against a new password, None when it may be set."""
    if len(password) < PASSWORD_CHARS_MIN:
        return f"passwords must be at least [{PASSWORD_CHARS_MIN}] characters long"
    if len(password.encode()) > BCRYPT_BYTES_MAX:
        return f"passwords must be at most [{BCRYPT_BYTES_MAX}] bytes long, since bcrypt would ignore what follows"
    return None


def is_supported_hash(text: str) -> bool:
    """Whether `text` is a hash that `check` understands and that does not cost absurdly much to check."""
    found = _BCRYPT.fullmatch(text)
    if found is not None:
        return 4 <= int(found[1]) <= BCRYPT_COST_MAX
    found = _PBKDF2.fullmatch(text)
    return found is not None and 1 <= int(found[1]) <= PBKDF2_ROUNDS_MAX


def hash_now(password: str, algorithm: str) -> str:
    """Blocks. `algorithm` is a value of xpack.security.authc.password_hashing.algorithm."""
    if algorithm.startswith("pbkdf2"):
        rounds = int(algorithm.partition("_")[2] or "10000")
        salt = os.urandom(PBKDF2_SALT_BYTES)
        digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, PBKDF2_HASH_BYTES)
        return f"{{PBKDF2}}{rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
    cost = int(algorithm.removeprefix("bcrypt") or "10")
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost, prefix=b"2a")).decode()


def check_now(password: str, stored: str) -> bool:
    """Blocks. A hash in an unknown form, or one that would take minutes, matches nothing."""
    if not is_supported_hash(stored):
        return False
    secret = password.encode()
    pbkdf2 = _PBKDF2.fullmatch(stored)
    if pbkdf2 is not None:
        try:
            salt, wanted = base64.b64decode(pbkdf2[2]), base64.b64decode(pbkdf2[3])
        except binascii.Error:
            return False
        digest = hashlib.pbkdf2_hmac("sha512", secret, salt, int(pbkdf2[1]), len(wanted))
        return hmac.compare_digest(digest, wanted)
    # bcrypt knows $2y$ only under its other name; the algorithm is the same.
    encoded = stored.encode().replace(b"$2y$", b"$2b$", 1)
    fits = len(secret) <= BCRYPT_BYTES_MAX
    return bcrypt.checkpw(secret[:BCRYPT_BYTES_MAX], encoded) and fits


def dummy_hash(algorithm: str) -> str:
    """A hash that costs as much to check as a real one and that no known password matches."""
    if algorithm.startswith("pbkdf2"):
        rounds = int(algorithm.partition("_")[2] or "10000")
        salt, digest = base64.b64encode(os.urandom(32)).decode(), base64.b64encode(os.urandom(32)).decode()
        return f"{{PBKDF2}}{rounds}${salt}${digest}"
    cost = int(algorithm.removeprefix("bcrypt") or "10")
    return f"$2a${cost:02d}${'.' * 21}u{'.' * 31}"


class PasswordHasher:
    """Hashes and checks off the loop, so many at a time as there are threads."""

    def __init__(self, algorithm: str = "bcrypt", threads: int | None = None) -> None:
        self.algorithm = algorithm
        # One core stays for everything else: bcrypt releases the GIL, so these threads really do take theirs.
        self._threads = threads or max(1, (os.cpu_count() or 2) - 1)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="passwords")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._pool, hash_now, password, self.algorithm)

    def check(self, password: str, stored: str) -> asyncio.Future[bool]:
        """A future that may have several waiters. Raises RejectedExecutionError when too many checks wait already."""
        if self._waiting >= WAITING_MAX:
            raise RejectedExecutionError(
                f"rejected execution of a password check: [{WAITING_MAX}] are waiting for [{self._threads}] threads"
            )
        self._waiting += 1
        checking = asyncio.get_running_loop().run_in_executor(self._pool, check_now, password, stored)
        checking.add_done_callback(self._checked)
        return checking

    def _checked(self, _: asyncio.Future[bool]) -> None:
        self._waiting -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
