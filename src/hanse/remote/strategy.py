"""How one remote cluster is kept connected, decided without I/O: events in, commands out.

Theory of operation: the machine is IDLE, in a round (CONNECTING), or STOPPED. A round is begun by the start, by a lost
connection, by a timer or by somebody who needs the cluster now; there is never more than one. A round that leaves the
cluster without a connection ends in `GaveUp` with a sentence and a timer with growing, jittered delay; the sentence is
the one in the log, in `GET _remote/info` and in the error of whoever waited. The name of the first cluster that answers
is pinned: another name later is refused. `remote/sniff.py` and `remote/proxy.py` say what a round does.
Tests (transcripts): tests/remote/test_sniff.py, tests/remote/test_proxy.py, tests/remote/test_strategy.py.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec

from hanse.cluster.state import NodeMetadata
from hanse.remote.settings import RemoteConfig
from hanse.transport.actions import Lane
from hanse.transport.hello import Hello

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 5.0
REFILL_S = 30.0
"""A cluster that is connected, but by fewer connections than wanted, is looked at again after this."""


class Started(msgspec.Struct, frozen=True):
    """The remote cluster was configured."""


class Demanded(msgspec.Struct, frozen=True):
    """Somebody needs a connection now."""


class Dialled(msgspec.Struct, frozen=True):
    """A dial succeeded: from now on its number names the link."""

    link: int
    peer: Hello


class DialFailed(msgspec.Struct, frozen=True):
    link: int
    reason: str


class NodesListed(msgspec.Struct, frozen=True):
    link: int
    nodes: tuple[NodeMetadata, ...]


class NodesFailed(msgspec.Struct, frozen=True):
    link: int
    reason: str


class Lost(msgspec.Struct, frozen=True):
    link: int
    reason: str


class Woke(msgspec.Struct, frozen=True):
    """The timer asked for with WakeAfter rang."""


class Stopped(msgspec.Struct, frozen=True):
    """The remote cluster was removed, or the node shuts down."""


Event = Started | Demanded | Dialled | DialFailed | NodesListed | NodesFailed | Lost | Woke | Stopped


class Dial(msgspec.Struct, frozen=True):
    """Open a link. `server_name` is what TLS announces when it is not the dialled host."""

    link: int
    address: str
    server_name: str | None = None
    lane: Lane = Lane.INTERACTIVE


class ListNodes(msgspec.Struct, frozen=True):
    link: int


class Keep(msgspec.Struct, frozen=True):
    """The link may carry calls."""

    link: int


class Drop(msgspec.Struct, frozen=True):
    """Close the link; nothing more is heard of it."""

    link: int


class WakeAfter(msgspec.Struct, frozen=True):
    """Ring once after this long, in place of any earlier timer."""

    delay_s: float


class FailureKind(Enum):
    CONNECT = "connect_transport_exception"
    NO_SEED = "no_seed_node_left_exception"


class GaveUp(msgspec.Struct, frozen=True):
    """A round ended without any connection."""

    kind: FailureKind
    sentence: str


class Say(msgspec.Struct, frozen=True):
    level: str
    sentence: str
    fields: dict[str, Any] = {}


Command = Dial | ListNodes | Keep | Drop | WakeAfter | GaveUp | Say


class State(Enum):
    IDLE = "idle"
    CONNECTING = "connecting"
    STOPPED = "stopped"


class Link(msgspec.Struct, frozen=True):
    """A usable connection, or one being opened when `peer` is None."""

    address: str
    lane: Lane = Lane.INTERACTIVE
    peer: Hello | None = None
    node_id: str | None = None
    """Which node must answer; None when any may."""


class Strategy:
    """What both modes share. A mode defines `begin_round` and what its own events mean."""

    def __init__(self, config: RemoteConfig, own: Hello, jitter: Callable[[], float]) -> None:
        self.config = config
        self.state = State.IDLE
        self.links: dict[int, Link] = {}
        """Usable links; calls go over these."""
        self.cluster_name: str | None = None
        self._own = own
        self._jitter = jitter
        self._dialling: dict[int, Link] = {}
        self._last_link = 0
        self._failed_rounds = 0
        self._has_warned_of_itself = False
        self._lost_in_round: str | None = None

    def __repr__(self) -> str:
        count = f"{len(self.links)} of {self.config.connections_max}"
        return f"<remote cluster [{self.config.alias}] {self.config.mode}, {self.state.value}, {count}>"

    # What a mode defines.

    def begin_round(self) -> list[Command]:
        raise NotImplementedError

    def dialled(self, link: int, peer: Hello) -> list[Command]:
        raise NotImplementedError

    def dial_failed(self, link: int, reason: str) -> list[Command]:
        raise NotImplementedError

    def nodes_listed(self, link: int, nodes: tuple[NodeMetadata, ...]) -> list[Command]:
        return []

    def nodes_failed(self, link: int, reason: str) -> list[Command]:
        return []

    def temporary_links(self) -> list[int]:
        """Open links that carry no calls."""
        return []

    # The machine.

    def handle(self, event: Event) -> list[Command]:
        """The one door. After Stopped everything that still arrives is closed."""
        if self.state is State.STOPPED:
            return [Drop(event.link)] if isinstance(event, Dialled) else []
        match event:
            case Started() | Woke() | Demanded():
                return self._wanted(event)
            case Dialled(link, peer):
                return self.dialled(link, peer)
            case DialFailed(link, reason):
                return self.dial_failed(link, reason)
            case NodesListed(link, nodes):
                return self.nodes_listed(link, nodes)
            case NodesFailed(link, reason):
                return self.nodes_failed(link, reason)
            case Lost(link, reason):
                return self._lost(link, reason)
            case Stopped():
                return self._stopped()

    def _wanted(self, event: Started | Woke | Demanded) -> list[Command]:
        is_full = len(self.links) >= self.config.connections_max
        is_enough = isinstance(event, Demanded) and bool(self.links)
        if self.state is not State.IDLE or is_full or is_enough:
            return []
        self.state = State.CONNECTING
        self._lost_in_round = None
        return self.begin_round()

    def _lost(self, link: int, reason: str) -> list[Command]:
        lost = self.links.pop(link, None)
        if lost is None:
            return []
        commands: list[Command] = [
            Say(
                "warning" if not self.links else "info",
                "connection to remote cluster lost",
                {"cluster": self.config.alias, "address": lost.address, "reason": reason, "left": len(self.links)},
            )
        ]
        if self.state is State.IDLE:
            commands.append(self.retry())
        else:
            self._lost_in_round = f"[{lost.address}]: {reason}"
        return commands

    def _stopped(self) -> list[Command]:
        self.state = State.STOPPED
        links = [*self.links, *self.temporary_links()]
        self.links = {}
        return [Drop(link) for link in links]

    # For the modes.

    def dial(self, address: str, **how: Any) -> Dial:
        self._last_link += 1
        server_name = how.pop("server_name", None)
        link = Link(how.pop("named", address), **how)
        self._dialling[self._last_link] = link
        return Dial(self._last_link, address, server_name, link.lane)

    def wrong_cluster(self, peer: Hello) -> str | None:
        """A sentence when another cluster answered than before; pins the name when it is the first."""
        if self.cluster_name is None:
            self.cluster_name = peer.cluster_name
        if peer.cluster_name == self.cluster_name:
            return None
        return (
            f"handshake failed. unexpected remote cluster name {peer.cluster_name}, "
            f"expected remote cluster name [{self.cluster_name}]; if this is intended, "
            f"remove the settings of [{self.config.alias}] and set them again"
        )

    def keep(self, link: int, peer: Hello, from_: Link) -> list[Command]:
        """The link becomes usable."""
        self.links[link] = msgspec.structs.replace(from_, peer=peer)
        commands: list[Command] = [Keep(link)]
        if len(self.links) == 1:
            fields = {"cluster": self.config.alias, "address": from_.address, "remote_cluster_name": peer.cluster_name}
            commands.append(Say("info", "remote cluster connected", fields))
        if peer.cluster_uuid == self._own.cluster_uuid and not self._has_warned_of_itself:
            self._has_warned_of_itself = True
            fields = {"cluster": self.config.alias, "address": from_.address}
            commands.append(Say("warning", "remote cluster is this cluster itself", fields))
        return commands

    def round_done(self, kind: FailureKind, sentence: str) -> list[Command]:
        """Ends the round; kind and sentence count only when it left no connection."""
        self.state = State.IDLE
        if not self.links:
            if self._lost_in_round is not None:
                kind = FailureKind.CONNECT
                sentence = f"unable to connect to remote cluster [{self.config.alias}]: {self._lost_in_round}"
            fields = {"cluster": self.config.alias, "reason": sentence}
            say = Say(
                "warning" if self._failed_rounds == 0 else "info", "remote cluster could not be connected", fields
            )
            return [say, GaveUp(kind, sentence), self.retry()]
        self._failed_rounds = 0
        if len(self.links) < self.config.connections_max:
            return [WakeAfter(REFILL_S)]
        return []

    def retry(self) -> WakeAfter:
        """The next try after a delay that doubles with each failed round; jitter keeps nodes from trying in step."""
        delay_s: float = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(self._failed_rounds, 16))
        self._failed_rounds += 1
        return WakeAfter(delay_s * (0.5 + self._jitter() / 2))
