from __future__ import annotations

import asyncio

import pytest

from hanse.security.passwords import PasswordHasher, hash_now
from hanse.security.verified import VerifiedCredentials

STORED = hash_now("right-password", "bcrypt4")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_right_password_is_hashed_once(hasher: PasswordHasher) -> None:
    verified = VerifiedCredentials(hasher)
    for _ in range(3):
        assert await verified.check("joe", "right-password", STORED)
    assert verified.hashed == 1


async def test_a_wrong_password_is_hashed_every_time(hasher: PasswordHasher) -> None:
    verified = VerifiedCredentials(hasher)
    for _ in range(3):
        assert not await verified.check("joe", "wrong-password", STORED)
    assert verified.hashed == 3


async def test_a_changed_hash_misses(hasher: PasswordHasher) -> None:
    verified = VerifiedCredentials(hasher)
    assert await verified.check("joe", "right-password", STORED)
    assert not await verified.check("joe", "right-password", hash_now("new-password", "bcrypt4"))


async def test_time_runs_out(hasher: PasswordHasher) -> None:
    clock = Clock()
    verified = VerifiedCredentials(hasher, ttl_s=10, clock=clock)
    await verified.check("joe", "right-password", STORED)
    clock.now = 9.9
    await verified.check("joe", "right-password", STORED)
    assert verified.hashed == 1
    clock.now = 10
    await verified.check("joe", "right-password", STORED)
    assert verified.hashed == 2


async def test_zero_time_checks_always(hasher: PasswordHasher) -> None:
    verified = VerifiedCredentials(hasher, ttl_s=0)
    for _ in range(2):
        assert await verified.check("joe", "right-password", STORED)
    assert verified.hashed == 2


async def test_parallel_logins_share_one_check(hasher: PasswordHasher) -> None:
    verified = VerifiedCredentials(hasher)
    answers = await asyncio.gather(*(verified.check("joe", "right-password", STORED) for _ in range(50)))
    assert all(answers)
    assert verified.hashed == 1


async def test_one_who_hangs_up_does_not_fail_the_others(hasher: PasswordHasher) -> None:
    verified = VerifiedCredentials(hasher)
    loop = asyncio.get_running_loop()
    first = loop.create_task(verified.check("joe", "right-password", STORED))
    second = loop.create_task(verified.check("joe", "right-password", STORED))
    await asyncio.sleep(0)
    first.cancel()
    assert await second
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_bounded_and_forgetful(hasher: PasswordHasher) -> None:
    verified = VerifiedCredentials(hasher, entries_max=2)
    for name in ("a", "b", "c"):
        await verified.check(name, "right-password", STORED)
    await verified.check("c", "right-password", STORED)
    await verified.check("b", "right-password", STORED)
    assert verified.hashed == 3
    await verified.check("a", "right-password", STORED)
    assert verified.hashed == 4
    verified.forget("a")
    await verified.check("a", "right-password", STORED)
    assert verified.hashed == 5
    verified.forget()
    await verified.check("a", "right-password", STORED)
    assert verified.hashed == 6


async def test_names_and_passwords_do_not_run_into_each_other(hasher: PasswordHasher) -> None:
    verified = VerifiedCredentials(hasher)
    stored = hash_now("bc", "bcrypt4")
    assert await verified.check("a", "bc", stored)
    assert not await verified.check("ab", "c", stored)
