from __future__ import annotations

import msgspec
import pytest
from tests.cluster.conftest import CRANE

from hanse.cluster.state import ClusterState
from hanse.cluster.voting import (
    Exclusion,
    OnlyVoter,
    Voter,
    candidates,
    possible_masters,
    voting,
    with_exclusions,
    with_voter,
    without_exclusions,
)
from hanse.errors import IllegalArgumentError

PRAM = msgspec.structs.replace(CRANE, id="n2", name="pram")
STATE = with_voter(
    with_voter(
        ClusterState("harbour", "uuid", nodes={"n1": CRANE, "n2": PRAM}, master_node="n1"),
        "n1",
        Voter("crane", "crane-a"),
    ),
    "n9",
    Voter("hulk", "hulk-a"),
)


def test_what_is_written_down_already_makes_no_new_state() -> None:
    assert with_voter(STATE, "n9", Voter("hulk", "hulk-a")) is STATE
    assert voting(STATE).voting_ids == ["n1", "n9"]


def test_members_and_those_that_are_gone_are_found_by_name_and_by_id() -> None:
    by_name = candidates(STATE, ("crane", "pram", "hulk", "nobody"), ())
    assert [(one.exclusion, one.server, one.is_member) for one in by_name] == [
        (Exclusion("n1", "crane"), "crane-a", True),
        (Exclusion("n2", "pram"), None, True),
        (Exclusion("n9", "hulk"), "hulk-a", False),
        (Exclusion("_absent_", "nobody"), None, False),
    ]
    by_id = candidates(STATE, (), ("n1", "n2", "n9", "n0"))
    assert [one.exclusion for one in by_id[:3]] == [one.exclusion for one in by_name[:3]]
    assert by_id[3].exclusion == Exclusion("n0", "_absent_")
    assert [str(one) for one in (*by_name[2:], by_id[3])] == ["hulk/n9", "nobody", "n0"]


def test_all_that_are_gone_under_a_name_are_meant_unless_a_member_has_it() -> None:
    twice = with_voter(STATE, "n8", Voter("hulk", "hulk-b"))
    assert [one.server for one in candidates(twice, ("hulk",), ())] == ["hulk-a", "hulk-b"]
    back = with_voter(STATE, "n8", Voter("crane", "crane-b"))
    with pytest.raises(IllegalArgumentError, match=r"\[crane\] is the name of a member, \[n1\], and .* gone, \[n8\]"):
        candidates(back, ("crane",), ())


def test_an_excluded_master_hands_over_where_another_can_be_master() -> None:
    excluded = with_exclusions(STATE, [Exclusion("n1", "crane"), Exclusion("n1", "crane")])
    assert voting(excluded).exclusions == (Exclusion("n1", "crane"),)
    assert voting(excluded).voting_ids == ["n9"]
    assert (excluded.master_node, possible_masters(excluded)) == ("n2", ["n2"])
    both = with_exclusions(excluded, [Exclusion("n2", "pram")])
    assert (both.master_node, possible_masters(both)) == ("n2", ["n1", "n2"])
    assert with_exclusions(both, [Exclusion("n2", "pram")]) is both


def test_with_its_exclusion_a_node_that_is_gone_is_forgotten() -> None:
    cleared = without_exclusions(with_exclusions(STATE, [Exclusion("n1", "crane"), Exclusion("n9", "hulk")]))
    assert voting(cleared).exclusions == ()
    assert voting(cleared).voting_ids == ["n1"]
    assert without_exclusions(cleared) is cleared


async def test_the_only_node_cannot_be_taken_out() -> None:
    await OnlyVoter().remove(candidates(STATE, ("nobody",), ()), 1)
    with pytest.raises(IllegalArgumentError, match=r"\[nobody, crane/n1\]: no node would be left that votes"):
        await OnlyVoter().remove(candidates(STATE, ("nobody", "crane"), ()), 1)
