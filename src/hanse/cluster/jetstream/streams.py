"""All streams of this cluster, and how many servers keep each.

A stream is made on as many servers as the group has, at most as many as were configured: after a server was taken out
for good there may be fewer. Whoever made one on fewer, or finds one so at its start, asks for more until there are
servers for it. (A stream that lost a server keeps its number, and JetStream fills it up by itself.)
Tests: tests/cluster/jetstream/test_group.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Set
from typing import Any, NamedTuple

import msgspec
import structlog
from nats.aio.client import Client
from nats.js import api

from hanse.cluster.jetstream.connection import (
    MANAGEMENT_TIMEOUT_S,
    NATS_ERRORS,
    Connection,
    check_cancelled,
    error_code,
)

log = structlog.get_logger(__name__)

RAISE_S = 5.0
"""How often is looked whether there are servers again for a stream that has too few."""
NO_SUITABLE_PEERS = 10005


class Copy(msgspec.Struct, frozen=True):
    """As the leader sees it; `active` is how many nanoseconds ago it heard from it."""

    name: str
    current: bool = False
    offline: bool = False
    active: int = 0


class Copies(msgspec.Struct, frozen=True):
    leader: str = ""
    replicas: tuple[Copy, ...] = ()

    def liveliest(self, but: Set[str] = frozenset()) -> str | None:
        """The server that the leader heard last, but none of `but`: another may have died a moment ago, and its
        leadership would be an election."""
        able = [copy for copy in self.replicas if copy.current and not copy.offline and copy.name not in but]
        return min(able, key=lambda copy: copy.active).name if able else None


class Stream(msgspec.Struct, frozen=True):
    config: dict[str, Any] = {}
    cluster: Copies = Copies()

    @property
    def name(self) -> str:
        return str(self.config["name"])

    @property
    def copies(self) -> Mapping[str, bool]:
        """By server whether its copy is level."""
        return {self.cluster.leader: True} | {copy.name: copy.current for copy in self.cluster.replicas}

    def is_level_without(self, servers: Set[str]) -> bool:
        return all(is_current for server, is_current in self.copies.items() if server not in servers)


class SteppedDown(msgspec.Struct, frozen=True):
    success: bool = False


class Page(msgspec.Struct, frozen=True):
    """`missing` are those whose leader did not answer."""

    total: int = 0
    streams: tuple[Stream, ...] = ()
    missing: tuple[str, ...] | None = None


class Streams(NamedTuple):
    """As their leaders see them, and the names of those whose leader does not answer."""

    led: list[Stream]
    leaderless: list[str]


async def all_streams(client: Client) -> Streams:
    """Raises one of NATS_ERRORS."""
    found = Streams([], [])
    while True:
        offset = len(found.led) + len(found.leaderless)
        asked = msgspec.json.encode({"offset": offset})
        message = await client.request("$JS.API.STREAM.LIST", asked, timeout=MANAGEMENT_TIMEOUT_S)
        page = msgspec.json.decode(message.data, type=Page)
        found.led.extend(page.streams)
        found.leaderless.extend(page.missing or ())
        if offset + len(page.streams) >= page.total or not page.streams:
            return found


async def hand_over(client: Client, stream: Stream, timeout_s: float, but: Set[str] = frozenset()) -> bool:
    """Has the leader of a stream give its lead to the liveliest other server that is none of `but`; False when there is
    none, or it does not do so. Raises one of NATS_ERRORS."""
    other = stream.cluster.liveliest(but)
    if other is None:
        return False
    wanted = msgspec.json.encode({"placement": {"preferred": other}})
    message = await client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{stream.name}", wanted, timeout=timeout_s)
    return msgspec.json.decode(message.data, type=SteppedDown).success


async def make_stream(connection: Connection, config: api.StreamConfig) -> api.StreamInfo:
    """On as many servers as `config` says, or as the group has, or as are there. Raises one of NATS_ERRORS.

    A server that is down, and has not been heard of since the others started, is given no stream. Then a majority of
    those that were wanted is enough: it is what a write needs anyway, and `keep_replicas` adds the others later.
    """
    try:
        return await connection.management.add_stream(config)
    except NATS_ERRORS as error:
        if error_code(error) != NO_SUITABLE_PEERS:
            raise
        refusal = error
    wanted = config.num_replicas or 1
    size = wanted if connection.group_size is None else await connection.group_size()
    for fewer in [size] if size < wanted else range(wanted - 1, wanted // 2, -1):
        try:
            made = await connection.management.add_stream(config.evolve(num_replicas=fewer))
        except NATS_ERRORS as error:
            if error_code(error) != NO_SUITABLE_PEERS:
                raise
            continue
        log.warning("a stream was made on fewer nats-servers than wanted", stream=config.name, servers=fewer)
        connection.has_lowered.set()
        return made
    raise refusal


async def keep_replicas(connection: Connection) -> None:
    """Until it is cancelled."""
    while True:
        try:
            are_full = await raised(connection)
        except NATS_ERRORS as error:
            check_cancelled()
            log.debug("replicas of streams could not be looked after", why=str(error))
            are_full = False
        if are_full:
            await connection.has_lowered.wait()
            connection.has_lowered.clear()
        else:
            await asyncio.sleep(RAISE_S)


async def raised(connection: Connection) -> bool:
    """Gives streams on too few servers the rest; whether none is left that has too few."""
    streams = await all_streams(connection.client)
    for stream in streams.led:
        if stream.config["num_replicas"] >= connection.replicas:
            continue
        wanted = msgspec.json.encode({**stream.config, "num_replicas": connection.replicas})
        subject = f"$JS.API.STREAM.UPDATE.{stream.name}"
        message = await connection.client.request(subject, wanted, timeout=MANAGEMENT_TIMEOUT_S)
        answer = msgspec.json.decode(message.data)
        if "error" in answer:
            log.debug("a stream stays on fewer nats-servers", stream=stream.name, why=answer["error"])
            return False
        log.info("a stream is kept on more nats-servers", stream=stream.name, servers=connection.replicas)
    return not streams.leaderless
