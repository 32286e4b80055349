"""The group of managed nats-servers: how large it is, who answers, and how one is taken out for good.

Theory of operation. JetStream's group counts every server it ever saw until one is removed, which only the system
account may ask for. A server is named by its peer id, which follows from its name: after a restart the others do not
know the name of one that is gone, but the id they do. Removed, it is taken out of all streams as well, and a server
that is free takes its place in them; without one they go on with fewer copies (streams.py).

Whether the rest can decide is seen before: of those that are left a majority must answer and, where a server is removed
that is alive, the copies of each stream elsewhere must be level. A server that was removed and runs on would be let in
again after five minutes (so it is in 2.15). So the server of a node that is excluded runs without JetStream: it serves
its node from the others', and does not vote.
Tests: tests/cluster/jetstream/test_group.py, tests/journeys/test_replacing.py.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client

from hanse.cluster.jetstream.connection import NATS_ERRORS, REQUEST_TIMEOUT_S, Connection, check_cancelled, connect
from hanse.cluster.jetstream.server import ManagedServer
from hanse.cluster.jetstream.streams import Stream, all_streams, hand_over
from hanse.cluster.voting import Candidate, joined
from hanse.errors import IllegalArgumentError, SettingsError, TimeoutElapsedError

log = structlog.get_logger(__name__)

SETTLE_S = 3.0
"""How long it must look the same who answers before that is believed. Longer than ANSWERS_S."""
ANSWERS_S = 2.5
"""Servers hear from one another every second."""
POLL_S = 0.2
SIZE_TIMEOUT_S = 5.0
SERVERS_MIN = 2
"""One alone goes on, but when it is started again it waits for a route before anything (so it is in 2.15)."""
NOT_A_MEMBER = 10044
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PEER_ID_CHARACTERS = 8


class Peer(msgspec.Struct, frozen=True):
    """A server as the group's leader sees it. `active` is how many nanoseconds ago it heard from it."""

    name: str
    peer: str
    current: bool = False
    active: int = 0

    @property
    def answers(self) -> bool:
        return self.current and self.active < ANSWERS_S * 1e9


class MetaCluster(msgspec.Struct, frozen=True):
    leader: str = ""
    peer: str = ""
    replicas: tuple[Peer, ...] = ()


class JetStreamInfo(msgspec.Struct, frozen=True):
    meta_cluster: MetaCluster = MetaCluster()


class Answer(msgspec.Struct, frozen=True):
    data: JetStreamInfo


class Refusal(msgspec.Struct, frozen=True):
    err_code: int = 0
    description: str = ""


class Removed(msgspec.Struct, frozen=True):
    error: Refusal | None = None


def peer_id(server_name: str) -> str:
    """By which a server of this name is known to the group, as nats-server derives it."""
    digest = hashlib.sha256(server_name.encode()).digest()
    return "".join(_DIGITS[byte % len(_DIGITS)] for byte in digest[:_PEER_ID_CHARACTERS])


class ManagedVoters:
    """Satisfies cluster.voting.Voters over the nats-server of this node.

    `system` gives the options (nats-py) with which it takes a connection of the system account.
    """

    def __init__(self, server: ManagedServer, connection: Connection, system: Callable[[], Mapping[str, Any]]) -> None:
        self._server = server
        self._connection = connection
        self._system = system

    @property
    def own_server(self) -> str | None:
        return self._server.managed.server_name

    async def size(self) -> int:
        """How many servers the group counts. Raises one of NATS_ERRORS when it has no leader."""
        async with asyncio.timeout(SIZE_TIMEOUT_S), self._connected() as client:
            return len(await _peers(client))

    async def set_voting(self, votes: bool) -> None:
        await self._server.set_voting(votes)

    async def remove(self, candidates: Sequence[Candidate], timeout_s: float) -> None:
        removal = Removal(self._connection.client, candidates)
        try:
            async with asyncio.timeout(timeout_s), self._connected() as client:
                await removal.run(client)
        except NATS_ERRORS as error:
            check_cancelled()
            raise TimeoutElapsedError(
                f"timed out waiting for voting config exclusions for [{joined(candidates)}] to take effect: "
                f"{removal.waits_for}"
            ) from error

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        """The system account is needed so rarely that no connection is kept for it."""
        url = self._server.managed.url
        try:
            connection = await connect([url], self._system(), replicas=1, timeout_s=REQUEST_TIMEOUT_S)
        except SettingsError as error:
            raise ConnectionError(error.reason) from error
        try:
            yield connection.client
        finally:
            await connection.close()


class Removal:
    """Takes servers out, one after another: those that are gone first. `waits_for` says what holds it up."""

    def __init__(self, own: Client, candidates: Sequence[Candidate]) -> None:
        """`own` is connected as the user whose streams they are."""
        self.waits_for = "this node's nats-server does not answer"
        self._own = own
        self._candidates = candidates

    async def run(self, system: Client) -> None:
        """Raises one of NATS_ERRORS, and IllegalArgumentError for what cannot be."""
        self.waits_for = "JetStream's group has no leader: a majority of its nats-servers must run"
        doomed = await self._settled(system)
        for peer in sorted(doomed, key=lambda peer: peer.answers):
            if peer.answers:
                await self._until_level(system, peer.name, {one.name for one in doomed})
            await self._remove(system, peer)
            log.warning("nats-server was taken out of JetStream's group for good", server=peer.name, peer=peer.peer)

    async def _settled(self, system: Client) -> list[Peer]:
        """Who is in the group of those that are to go. Whether that is possible must look the same for a while, since
        one that has just died seems to answer still, and a new leader has heard from nobody yet."""
        since, was_possible = time.monotonic(), True
        while True:
            peers = await _peers(system)
            doomed, refusal = self._judged(peers)
            if refusal is None and not any(peer.answers for peer in doomed):
                return doomed
            if was_possible != (refusal is None):
                since, was_possible = time.monotonic(), refusal is None
            if time.monotonic() - since > SETTLE_S:
                if refusal is not None:
                    raise refusal
                return doomed
            await asyncio.sleep(POLL_S)

    def _judged(self, peers: Sequence[Peer]) -> tuple[list[Peer], IllegalArgumentError | None]:
        try:
            return _doomed(peers, self._candidates), None
        except IllegalArgumentError as error:
            return [], error

    async def _until_level(self, system: Client, server: str, doomed: Set[str]) -> None:
        """Waits until what the server holds is held by others too, and led by them: an election would stop writes."""
        while True:
            peers = await _peers(system)
            _doomed(peers, self._candidates)
            try:
                if peers[0].name == server:
                    await system.request("$JS.API.META.LEADER.STEPDOWN", timeout=REQUEST_TIMEOUT_S)
                found = await all_streams(self._own)
                streams = [stream for stream in found.led if server in stream.copies]
                self._require_others(streams, doomed)
                behind = [stream.name for stream in streams if not stream.is_level_without(doomed)] + found.leaderless
                led = [stream for stream in streams if stream.cluster.leader == server]
                if not behind and not led and peers[0].name != server:
                    return
                self.waits_for = (
                    f"other nats-servers have to catch up with {behind} and to lead {[one.name for one in led]}"
                )
                for stream in led if not behind else ():
                    await hand_over(self._own, stream, REQUEST_TIMEOUT_S, doomed)
            except NATS_ERRORS as error:
                check_cancelled()
                self.waits_for = f"the streams cannot be listed: {error or type(error).__name__}"
            await asyncio.sleep(POLL_S)

    def _require_others(self, streams: Sequence[Stream], doomed: Set[str]) -> None:
        alone = [stream.name for stream in streams if not stream.copies.keys() - doomed]
        if alone:
            raise _refused(self._candidates, f"no other nats-server has a copy of {alone}")

    async def _remove(self, system: Client, peer: Peer) -> None:
        request = msgspec.json.encode({"peer": peer.name, "peer_id": peer.peer})
        while any(known.peer == peer.peer for known in await _peers(system)):
            answer = await system.request("$JS.API.SERVER.REMOVE", request, timeout=REQUEST_TIMEOUT_S)
            error = msgspec.json.decode(answer.data, type=Removed).error
            if error is not None and error.err_code != NOT_A_MEMBER:
                self.waits_for = f"JetStream does not remove [{peer.name}]: {error.description}"
            await asyncio.sleep(POLL_S)


async def _peers(system: Client) -> list[Peer]:
    """Asked until a leader answers, who is the first of them."""
    while True:
        try:
            asked = b'{"leader_only":true}'
            message = await system.request("$SYS.REQ.SERVER.PING.JSZ", asked, timeout=REQUEST_TIMEOUT_S)
        except NATS_ERRORS:
            check_cancelled()
            if system.is_closed:
                raise
            continue
        found = msgspec.json.decode(message.data, type=Answer).data.meta_cluster
        return [Peer(found.leader, found.peer, current=True), *found.replicas]


def _doomed(peers: Sequence[Peer], candidates: Sequence[Candidate]) -> list[Peer]:
    """Those of the group that are the candidates' servers; one that nobody wrote down goes by its peer id."""
    by_id = {peer.peer: peer for peer in peers}
    ids: set[str] = set()
    for one in candidates:
        given = one.exclusion.node_id
        if one.server is None and given not in by_id:
            raise _refused(
                [one],
                f"no nats-server is known of that node. JetStream's group has {_listed(peers)}; one that belongs to no "
                f"node can be given by its peer id in [node_ids]",
            )
        ids.add(given if one.server is None else peer_id(one.server))
    doomed = [peer for peer in peers if peer.peer in ids]
    left = len(peers) - len(doomed)
    answering = sum(peer.answers for peer in peers if peer.peer not in ids)
    if doomed and left < SERVERS_MIN:
        raise _refused(
            candidates,
            f"[{left}] nats-servers would be left, but one of a cluster does not start again without another one",
        )
    if doomed and answering <= left // 2:
        raise _refused(
            candidates,
            f"of the [{left}] nats-servers that would be left [{answering}] would answer, which is no majority. "
            f"JetStream's group has {_listed(peers)}",
        )
    return doomed


def _refused(candidates: Sequence[Candidate], why: str) -> IllegalArgumentError:
    return IllegalArgumentError(f"cannot add voting config exclusions for [{joined(candidates)}]: {why}")


def _listed(peers: Sequence[Peer]) -> str:
    return ", ".join(f"[{peer.name}] ({peer.peer}, {'answers' if peer.answers else 'silent'})" for peer in peers)


class ExternalVoters:
    """The nats-servers are somebody else's."""

    own_server: str | None = None

    async def remove(self, candidates: Sequence[Candidate], timeout_s: float) -> None:
        raise IllegalArgumentError(
            "cannot add voting config exclusions: [hanse.nats.mode] is [external], so no node of this cluster votes; "
            "whoever runs the nats-servers takes one out with `nats server cluster peer-remove`"
        )

    async def set_voting(self, votes: bool) -> None:
        """Nothing of this node's own votes."""
