"""Voting configuration exclusions: nodes that are taken out of those that decide, before they are stopped or when they
are gone for good.

An excluded node's server is out of the group first and the exclusion stands in the state then: what fails in between is
asked again. From then on the node itself keeps its server out, also when it only comes back later.
Tests: tests/cluster/test_voting_actions.py, tests/journeys/test_replacing.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from hanse.cluster.requests import (
    ADD_VOTING_EXCLUSIONS,
    CLEAR_VOTING_EXCLUSIONS,
    AddVotingExclusions,
    ClearVotingExclusions,
)
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.cluster.voting import (
    Candidate,
    Exclusion,
    Voter,
    Voters,
    candidates,
    joined,
    voting,
    with_exclusions,
    with_voter,
    without_exclusions,
)
from hanse.errors import HanseError, IllegalArgumentError, TimeoutElapsedError
from hanse.tasks import Tasks
from hanse.transport.actions import ActionRegistry, Call, Empty

log = structlog.get_logger(__name__)

EXCLUSIONS_MAX = 10
"""Elasticsearch's default of cluster.max_voting_config_exclusions."""
OWN_TIMEOUT_S = 30.0
AGAIN_S = 5.0


class VotingActions:
    """Handlers, and this node's own part: it writes down its server, and keeps it out while it is excluded."""

    def __init__(self, cluster: ClusterService, voters: Voters, own_id: str, own_name: str) -> None:
        self._cluster = cluster
        self._voters = voters
        self._own = Exclusion(own_id, own_name)
        self._tasks = Tasks()
        self._changed = asyncio.Event()
        self._unsubscribe: Callable[[], None] = lambda: None

    def register(self, registry: ActionRegistry) -> None:
        registry.register(ADD_VOTING_EXCLUSIONS, self.add)
        registry.register(CLEAR_VOTING_EXCLUSIONS, self.clear)

    async def start(self) -> None:
        server = self._voters.own_server
        if server is None:
            return
        voter = Voter(self._own.node_name, server)
        await self._cluster.update(
            f"voter [{voter.node_name}]", lambda state: with_voter(state, self._own.node_id, voter)
        )
        self._unsubscribe = self._cluster.subscribe(lambda old, new: self._changed.set())
        self._tasks.spawn("keep out of the vote while excluded", self._follow())

    async def close(self) -> None:
        self._unsubscribe()
        await self._tasks.close()

    async def add(self, call: Call, request: AddVotingExclusions) -> Empty:
        """Raises IllegalArgumentError when nothing was changed, and TimeoutElapsedError when it may be asked again."""
        found = candidates(self._cluster.state, request.names, request.ids)
        exclusions = [one.exclusion for one in found]
        _with_room(self._cluster.state, exclusions)
        await self._voters.remove(found, request.timeout_s)
        await self._cluster.update(
            f"add-voting-config-exclusions [{joined(found)}]",
            lambda state: _with_room(state, exclusions),
        )
        return Empty()

    async def clear(self, call: Call, request: ClearVotingExclusions) -> Empty:
        """Waits until the excluded nodes have left, where that is wanted."""
        gone = await self._cluster.until(_have_left, request.timeout_s if request.wait_for_removal else 0.0)
        if request.wait_for_removal and not gone:
            raise TimeoutElapsedError(
                f"timed out waiting for removal of nodes; if nodes should not be removed, set waitForRemoval to false. "
                f"[{', '.join(_named(voting(self._cluster.state).exclusions))}]"
            )
        await self._cluster.update("clear-voting-config-exclusions", without_exclusions)
        return Empty()

    async def _follow(self) -> None:
        is_out: bool | None = None
        while True:
            self._changed.clear()
            is_excluded = voting(self._cluster.state).excludes(self._own.node_id)
            if is_excluded != is_out:
                try:
                    await self._vote(not is_excluded)
                    is_out = is_excluded
                except HanseError as error:
                    log.warning("this node is excluded from the vote and its server votes still", why=error.reason)
                    await asyncio.sleep(AGAIN_S)
                    continue
            await self._changed.wait()

    async def _vote(self, votes: bool) -> None:
        if not votes:
            await self._voters.remove([Candidate(self._own, self._voters.own_server, is_member=True)], OWN_TIMEOUT_S)
        await self._voters.set_voting(votes)


def _with_room(state: ClusterState, added: Sequence[Exclusion]) -> ClusterState:
    changed = with_exclusions(state, added)
    known, new = voting(state).exclusions, voting(changed).exclusions
    if len(new) > max(EXCLUSIONS_MAX, len(known)):
        raise IllegalArgumentError(
            f"add voting config exclusions request for [{', '.join(_named(added))}] would add "
            f"[{len(new) - len(known)}] exclusions to the existing [{len(known)}] which would exceed the maximum of "
            f"[{EXCLUSIONS_MAX}]"
        )
    return changed


def _have_left(state: ClusterState) -> bool:
    return not any(one.node_id in state.nodes for one in voting(state).exclusions)


def _named(exclusions: Sequence[Exclusion]) -> list[str]:
    return [f"{{{one.node_name}}}{{{one.node_id}}}" for one in exclusions]
