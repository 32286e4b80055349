"""One remote cluster's connections: the asyncio driver around the strategy, and calls spread over its gateways.

Calls go round-robin. A call that was not sent because its gateway was gone goes to another one; a read that was cut off
is asked again; anything else that was cut off fails, since it may have been done.
Tests: tests/remote/test_connection.py.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import structlog

from hanse.errors import (
    ConnectTransportError,
    HanseError,
    NodeDisconnectedError,
    NodeNotConnectedError,
    NoSeedNodeLeftError,
    RejectedExecutionError,
)
from hanse.remote.nodes import NODES
from hanse.remote.proxy import ProxyStrategy
from hanse.remote.settings import SNIFF, RemoteConfig, split_address
from hanse.remote.sniff import SniffStrategy
from hanse.remote.strategy import (
    Command,
    Demanded,
    Dial,
    DialFailed,
    Dialled,
    Drop,
    Event,
    FailureKind,
    GaveUp,
    Keep,
    ListNodes,
    Lost,
    NodesFailed,
    NodesListed,
    Say,
    Started,
    Stopped,
    Strategy,
    WakeAfter,
    Woke,
)
from hanse.remote.trouble import Trouble, trouble_of
from hanse.tasks import Tasks
from hanse.tls.contexts import TlsContexts
from hanse.tls.identity import PeerCertificate
from hanse.transport.actions import Action, Empty, Lane
from hanse.transport.connection import connect
from hanse.transport.hello import Hello
from hanse.transport.identity import SYSTEM, Identity
from hanse.transport.pool import Judge, Peer

log = structlog.get_logger(__name__)

Q = TypeVar("Q")
R = TypeVar("R")

DIAL_TIMEOUT_S = 30.0
LIST_NODES_TIMEOUT_S = 10.0
CALL_ATTEMPTS_MAX = 3
WAITING_MAX = 1000
"""Callers that wait for one connection; one more is refused."""

_READS = (
    "indices:data/read/", "indices:monitor/", "indices:admin/get", "indices:admin/mappings/", "indices:admin/resolve",
    "cluster:monitor/",
)  # fmt: skip
_MOVING_READS = ("indices:data/read/scroll", "indices:data/read/open_point_in_time")


def may_be_asked_again(action_name: str) -> bool:
    """Whether doing the action twice is the same as doing it once."""
    return action_name.startswith(_READS) and not action_name.startswith(_MOVING_READS)


class LinkLike(Protocol):
    """A Peer (sniff) or a Connection (proxy)."""

    peer: Hello
    closed: asyncio.Future[str]

    @property
    def peer_certificate(self) -> PeerCertificate | None: ...

    @property
    def certificates(self) -> tuple[PeerCertificate | None, ...]: ...

    @property
    def round_trip_s(self) -> float | None: ...

    @property
    def clock_skew_s(self) -> float | None: ...

    @property
    def is_open(self) -> bool: ...

    async def call(
        self,
        action: Action[Q, R],
        request: Q,
        identity: Identity,
        *,
        timeout_s: float | None = None,
        opaque_id: str | None = None,
    ) -> R: ...

    async def close(self) -> None: ...


class RemoteConnection:
    """One alias. Connects by itself from `start` until `close`, again and again while it is configured."""

    def __init__(
        self,
        config: RemoteConfig,
        own: Hello,
        contexts: TlsContexts | None,
        *,
        jitter: Callable[[], float],
        dial_timeout_s: float = DIAL_TIMEOUT_S,
        judge: Judge = lambda certificate: None,
    ) -> None:
        """`judge` says why a server with this certificate must not be called, None when it may be."""
        self.config = config
        self._judge = judge
        self.last_error: str | None = None
        self.last_error_at: datetime | None = None
        self.trouble = Trouble.UNREACHABLE
        """Of what kind the last error is."""
        self.last_peer: Hello | None = None
        """A node of the cluster that answered last, kept when the connection is lost."""
        self.peer_before: Hello | None = None
        """The same of the connection that this one replaced when the settings of the alias changed."""
        self._own = own
        self._contexts = contexts
        self._dial_timeout_s = dial_timeout_s
        self._strategy: Strategy = (SniffStrategy if config.mode == SNIFF else ProxyStrategy)(config, own, jitter)
        self._links: dict[int, LinkLike] = {}
        self._tasks = Tasks()
        self._events: deque[Event] = deque()
        self._is_handling = False
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._turn = 0

    def __repr__(self) -> str:
        return repr(self._strategy)

    @property
    def is_connected(self) -> bool:
        return bool(self._strategy.links)

    @property
    def connection_count(self) -> int:
        return len(self._strategy.links)

    @property
    def cluster_name(self) -> str | None:
        return self._strategy.cluster_name

    @property
    def peers(self) -> list[Hello]:
        """The gateways that are connected."""
        return [link.peer for link in self._strategy.links.values() if link.peer is not None]

    @property
    def peer_certificate(self) -> PeerCertificate | None:
        """What a gateway that is connected showed in its handshake; None without a connection, or without TLS."""
        return next((self._links[link].peer_certificate for link in self._strategy.links if link in self._links), None)

    @property
    def round_trip_s(self) -> float | None:
        """The quickest answer to the last pings."""
        measured = (self._links[link].round_trip_s for link in self._strategy.links if link in self._links)
        return min((one for one in measured if one is not None), default=None)

    @property
    def clock_skew_s(self) -> float | None:
        """How far the farthest clock over there is ahead of ours, by the word of the gateways."""
        told = (self._links[link].clock_skew_s for link in self._strategy.links if link in self._links)
        return max((one for one in told if one is not None), key=abs, default=None)

    def start(self) -> None:
        self._handle(Started())

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        links = [*self._links.values()]
        self._handle(Stopped())
        self._fail_waiting(NodeNotConnectedError(f"remote cluster [{self.config.alias}] was removed or changed"))
        # Waited for here: the tasks that Drop started are cancelled in the next line.
        await asyncio.gather(*(link.close() for link in links))
        await self._tasks.close()

    def demand(self) -> None:
        """Begins a round at once when there is no connection, without waiting for it."""
        if not self.is_connected:
            self._handle(Demanded())

    async def ensure_connected(self, timeout_s: float) -> None:
        """Returns when a connection is there; raises why there is none, at the latest after `timeout_s`."""
        if self.is_connected:
            return
        if len(self._waiting) >= WAITING_MAX:
            raise RejectedExecutionError(f"connect listener queue is full for remote cluster [{self.config.alias}]")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            self._handle(Demanded())
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError as error:
            known = f": {self.last_error}" if self.last_error else f" at {self.address}"
            raise ConnectTransportError(
                f"no connection to remote cluster [{self.config.alias}] within [{timeout_s:g}s]{known}"
            ) from error
        finally:
            self._waiting.discard(waiter)

    @property
    def address(self) -> str:
        """What is dialled, for people."""
        config = self.config
        return f"[{', '.join(config.seeds)}]" if config.mode == SNIFF else f"[{config.proxy_address}]"

    async def call(
        self,
        action: Action[Q, R],
        request: Q,
        identity: Identity,
        *,
        timeout_s: float | None = None,
        opaque_id: str | None = None,
        connect_timeout_s: float = DIAL_TIMEOUT_S,
    ) -> R:
        """Runs an action at a gateway. Raises the remote's own error, or why it cannot be reached."""
        for attempt in range(1, CALL_ATTEMPTS_MAX + 1):
            await self.ensure_connected(connect_timeout_s)
            link = self._next_link(action.lane)
            await self._refuse_revoked(link)
            try:
                return await link.call(action, request, identity, timeout_s=timeout_s, opaque_id=opaque_id)
            except (NodeNotConnectedError, NodeDisconnectedError) as error:
                # From an open link the error is the remote's own answer about a connection of its own.
                was_sent = isinstance(error, NodeDisconnectedError)
                is_final = attempt == CALL_ATTEMPTS_MAX or (was_sent and not may_be_asked_again(action.name))
                if link.is_open or is_final:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def drop_revoked(self) -> None:
        """Closes the links to servers that must not be called any more: what waits for their answers ends now."""
        for link in [*self._links.values()]:
            if self._why_not(link) is not None:
                self._tasks.spawn(f"close connection to remote cluster [{self.config.alias}]", link.close())

    def _why_not(self, link: LinkLike) -> str | None:
        return next((why for one in link.certificates if (why := self._judge(one)) is not None), None)

    async def _refuse_revoked(self, link: LinkLike) -> None:
        """A peer may be disabled while it is connected."""
        why = self._why_not(link)
        if why is not None:
            await link.close()
            raise ConnectTransportError(f"remote cluster [{self.config.alias}] is not called: {why}")

    def _next_link(self, lane: Lane) -> LinkLike:
        usable = self._strategy.links
        of_lane = usable
        if self.config.mode != SNIFF:
            of_lane = {link: known for link, known in usable.items() if known.lane is lane} or usable
        self._turn += 1
        chosen = list(of_lane)
        return self._links[chosen[self._turn % len(chosen)]]

    # The driver: events to the strategy, its commands done.

    def _handle(self, event: Event) -> None:
        self._events.append(event)
        if self._is_handling:
            return
        self._is_handling = True
        try:
            while self._events:
                for command in self._strategy.handle(self._events.popleft()):
                    self._do(command)
        finally:
            self._is_handling = False

    def _do(self, command: Command) -> None:
        alias = self.config.alias
        match command:
            case Dial():
                self._tasks.spawn(f"dial remote cluster [{alias}]", self._dial(command))
            case ListNodes(link):
                self._tasks.spawn(f"list nodes of remote cluster [{alias}]", self._list_nodes(link))
            case Keep(link):
                self._kept(link)
            case Drop(link):
                dropped = self._links.pop(link, None)
                if dropped is not None:
                    self._tasks.spawn(f"close connection to remote cluster [{alias}]", dropped.close())
            case WakeAfter(delay_s):
                self._wake_after(delay_s)
            case GaveUp(kind, sentence):
                self._gave_up(kind, sentence)
            case Say(level, sentence, fields):
                getattr(log, level)(sentence, **fields)

    async def _dial(self, command: Dial) -> None:
        host, port = split_address(command.address)
        how: dict[str, Any] = {"server_name": command.server_name, "timeout_s": self._dial_timeout_s}
        link: LinkLike
        try:
            if self.config.mode == SNIFF:
                link = await Peer.open(host, port, self._own, self._contexts, judge=self._judge, **how)
            else:
                link = await connect(host, port, self._own, self._contexts, lane=command.lane, **how)
        except HanseError as error:
            self.trouble = trouble_of(error)
            self._handle(DialFailed(command.link, error.reason))
            return
        why = self._why_not(link)
        if why is not None:
            await link.close()
            self.trouble = Trouble.PEER_DISABLED
            self._handle(DialFailed(command.link, why))
            return
        self._links[command.link] = link
        self.last_peer = link.peer
        link.closed.add_done_callback(lambda closed: self._link_closed(command.link, closed.result()))
        self._handle(Dialled(command.link, link.peer))

    async def _list_nodes(self, link: int) -> None:
        asked = self._links.get(link)
        try:
            if asked is None:
                raise NodeNotConnectedError("the connection was lost")
            answer = await asked.call(NODES, Empty(), SYSTEM, timeout_s=LIST_NODES_TIMEOUT_S)
        except HanseError as error:
            self.trouble = trouble_of(error)
            self._handle(NodesFailed(link, error.reason))
            return
        self._handle(NodesListed(link, answer.nodes))

    def _link_closed(self, link: int, reason: str) -> None:
        lost = self._links.pop(link, None)
        if lost is not None:
            self._tasks.spawn(f"close connection to remote cluster [{self.config.alias}]", lost.close())
            self._handle(Lost(link, reason))

    def _kept(self, link: int) -> None:
        if not self._links[link].is_open:
            # It broke while the event waited; its own callback reports the loss after this.
            return
        self.last_error = self.last_error_at = None
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _wake_after(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._handle, Woke())

    def _gave_up(self, kind: FailureKind, sentence: str) -> None:
        self.last_error, self.last_error_at = sentence, datetime.now(UTC)
        error = ConnectTransportError if kind is FailureKind.CONNECT else NoSeedNodeLeftError
        self._fail_waiting(error(sentence))

    def _fail_waiting(self, error: HanseError) -> None:
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                # An exception object belongs to one raiser: a shared one would collect everybody's traceback.
                waiter.set_exception(type(error)(error.reason))
