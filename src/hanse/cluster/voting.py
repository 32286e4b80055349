"""Who votes: the nodes whose own servers keep, by majority, what the cluster agrees on, and those that were taken out.

A server that is lost counts against the majority until it is taken out of the group. Nobody does that by himself, since
a server that is only away must not be: it is an operator's word, given as Elasticsearch's voting configuration
exclusions. Each node writes down which server is its own, so that this is known when node and disk are gone for good.
Tests: tests/cluster/test_voting.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from hanse.cluster.state import ClusterState
from hanse.errors import IllegalArgumentError

ABSENT = "_absent_"
"""What Elasticsearch shows for the part of an exclusion that nobody knows."""
_KEY = "voting"
# A section of `customs`, and no field of the state: nodes of an earlier version hand those on as they are.


class Voter(msgspec.Struct, frozen=True):
    """A node, and the name of its server in the group."""

    node_name: str
    server: str


class Exclusion(msgspec.Struct, frozen=True):
    node_id: str
    node_name: str


class Voting(msgspec.Struct, frozen=True):
    """By node id the voters that were ever written down and not forgotten, gone or not; and who is excluded."""

    voters: dict[str, Voter] = {}
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def voting_ids(self) -> list[str]:
        return [node_id for node_id in self.voters if not self.excludes(node_id)]

    def excludes(self, node_id: str) -> bool:
        return any(one.node_id == node_id for one in self.exclusions)


class Candidate(NamedTuple):
    """A node that is to be taken out. `server` is None when none was written down for it."""

    exclusion: Exclusion
    server: str | None
    is_member: bool

    def __str__(self) -> str:
        known = (part for part in (self.exclusion.node_name, self.exclusion.node_id) if part != ABSENT)
        return "/".join(known)


class Voters(Protocol):
    """The group of servers, as the engine knows it."""

    @property
    def own_server(self) -> str | None:
        """The name of the server that this node brought along; None when it brought none."""
        ...

    async def remove(self, candidates: Sequence[Candidate], timeout_s: float) -> None:
        """Takes their servers out of the group for good; one that is out already is no error.

        Raises IllegalArgumentError, before anything is changed, when that is not possible here or would leave no
        majority, and TimeoutElapsedError: then it may be asked again.
        """
        ...

    async def set_voting(self, votes: bool) -> None:
        """Has this node's own server keep out of the group, or come into it again."""
        ...


class OnlyVoter:
    """A node that has nobody beside it."""

    own_server: str | None = None

    async def remove(self, candidates: Sequence[Candidate], timeout_s: float) -> None:
        if any(one.is_member for one in candidates):
            raise IllegalArgumentError(
                f"cannot add voting config exclusions for [{joined(candidates)}]: no node would be left that votes"
            )

    async def set_voting(self, votes: bool) -> None:
        """It decides for itself in any case."""


def joined(candidates: Sequence[Candidate]) -> str:
    return ", ".join(str(one) for one in candidates)


def voting(state: ClusterState) -> Voting:
    return msgspec.convert(state.customs.get(_KEY, {}), Voting)


def _with(state: ClusterState, now: Voting) -> ClusterState:
    return state if now == voting(state) else state.with_custom(_KEY, msgspec.to_builtins(now))


def with_voter(state: ClusterState, node_id: str, voter: Voter) -> ClusterState:
    """Written down; the very same state when it is already."""
    known = voting(state)
    return _with(state, msgspec.structs.replace(known, voters={**known.voters, node_id: voter}))


def candidates(state: ClusterState, names: Sequence[str], ids: Sequence[str]) -> list[Candidate]:
    """Whom an operator means. Raises IllegalArgumentError when a name stands for a member and for one that is gone."""
    voters = voting(state).voters
    found: list[Candidate] = []

    def add(node_id: str, node_name: str) -> None:
        voter = voters.get(node_id)
        found.append(
            Candidate(Exclusion(node_id, node_name), None if voter is None else voter.server, node_id in state.nodes)
        )

    for name in names:
        members = [node.id for node in state.nodes.values() if node.name == name]
        gone = [id for id, voter in voters.items() if voter.node_name == name and id not in state.nodes]
        if members and gone:
            raise IllegalArgumentError(
                f"[{name}] is the name of a member, [{members[0]}], and of nodes that are gone, [{', '.join(gone)}]: "
                f"say by [node_ids] which is meant"
            )
        for node_id in members or gone or [ABSENT]:
            add(node_id, name)
    for node_id in ids:
        known = state.nodes.get(node_id)
        voter = voters.get(node_id)
        add(node_id, known.name if known is not None else voter.node_name if voter is not None else ABSENT)
    return found


def with_exclusions(state: ClusterState, added: Sequence[Exclusion]) -> ClusterState:
    """Excluded nodes are no masters either, when another node can be."""
    known = voting(state)
    new = tuple(one for one in dict.fromkeys(added) if one not in known.exclusions)
    state = _with(state, msgspec.structs.replace(known, exclusions=(*known.exclusions, *new)))
    leaders = possible_masters(state)
    if state.master_node in leaders or not leaders:
        return state
    return msgspec.structs.replace(state, master_node=leaders[0])


def without_exclusions(state: ClusterState) -> ClusterState:
    """What was written down of excluded nodes that are gone is forgotten with them."""
    known = voting(state)
    gone = {one.node_id for one in known.exclusions} - state.nodes.keys()
    return _with(state, Voting({id: voter for id, voter in known.voters.items() if id not in gone}))


def possible_masters(state: ClusterState) -> list[str]:
    """Ids of the members that may be master; the excluded ones only where there is no other."""
    eligible = [node.id for node in state.nodes.values() if "master" in node.roles]
    known = voting(state)
    return [node_id for node_id in eligible if not known.excludes(node_id)] or eligible
