"""The JetStream StateStore: the cluster state under one key of a replicated bucket, leases under others.

The value under `state` is a manifest that is written with compare-and-set on its revision. A state is compressed when
it is long, and when it is still longer than a message may be, its pieces lie under keys of their own, written before
the manifest that names them; a reader that finds pieces gone reads the manifest again, for a newer one is there.
Everything is read through the stream's leader (no direct get: a follower may be behind).
Leases: leases.py. Tests: tests/contracts/test_state_store.py, tests/cluster/jetstream/test_state_store.py.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
import structlog
from nats.js import api

from hanse.cluster.jetstream.connection import (
    NATS_ERRORS,
    REQUEST_TIMEOUT_S,
    WRONG_LAST_SEQUENCE,
    Connection,
    check_cancelled,
    error_code,
    is_not_found,
)
from hanse.cluster.jetstream.leases import Leases
from hanse.cluster.jetstream.streams import make_stream
from hanse.cluster.state import ClusterState
from hanse.cluster.store import Lease
from hanse.errors import FailedToCommitClusterStateError, FencedError, ShardFailedError

log = structlog.get_logger(__name__)

PIECE_BYTES_MAX = 512 * 1024
COMPRESS_FROM_BYTES = 16 * 1024
INLINE_BYTES_MAX = 128 * 1024
COMMIT_TIMEOUT_S = 20.0
RETRY_S = 0.1
WATCH_IDLE_S = 5.0
READ_ROUNDS_MAX = 10
_PLAIN_NAME = re.compile(r"^[a-zA-Z0-9_-]+$")


class Manifest(msgspec.Struct, frozen=True, array_like=True):
    """What lies under `state`. `commit` names the write, so that a writer finds its own again.

    `content` is the encoded state, or empty when it lies in `pieces` pieces.
    """

    version: int
    commit: str
    is_compressed: bool
    pieces: int
    content: bytes


class Stored(NamedTuple):
    """A manifest and the revision to expect when it is replaced."""

    manifest: Manifest | None
    revision: int

    @property
    def version(self) -> int:
        return 0 if self.manifest is None else self.manifest.version


def bucket_of(cluster_name: str) -> str:
    """A bucket takes letters, digits, `_` and `-`; another name is told by its hash."""
    if _PLAIN_NAME.match(cluster_name):
        return f"hanse-{cluster_name}"
    return f"hanse-{blake2b(cluster_name.encode(), digest_size=12).hexdigest()}"


class JetStreamStateStore:
    """The state of the cluster `cluster_name`. `open` must be awaited before anything else."""

    def __init__(self, connection: Connection, cluster_name: str) -> None:
        self._connection = connection
        self._js = connection.js
        bucket = bucket_of(cluster_name)
        self._stream = f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}."
        self._leases = Leases(connection, self._stream, self._prefix)
        self._piece_bytes = min(PIECE_BYTES_MAX, connection.max_payload // 2)
        self._seen: Stored | None = None

    async def open(self) -> None:
        """Makes the bucket when there is none. Waits for a leader, who may still be elected."""
        config = api.StreamConfig(
            name=self._stream,
            subjects=[f"{self._prefix}>"],
            storage=api.StorageType.FILE,
            num_replicas=self._connection.replicas,
            max_msgs_per_subject=1,
            discard=api.DiscardPolicy.NEW,
            deny_delete=True,
            allow_rollup_hdrs=True,
            allow_direct=False,
            allow_msg_ttl=True,
        )
        deadline = time.monotonic() + COMMIT_TIMEOUT_S
        while True:
            try:
                await self._open_or_make(config)
                return
            except NATS_ERRORS as error:
                if time.monotonic() > deadline:
                    raise _unavailable("opened", error) from error
            await asyncio.sleep(RETRY_S)

    async def _open_or_make(self, config: api.StreamConfig) -> None:
        try:
            await self._js.stream_info(self._stream)
        except NATS_ERRORS as error:
            if not is_not_found(error):
                raise
            await make_stream(self._connection, config)

    # -- reading

    async def load(self) -> ClusterState | None:
        """Waits for a leader, who may still be elected."""
        deadline = time.monotonic() + COMMIT_TIMEOUT_S
        while True:
            try:
                return await self._load()
            except NATS_ERRORS as error:
                if time.monotonic() > deadline:
                    raise _unavailable("read", error) from error
            await asyncio.sleep(RETRY_S)

    async def _load(self) -> ClusterState | None:
        for _ in range(READ_ROUNDS_MAX):
            self._seen = stored = await self._read_manifest()
            if stored.manifest is None:
                return None
            state = await self._state_of(stored.manifest)
            if state is not None:
                return state
        raise ShardFailedError(f"the cluster state in [{self._stream}] misses pieces that its manifest names")

    async def _read_manifest(self) -> Stored:
        try:
            message = await self._js.get_msg(self._stream, subject=f"{self._prefix}state")
        except NATS_ERRORS as error:
            if is_not_found(error):
                return Stored(None, 0)
            raise
        return Stored(_manifest(message.data or b""), message.seq or 0)

    async def _state_of(self, manifest: Manifest) -> ClusterState | None:
        """None when its pieces are gone, for a newer manifest took its place."""
        content = manifest.content
        if manifest.pieces:
            pieces = [await self._read_piece(manifest, at) for at in range(manifest.pieces)]
            content = b"".join(piece for piece in pieces if piece is not None)
            if None in pieces:
                return None
        work = asyncio.to_thread(_decoded, content, manifest) if len(content) > INLINE_BYTES_MAX else None
        return _decoded(content, manifest) if work is None else await work

    async def _read_piece(self, manifest: Manifest, at: int) -> bytes | None:
        try:
            return (await self._js.get_msg(self._stream, subject=self._piece(manifest, at))).data or b""
        except NATS_ERRORS as error:
            if is_not_found(error):
                return None
            raise

    def _piece(self, manifest: Manifest, at: int | str) -> str:
        return f"{self._prefix}piece.{manifest.commit}.{at}"

    # -- compare-and-set

    async def commit(self, old: ClusterState, new: ClusterState) -> None:
        deadline = time.monotonic() + COMMIT_TIMEOUT_S
        stored = self._seen
        if stored is None or stored.version != old.version:
            self._seen = stored = await self._read_by(deadline)
        if stored.version != old.version:
            raise _stale(old.version, stored.version)
        self._seen = None
        manifest, pieces = await asyncio.to_thread(_encoded, new, self._piece_bytes)
        for at, piece in enumerate(pieces):
            await self._put(self._piece(manifest, at), piece, deadline)
        try:
            self._seen = Stored(manifest, await self._set(manifest, stored, deadline))
        except FencedError:
            await self._drop_pieces(manifest)
            raise
        await self._drop_pieces(stored.manifest)

    async def _put(self, subject: str, content: bytes, deadline: float) -> None:
        while True:
            try:
                await self._js.publish(subject, content, timeout=REQUEST_TIMEOUT_S, stream=self._stream)
                return
            except NATS_ERRORS as error:
                check_cancelled()
                if time.monotonic() > deadline:
                    raise _unavailable("written", error) from error
            await asyncio.sleep(RETRY_S)

    async def _set(self, manifest: Manifest, stored: Stored, deadline: float) -> int:
        """The new revision. Written again with the same expectation until the outcome is known: it succeeds once."""
        headers: dict[str, Any] = {api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE: str(stored.revision)}
        content = msgspec.msgpack.encode(manifest)
        while True:
            try:
                ack = await self._js.publish(
                    f"{self._prefix}state", content, timeout=REQUEST_TIMEOUT_S, stream=self._stream, headers=headers
                )
                return ack.seq
            except NATS_ERRORS as error:
                if error_code(error) in WRONG_LAST_SEQUENCE:
                    revision = await self._own_or_fenced(manifest, stored, deadline)
                    if revision is not None:
                        return revision
                if time.monotonic() > deadline:
                    raise _unavailable("written", error) from error
            await asyncio.sleep(RETRY_S)

    async def _own_or_fenced(self, manifest: Manifest, stored: Stored, deadline: float) -> int | None:
        """The revision of our own write, if it is that which is stored. None while the one that forestalled us is only
        under way: the server refuses ours for it, but it may yet come to nothing."""
        now = await self._read_by(deadline)
        if now.manifest is not None and now.manifest.commit == manifest.commit:
            return now.revision
        if now.revision == stored.revision:
            return None
        raise _stale(stored.version, now.version)

    async def _read_by(self, deadline: float) -> Stored:
        """Asked again while servers elect a leader."""
        while True:
            try:
                return await self._read_manifest()
            except NATS_ERRORS as error:
                check_cancelled()
                if time.monotonic() > deadline:
                    raise _unavailable("read", error) from error
            await asyncio.sleep(RETRY_S)

    async def _drop_pieces(self, manifest: Manifest | None) -> None:
        """Pieces that nobody names any more. What fails here only takes room."""
        if manifest is not None and manifest.pieces:
            with suppress(*NATS_ERRORS):
                await self._connection.management.purge_stream(self._stream, subject=self._piece(manifest, ">"))

    # -- watching

    async def watch(self) -> AsyncIterator[ClusterState]:
        seen = (self._seen or Stored(None, 0)).revision
        while not self._connection.client.is_closed:
            try:
                async for manifest, revision in self._manifests(seen + 1):
                    seen = revision
                    state = await self._state_of(manifest)
                    if state is not None:
                        yield state
            except NATS_ERRORS as error:
                check_cancelled()
                log.debug("watch of the cluster state begins anew", error=str(error))
            await asyncio.sleep(RETRY_S)

    async def _manifests(self, first: int) -> AsyncIterator[tuple[Manifest, int]]:
        """Ends when the server may have forgotten our consumer; the caller goes on behind what it saw."""
        config = api.ConsumerConfig(
            ack_policy=api.AckPolicy.NONE,
            deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=first,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=4 * WATCH_IDLE_S,
        )
        subscription = await self._js.pull_subscribe(f"{self._prefix}state", stream=self._stream, config=config)
        try:
            while True:
                try:
                    messages = await subscription.fetch(1, timeout=WATCH_IDLE_S)
                except TimeoutError:
                    check_cancelled()
                    await subscription.consumer_info()
                    continue
                for message in messages:
                    yield _manifest(message.data), message.metadata.sequence.stream
        finally:
            with suppress(*NATS_ERRORS):
                await subscription.unsubscribe()

    # -- leases

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Lease:
        return await self._leases.acquire(name, holder, ttl_s)

    async def renew(self, lease: Lease, ttl_s: float) -> Lease:
        return await self._leases.renew(lease, ttl_s)

    async def release(self, lease: Lease) -> None:
        await self._leases.release(lease)

    async def close(self) -> None:
        """The connection belongs to the engine."""


def _encoded(state: ClusterState, piece_bytes: int) -> tuple[Manifest, list[bytes]]:
    content = msgspec.msgpack.encode(state)
    is_compressed = len(content) > COMPRESS_FROM_BYTES
    if is_compressed:
        content = zlib.compress(content, 1)
    commit = f"{state.version}-{secrets.token_hex(8)}"
    if len(content) <= piece_bytes:
        return Manifest(state.version, commit, is_compressed, 0, content), []
    pieces = [content[at : at + piece_bytes] for at in range(0, len(content), piece_bytes)]
    return Manifest(state.version, commit, is_compressed, len(pieces), b""), pieces


def _decoded(content: bytes, manifest: Manifest) -> ClusterState:
    try:
        plain = zlib.decompress(content) if manifest.is_compressed else content
        return msgspec.msgpack.decode(plain, type=ClusterState)
    except (zlib.error, msgspec.DecodeError) as error:
        raise ShardFailedError(
            f"the stored cluster state of version [{manifest.version}] is damaged: {error}"
        ) from error


def _manifest(data: bytes) -> Manifest:
    try:
        return msgspec.msgpack.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise ShardFailedError(f"the stored cluster state is damaged: {error}") from error


def _stale(expected: int, stored: int) -> FencedError:
    return FencedError(f"expected cluster state version [{expected}] but [{stored}] is stored")


def _unavailable(what: str, error: BaseException) -> FailedToCommitClusterStateError:
    reason = str(error) or type(error).__name__
    return FailedToCommitClusterStateError(f"the cluster state could not be {what} in time: {reason}")
