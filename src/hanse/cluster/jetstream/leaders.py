"""Keeps the leader of a log off the node that has the shard's primary.

Theory of operation. Of the servers that keep a stream one leads. When it dies the others take 4 to 9 seconds to elect
another, and until then the stream answers nothing. Had it died together with the primary, nobody could prove for so
long what was acknowledged: realtime gets would stop although copies are left, and none of those could take over. So the
server of the node with the primary steps down where it leads, and another one is elected within milliseconds. When that
one dies the primary is still there, which needs no log to read. Appending takes the same time wherever the leader is.

Servers tell of every election (an advisory), and a new primary looks once. Only a managed nats-server is known to share
the fate of its node. Tests: tests/cluster/jetstream/test_leaders.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
import structlog
from nats.aio.msg import Msg

from hanse.cluster.jetstream.connection import NATS_ERRORS, Connection, check_cancelled
from hanse.cluster.jetstream.streams import Stream, hand_over

log = structlog.get_logger(__name__)

ELECTED = "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED"
REQUEST_TIMEOUT_S = 0.2
"""Nobody answers while there is no leader."""
ELECTION_TIMEOUT_S = 2.0
RETRY_S = 0.01


class _Elected(msgspec.Struct, frozen=True):
    stream: str
    leader: str = ""


class Leaders:
    """For all logs of a node whose own nats-server has the name `own_server`."""

    def __init__(self, connection: Connection, own_server: str) -> None:
        self._client = connection.client
        self._own = own_server
        self._told: dict[str, Callable[[], None]] = {}

    async def start(self) -> None:
        await self._client.subscribe(f"{ELECTED}.>", cb=self._elected)

    def watch(self, stream: str, led_here: Callable[[], None]) -> None:
        """`led_here` is called when this node's server becomes the leader of the stream."""
        self._told[stream] = led_here

    def leave(self, stream: str, led_here: Callable[[], None]) -> None:
        """Ends what `watch` with the same arguments began."""
        if self._told.get(stream) is led_here:
            del self._told[stream]

    async def _elected(self, message: Msg) -> None:
        with suppress(msgspec.DecodeError):
            elected = msgspec.json.decode(message.data, type=_Elected)
            if elected.leader == self._own and (told := self._told.get(elected.stream)) is not None:
                told()

    async def step_aside(self, stream: str) -> None:
        """Has another server lead the stream than this node's, and returns when it does. Nothing may be appended
        meanwhile: it might wait for an answer that never comes. What fails is left as it is."""
        seen = await self._info(stream)
        if seen.cluster.leader != self._own:
            return
        try:
            has_handed_over = await hand_over(self._client, seen, REQUEST_TIMEOUT_S)
        except (*NATS_ERRORS, msgspec.DecodeError):
            check_cancelled()
            has_handed_over = False
        if not has_handed_over:
            log.info("no other server can lead the log", stream=stream)
            return
        deadline = time.monotonic() + ELECTION_TIMEOUT_S
        while time.monotonic() < deadline:
            if await self.leader_of(stream) not in ("", self._own):
                return
            await asyncio.sleep(RETRY_S)

    async def leader_of(self, stream: str) -> str:
        """The name of the server that leads a stream; empty when there is none, or none that answers."""
        return (await self._info(stream)).cluster.leader

    async def _info(self, stream: str) -> Stream:
        """What its leader says; as if it had said nothing when it does not answer, or with an error."""
        try:
            answer = await self._client.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=REQUEST_TIMEOUT_S)
            return msgspec.json.decode(answer.data, type=Stream)
        except (*NATS_ERRORS, msgspec.DecodeError):
            check_cancelled()
            return Stream()
