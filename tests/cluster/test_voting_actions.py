from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from tests.cluster.conftest import CRANE

from hanse.cluster.requests import AddVotingExclusions, ClearVotingExclusions
from hanse.cluster.updates import ClusterService
from hanse.cluster.voting import Candidate, Exclusion, OnlyVoter, Voter, voting
from hanse.cluster.voting_actions import EXCLUSIONS_MAX, VotingActions
from hanse.errors import IllegalArgumentError, TimeoutElapsedError
from hanse.transport.actions import Call

NOBODY = cast(Call, None)
OWN = Exclusion("n1", "crane")


class Recorded:
    """Voters that say what was asked of them."""

    own_server: str | None = "crane-a"

    def __init__(self) -> None:
        self.removed: list[str | None] = []
        self.votes: list[bool] = []
        self.refusals: list[bool] = []
        """Of the next calls, whether each is refused."""

    async def remove(self, candidates: Sequence[Candidate], timeout_s: float) -> None:
        if self.refusals and self.refusals.pop(0):
            raise TimeoutElapsedError("later")
        self.removed += [one.server for one in candidates]

    async def set_voting(self, votes: bool) -> None:
        self.votes.append(votes)


async def test_an_exclusion_stands_until_it_is_cleared(cluster: ClusterService) -> None:
    actions = VotingActions(cluster, OnlyVoter(), "n1", "crane")
    await actions.add(NOBODY, AddVotingExclusions(names=("hulk", "pram")))
    await actions.add(NOBODY, AddVotingExclusions(ids=("n7",)))
    before = cluster.state
    await actions.add(NOBODY, AddVotingExclusions(names=("pram",)))
    assert cluster.state is before
    assert voting(before).exclusions == (
        Exclusion("_absent_", "hulk"),
        Exclusion("_absent_", "pram"),
        Exclusion("n7", "_absent_"),
    )
    await actions.clear(NOBODY, ClearVotingExclusions())
    assert voting(cluster.state).exclusions == ()


async def test_there_is_a_limit(cluster: ClusterService) -> None:
    actions = VotingActions(cluster, OnlyVoter(), "n1", "crane")
    await actions.add(NOBODY, AddVotingExclusions(names=tuple(f"x{n}" for n in range(EXCLUSIONS_MAX))))
    with pytest.raises(IllegalArgumentError, match=r"would add \[1\] exclusions to the existing \[10\] which would"):
        await actions.add(NOBODY, AddVotingExclusions(names=("x0", "one-more")))


async def test_what_cannot_be_taken_out_is_not_excluded(cluster: ClusterService) -> None:
    voters = Recorded()
    voters.refusals = [True]
    actions = VotingActions(cluster, voters, "n1", "crane")
    with pytest.raises(TimeoutElapsedError):
        await actions.add(NOBODY, AddVotingExclusions(names=("crane",)))
    assert voting(cluster.state).exclusions == ()


async def test_clearing_waits_for_the_nodes_to_leave(cluster: ClusterService) -> None:
    actions = VotingActions(cluster, Recorded(), "n1", "crane")
    await actions.add(NOBODY, AddVotingExclusions(names=("crane",)))
    with pytest.raises(TimeoutElapsedError, match=r"waitForRemoval to false\. \[\{crane\}\{n1\}\]"):
        await actions.clear(NOBODY, ClearVotingExclusions(timeout_s=0.01))
    assert voting(cluster.state).exclusions == (OWN,)
    await actions.clear(NOBODY, ClearVotingExclusions(wait_for_removal=False))
    assert voting(cluster.state).exclusions == ()
    assert CRANE.id in cluster.state.nodes


async def test_a_node_writes_its_server_down_and_keeps_it_out_while_it_is_excluded(
    cluster: ClusterService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hanse.cluster.voting_actions.AGAIN_S", 0.01)
    voters = Recorded()
    actions = VotingActions(cluster, voters, "n1", "crane")
    await actions.start()
    assert voting(cluster.state).voters == {"n1": Voter("crane", "crane-a")}
    voters.refusals = [False, True]
    await actions.add(NOBODY, AddVotingExclusions(ids=("n1",)))
    while False not in voters.votes:
        await asyncio.sleep(0)
    assert voters.removed == ["crane-a", "crane-a"], "by the request and, when the state says so, by the node itself"
    await actions.clear(NOBODY, ClearVotingExclusions(wait_for_removal=False))
    while not voters.votes[-1]:
        await asyncio.sleep(0)
    await actions.close()


async def test_a_node_without_a_server_of_its_own_writes_nothing_down(cluster: ClusterService) -> None:
    actions = VotingActions(cluster, OnlyVoter(), "n1", "crane")
    await actions.start()
    assert voting(cluster.state).voters == {}
    await actions.close()
