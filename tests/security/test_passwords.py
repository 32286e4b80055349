from __future__ import annotations

import asyncio

import pytest

from hanse.errors import RejectedExecutionError
from hanse.security import passwords
from hanse.security.passwords import PasswordHasher, check_now, dummy_hash, hash_now, is_supported_hash, problem_with


@pytest.mark.parametrize("algorithm", ["bcrypt4", "pbkdf2_1000"])
def test_a_hash_matches_its_password_only(algorithm: str) -> None:
    hashed = hash_now("s3krit-password", algorithm)
    assert is_supported_hash(hashed)
    assert check_now("s3krit-password", hashed)
    assert not check_now("s3krit-passwore", hashed)


def test_the_default_is_bcrypt_2a_at_cost_10() -> None:
    assert hash_now("s3krit-password", "bcrypt").startswith("$2a$10$")


def test_hashes_of_other_writers() -> None:
    hashed = hash_now("s3krit-password", "bcrypt4")
    assert check_now("s3krit-password", hashed.replace("$2a$", "$2y$"))
    assert check_now("s3krit-password", hashed.replace("$2a$", "$2b$"))


@pytest.mark.parametrize("text", ["", "secret", "$2a$10$short", "{PBKDF2}x$y$z", "$2a$31$" + "." * 53, "{SSHA256}abc"])
def test_what_is_no_hash_matches_nothing(text: str) -> None:
    assert not is_supported_hash(text)
    assert not check_now(text, text)


def test_bytes_beyond_what_bcrypt_reads_are_refused() -> None:
    assert problem_with("x" * 72) is None
    assert problem_with("ä" * 37) == (
        "passwords must be at most [72] bytes long, since bcrypt would ignore what follows"
    )
    assert problem_with("short") == "passwords must be at least [6] characters long"
    assert not check_now("x" * 73, hash_now("x" * 72, "bcrypt4"))


def test_dummy_hashes_cost_the_same_and_match_nothing() -> None:
    assert is_supported_hash(dummy_hash("bcrypt"))
    assert dummy_hash("bcrypt").startswith("$2a$10$")
    assert not check_now("anything", dummy_hash("bcrypt4"))
    assert not check_now("anything", dummy_hash("pbkdf2_1000"))


async def test_more_checks_than_may_wait_are_turned_away(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "WAITING_MAX", 3)
    hashed = await hasher.hash("s3krit-password")
    waiting = [hasher.check("s3krit-password", hashed) for _ in range(3)]
    with pytest.raises(RejectedExecutionError):
        hasher.check("s3krit-password", hashed)
    assert await asyncio.gather(*waiting) == [True, True, True]
    assert await hasher.check("s3krit-password", hashed)
