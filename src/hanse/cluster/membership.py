"""Who is in the cluster: joining, leaving, the master, and noticing nodes that are gone.

Theory of operation. A member is a node that stands in `ClusterState.nodes`; a node writes itself in, which it can only
do when it is let into the state store. Everything else is a change of the state too, compare-and-set by whoever sees
the reason for it. So there is no election to write: whoever takes a master out names the next one in the same commit,
and a side of a split that cannot reach the store's quorum can change nothing at all.

Every member asks every other once a second whether it is there. A member that is gone is taken out by the master; a
master that is gone is taken out by the first that notices, when no other member says that it still hears from it. A
process that is dead (its host refuses the connection) is taken out at once, any other only when it was not heard for
so long that it must have noticed, too: a member that hears from no majority is not in touch, and answers nothing for
which it would have to know that it still is the primary (touch.py). Who was taken out while it was alive (it slept, or
was cut off) writes itself in again.
Tests: tests/cluster/test_membership.py, tests/journeys/test_cluster_of_nodes.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from hanse import clock
from hanse.cluster import allocation
from hanse.cluster.nodes import Nodes
from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.cluster.touch import Touch, enough_lapsed
from hanse.cluster.updates import ClusterService
from hanse.cluster.voting import possible_masters
from hanse.errors import ConnectTransportError, HanseError, IllegalArgumentError, ReceiveTimeoutError
from hanse.settings.registry import Scope as SettingScope
from hanse.settings.registry import Setting, Settings, integer, time_s
from hanse.tasks import Tasks
from hanse.transport.actions import Action, ActionRegistry, Call, Empty, Scope

log = structlog.get_logger(__name__)

CHECK_INTERVAL = time_s(
    "cluster.fault_detection.follower_check.interval", 1, SettingScope.STATIC, "how often members ask one another"
)
CHECK_TIMEOUT = time_s(
    "cluster.fault_detection.follower_check.timeout", 3, SettingScope.STATIC, "how long a member may take to answer"
)
CHECK_RETRIES = integer(
    "cluster.fault_detection.follower_check.retry_count",
    2,
    SettingScope.STATIC,
    "checks in a row that a member may leave unanswered before it counts as gone",
    min=1,
)
MEMBERSHIP_SETTINGS: list[Setting[Any]] = [CHECK_INTERVAL, CHECK_TIMEOUT, CHECK_RETRIES]

REDIALS_MAX = 2
"""Refused connections in a row after which nobody is there: a process that died is noticed at once."""
REDIAL_S = 0.3
ANNOUNCE_TIMEOUT_S = 3.0
SILENT_S = 5.0
"""How long a member that let a state unanswered is not waited for again."""
HEARD_INTERVALS = 2
"""A member that was heard within so many intervals of asking is there."""
REJOIN_S_MIN = 0.5
REJOIN_S_MAX = 10.0
STEADY_S = 60.0
"""A member for so long that it comes back quickly when it was taken out; one that is taken out at once does not."""
HANDED_OVER_S = 5.0
"""How long a planned stop waits for its primaries to be taken over."""


class Version(msgspec.Struct, frozen=True):
    """A version of the cluster state: the one the sender has, or that the asked one shall have."""

    version: int


class Check(msgspec.Struct, frozen=True):
    """Which node asks."""

    node: str


class Superseded(msgspec.Struct, frozen=True):
    """A node that leads shards no more in the cluster state of that version."""

    node: str
    version: int


class Lapsed(msgspec.Struct, frozen=True):
    """Whether the answering member has that state and keeps that node in touch with no older one."""

    lapsed: bool


class About(msgspec.Struct, frozen=True):
    node: str


class Heard(msgspec.Struct, frozen=True):
    heard: bool


CHECK = Action("internal:coordination/fault_detection/follower_check", Check, Version, Scope.MEMBER)
HEARS = Action("internal:coordination/fault_detection/leader_check", About, Heard, Scope.MEMBER)
LAPSED = Action("internal:cluster/coordination/lapsed", Superseded, Lapsed, Scope.MEMBER)
PUBLISH = Action("internal:cluster/coordination/commit_state", Version, Empty, Scope.MEMBER)


def _with_master(state: ClusterState) -> ClusterState:
    """The state with a master that is a member: the one it names or, where that is gone, the first that may be it."""
    if state.master_node in state.nodes:
        return state
    return msgspec.structs.replace(state, master_node=next(iter(possible_masters(state)), None))


def _is_refused(error: HanseError) -> bool:
    """The node's host says that nobody listens at its address."""
    return isinstance(error, ConnectTransportError) and isinstance(error.__cause__, ConnectionRefusedError)


class Membership:
    """This node's part in it; `own` is how it writes itself into the state."""

    def __init__(
        self, cluster: ClusterService, nodes: Nodes, own: Callable[[], NodeMetadata], settings: Settings
    ) -> None:
        self._cluster = cluster
        self._nodes = nodes
        self._own = own
        self._interval_s = settings.read(CHECK_INTERVAL)
        self._timeout_s = settings.read(CHECK_TIMEOUT)
        self._retries = settings.read(CHECK_RETRIES)
        self._tasks = Tasks()
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._heard: dict[str, float] = {}
        self._touch = Touch(self._timeout_s)
        self._knowing: dict[str, int] = {}
        self._silent: dict[str, float] = {}
        self._told_gone: set[str] = set()
        self._rejoin_pause_s = REJOIN_S_MIN
        self._joined_at = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._rejoining: asyncio.Task[None] | None = None
        self._is_leaving = False
        self._unsubscribe: Callable[[], None] = lambda: None

    def register(self, registry: ActionRegistry) -> None:
        registry.register(CHECK, self._checked)
        registry.register(HEARS, self._hears)
        registry.register(LAPSED, self._lapsed)
        registry.register(PUBLISH, self._published)

    @property
    def is_master(self) -> bool:
        return self._cluster.state.master_node == self._nodes.own_id

    @property
    def is_in_touch(self) -> bool:
        """Whether this node would know if there were other primaries: else it must not answer for what its own hold."""
        state = self._cluster.state
        return self._touch.is_kept(self._nodes.own_id, state.nodes, state.version)

    async def has_lapsed(self, node_id: str) -> bool:
        """Whether a node that led shards before the state this node has now cannot be in touch any more without knowing
        that it leads them no more."""
        state = self._cluster.state
        if self._knowing.get(node_id, -1) < state.version:
            if not (await self._knows(node_id, state.version) or await self._is_lapsed(node_id, state)):
                return False
            self._knowing[node_id] = state.version
        return True

    async def _knows(self, node_id: str, version: int) -> bool:
        """By what the node itself says, which cannot when it is dead."""
        try:
            answer = await self._nodes.call(node_id, CHECK, Check(self._nodes.own_id), timeout_s=REDIAL_S)
            return answer.version >= version
        except HanseError as error:
            return _is_refused(error)

    async def _is_lapsed(self, node_id: str, state: ClusterState) -> bool:
        """By what the others say."""

        async def one(other: str) -> bool:
            try:
                asked = Superseded(node_id, state.version)
                return (await self._nodes.call(other, LAPSED, asked, timeout_s=self._timeout_s)).lapsed
            except HanseError:
                return False

        others = [other for other in state.nodes if other not in (node_id, self._nodes.own_id)]
        lapsed = sum(await asyncio.gather(*(one(other) for other in others))) + self._touch.has_lapsed(
            node_id, state.version
        )
        return lapsed >= enough_lapsed(len(state.nodes.keys() | {node_id}))

    def _is_heard(self, node_id: str, within_s: float) -> bool:
        return time.monotonic() - self._heard.get(node_id, -within_s) < within_s

    async def join(self) -> None:
        """Writes this node in; its copies of before are taken up again. Raises when its name or id is taken."""
        self._cluster.announce = self._announce
        await self._cluster.update(f"node-join [{self._own().name}]", self._with_own)
        self._unsubscribe = self._cluster.subscribe(lambda old, new: self._look(new))
        self._look(self._cluster.state)

    def _with_own(self, state: ClusterState) -> ClusterState:
        """A node that said it had this one's address is not there any more."""
        own = self._own()
        for node in state.nodes.values():
            if node.id != own.id and node.transport_address == own.transport_address:
                state = allocation.without_member(
                    state, node.id, "another node has its address", clock.now_ms(), is_over=True
                )
        return _with_master(allocation.with_member(state, own, clock.now_ms()))

    async def leave(self) -> None:
        """A planned stop: primaries are handed over first, so that writes go on elsewhere at once."""
        self._is_leaving = True
        self._unsubscribe()
        own = self._own()
        if len(self._cluster.state.nodes) > 1:
            try:
                async with asyncio.timeout(HANDED_OVER_S):
                    await self._cluster.update(
                        f"node-stops [{own.name}]",
                        lambda state: allocation.stepping_down(state, own.id, clock.now_ms()),
                    )
                    await self._cluster.update(
                        f"node-left [{own.name}]",
                        lambda state: _with_master(
                            allocation.without_member(state, own.id, "it was stopped", clock.now_ms(), is_over=True)
                        ),
                    )
            except (HanseError, TimeoutError) as error:
                log.warning("the cluster could not be told of the stop", why=str(error))
        await self._tasks.close()
        if self._alarm is not None:
            self._alarm.cancel()

    # -- what others ask

    async def _checked(self, call: Call, request: Check) -> Version:
        self._touch.answer(request.node, self._cluster.state.version)
        return Version(self._cluster.state.version)

    async def _hears(self, call: Call, request: About) -> Heard:
        return Heard(self._is_heard(request.node, HEARD_INTERVALS * self._interval_s))

    async def _lapsed(self, call: Call, request: Superseded) -> Lapsed:
        is_known = self._cluster.state.version >= request.version
        return Lapsed(is_known and self._touch.has_lapsed(request.node, request.version))

    async def _published(self, call: Call, request: Version) -> Empty:
        if not await self._cluster.reached(request.version, ANNOUNCE_TIMEOUT_S):
            raise IllegalArgumentError(f"cluster state version [{request.version}] did not arrive in time")
        return Empty()

    # -- telling others

    async def _announce(self, version: int) -> None:
        """Waits until every member that can be heard has this version; silent ones are the master's business, and a
        node that stops waits for nobody who was not heard lately."""
        lately_s = HEARD_INTERVALS * self._interval_s
        told = [n.id for n in self._nodes.others() if not self._is_leaving or self._is_heard(n.id, lately_s)]
        await asyncio.gather(*(self._tell(node_id, version) for node_id in told))

    async def _tell(self, node_id: str, version: int) -> None:
        if time.monotonic() < self._silent.get(node_id, 0.0):
            return
        try:
            await self._nodes.call(node_id, PUBLISH, Version(version), timeout_s=ANNOUNCE_TIMEOUT_S)
        except HanseError as error:
            if isinstance(error, ReceiveTimeoutError):
                self._silent[node_id] = time.monotonic() + SILENT_S
            log.debug("node was not told of a cluster state", node=self._nodes.name_of(node_id), why=error.reason)

    # -- watching

    def _look(self, state: ClusterState) -> None:
        """Watches the other members, and comes back when it was taken out."""
        is_member = self._nodes.own_id in state.nodes
        if not is_member and not self._is_leaving and self._rejoining is None:
            self._rejoining = self._tasks.spawn("join the cluster again", self._rejoin())
        wanted = state.nodes.keys() - {self._nodes.own_id} if is_member else set[str]()
        for node_id in self._watched.keys() - wanted:
            self._watched.pop(node_id).cancel()
        for node_id in wanted - self._watched.keys():
            self._watched[node_id] = self._tasks.spawn(f"watch node [{node_id}]", self._watch(node_id))
        self._set_alarm(state)

    async def _rejoin(self) -> None:
        if time.monotonic() - self._joined_at > STEADY_S:
            self._rejoin_pause_s = REJOIN_S_MIN
        log.warning("this node was taken out of the cluster and joins again")
        try:
            while self._nodes.own_id not in self._cluster.state.nodes:
                await asyncio.sleep(self._rejoin_pause_s)
                self._rejoin_pause_s = min(2 * self._rejoin_pause_s, REJOIN_S_MAX)
                with suppress(HanseError):
                    await self._cluster.update(f"node-join [{self._own().name}]", self._with_own)
        finally:
            self._joined_at = time.monotonic()
            self._rejoining = None

    async def _watch(self, node_id: str) -> None:
        refused = 0
        heard = time.monotonic()
        while True:
            try:
                sent_at = time.monotonic()
                answer = await self._nodes.call(node_id, CHECK, Check(self._nodes.own_id), timeout_s=self._timeout_s)
                self._touch.renew(node_id, sent_at, answer.version)
                self._cluster.hear_of(answer.version)
                refused = 0
                self._heard[node_id] = heard = time.monotonic()
                self._told_gone.discard(node_id)
                self._silent.pop(node_id, None)
                await asyncio.sleep(self._interval_s)
                continue
            except HanseError as error:
                refused, why = (refused + 1 if _is_refused(error) else 0), error.reason
            silent_s = time.monotonic() - heard
            if refused >= REDIALS_MAX or silent_s >= self._timeout_s * self._retries:
                await self._gone(node_id, why, is_dead=refused >= REDIALS_MAX)
            await asyncio.sleep(REDIAL_S)

    async def _gone(self, node_id: str, why: str, *, is_dead: bool) -> None:
        """Takes a member out that does not answer: any member may do so with the master, the master with all.

        Unless the silence may be this node's own fault: who hears from no majority judges nobody but the dead. (Of two
        nodes none has one without the other, so the master of two may.)
        """
        own_id, state = self._nodes.own_id, self._cluster.state
        may_be_alone = state.master_node == own_id and len(state.nodes) <= 2
        if not (is_dead or may_be_alone or self.is_in_touch):
            return
        # Others may be the ones to take it out, or nobody can: what waits for it here goes on elsewhere all the same.
        self._nodes.cut(node_id, f"the node does not answer: {why}")
        if state.master_node == node_id and await self._is_heard_by_others(node_id):
            return
        if node_id in state.nodes and own_id in state.nodes and state.master_node in (own_id, node_id):
            if node_id not in self._told_gone:
                self._told_gone.add(node_id)
                log.warning("node is gone", node=self._nodes.name_of(node_id), why=why)
            try:
                await self._cluster.update(
                    f"node-left [{self._nodes.name_of(node_id)}]",
                    lambda now: self._without(now, node_id, why, is_dead=is_dead),
                )
            except HanseError as error:
                log.debug("a node that is gone could not be taken out yet", node=node_id, why=error.reason)

    def _without(self, state: ClusterState, node_id: str, why: str, *, is_dead: bool) -> ClusterState:
        own = self._own()
        if own.id not in state.nodes or state.master_node not in (own.id, node_id):
            return state
        was_master = state.master_node == node_id
        state = allocation.without_member(state, node_id, why, clock.now_ms(), is_over=is_dead)
        if was_master and own.id in possible_masters(state):
            return msgspec.structs.replace(state, master_node=own.id)
        return _with_master(state)

    async def _is_heard_by_others(self, node_id: str) -> bool:
        async def one(other: str) -> bool:
            try:
                answer = await self._nodes.call(other, HEARS, About(node_id), timeout_s=self._timeout_s)
                return answer.heard
            except HanseError:
                return False

        others = [node.id for node in self._nodes.others() if node.id != node_id]
        return any(await asyncio.gather(*(one(other) for other in others)))

    # -- delays that end

    def _set_alarm(self, state: ClusterState) -> None:
        """The master comes back to a shard whose node may stay away no longer."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        wakeup = allocation.next_wakeup_ms(state)
        if wakeup is not None and state.master_node == self._nodes.own_id:
            after_s = max(0.0, (wakeup - clock.now_ms()) / 1000) + 0.01
            self._alarm = asyncio.get_running_loop().call_later(after_s, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        self._tasks.spawn("assign delayed shards", self._cluster.update("delayed-allocation", lambda state: state))
