"""Leases in the bucket: a key that its holder keeps alive, which the server itself drops when its time is over.

A lease is taken by writing its key where nobody has it (compare-and-set on the key's revision) with a time to live, and
kept by writing it again before that. The token is the revision with which it was taken: a stream's revisions only rise.
The time to live is counted by the server from when it stored the message, which is after the holder began to count.
Tests: tests/contracts/test_state_store.py.
"""

from __future__ import annotations

import time
from contextlib import suppress
from math import ceil
from typing import Any, NamedTuple

import msgspec
from nats.js import api

from hanse.cluster.jetstream.connection import (
    NATS_ERRORS,
    REQUEST_TIMEOUT_S,
    WRONG_LAST_SEQUENCE,
    Connection,
    error_code,
    is_not_found,
)
from hanse.cluster.store import Lease
from hanse.errors import FailedToCommitClusterStateError, FencedError

TTL_S_MIN = 1
"""The server knows no shorter time to live than a second."""
RELEASED = b""


class Held(msgspec.Struct, frozen=True, array_like=True):
    """What lies under a lease's key. A `token` of 0 stands for the revision of the message itself."""

    holder: str
    token: int
    nonce: int


class Found(NamedTuple):
    held: Held | None
    revision: int


class Leases:
    def __init__(self, connection: Connection, stream: str, prefix: str) -> None:
        self._js = connection.js
        self._stream = stream
        self._prefix = f"{prefix}lease."

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Lease:
        started = time.monotonic()
        found = await self._find(name)
        if found.held is not None:
            raise _taken(name, found.held)
        held = Held(holder, 0, time.monotonic_ns())
        revision = await self._write(name, held, found.revision, ttl_s)
        return Lease(name, holder, revision, revision, started + _whole(ttl_s))

    async def renew(self, lease: Lease, ttl_s: float) -> Lease:
        started = time.monotonic()
        held = Held(lease.holder, lease.token, time.monotonic_ns())
        revision = await self._write(lease.name, held, lease.revision, ttl_s)
        return lease._replace(revision=revision, valid_until_s=started + _whole(ttl_s))

    async def release(self, lease: Lease) -> None:
        with suppress(FencedError):
            await self._write(lease.name, None, lease.revision, TTL_S_MIN)

    async def _find(self, name: str) -> Found:
        try:
            message = await self._js.get_msg(self._stream, subject=self._prefix + name)
        except NATS_ERRORS as error:
            if is_not_found(error):
                return Found(None, 0)
            raise _unavailable(name, error) from error
        held = msgspec.msgpack.decode(message.data, type=Held) if message.data else None
        return Found(held, message.seq or 0)

    async def _write(self, name: str, held: Held | None, expected: int, ttl_s: float) -> int:
        content = RELEASED if held is None else msgspec.msgpack.encode(held)
        headers: dict[str, Any] = {api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE: str(expected)}
        try:
            ack = await self._js.publish(
                self._prefix + name,
                content,
                timeout=REQUEST_TIMEOUT_S,
                stream=self._stream,
                headers=headers,
                msg_ttl=_whole(ttl_s),
            )
            return ack.seq
        except NATS_ERRORS as error:
            found = await self._find(name)
            if held is not None and found.held == held:
                return found.revision
            if error_code(error) not in WRONG_LAST_SEQUENCE:
                raise _unavailable(name, error) from error
            raise _taken(name, found.held) from error


def _whole(ttl_s: float) -> int:
    return max(TTL_S_MIN, ceil(ttl_s))


def _taken(name: str, held: Held | None) -> FencedError:
    by = "nobody any more" if held is None else f"[{held.holder}]"
    return FencedError(f"the lease [{name}] is held by {by}")


def _unavailable(name: str, error: BaseException) -> FailedToCommitClusterStateError:
    return FailedToCommitClusterStateError(f"the lease [{name}] could not be had: {str(error) or type(error).__name__}")
