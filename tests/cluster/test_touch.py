"""A primary that was superseded answers for nobody before its successor leads."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanse.cluster.touch import Touch, enough_lapsed

WITHIN_S = 3.0
MEMBERS = ("a", "b", "c")


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def kept(touch: Touch, version: int = 1, members: tuple[str, ...] = MEMBERS) -> bool:
    return touch.is_kept("a", members, version)


def test_one_that_answers_is_a_majority_of_three_and_not_of_four(clock: Clock) -> None:
    touch = Touch(WITHIN_S, clock)
    assert not kept(touch)
    touch.renew("b", clock(), 1)
    assert kept(touch)
    assert not kept(touch, members=(*MEMBERS, "d"))
    touch.renew("c", clock(), 1)
    assert kept(touch, members=(*MEMBERS, "d"))


def test_a_node_alone_is_in_touch_and_one_of_two_is_not_without_the_other(clock: Clock) -> None:
    touch = Touch(WITHIN_S, clock)
    assert kept(touch, members=("a",))
    assert not kept(touch, members=("a", "b"))


def test_an_answer_counts_from_when_it_was_asked_for(clock: Clock) -> None:
    touch = Touch(WITHIN_S, clock)
    sent_at = clock()
    clock.now += 2.0
    touch.renew("b", sent_at, 1)
    assert kept(touch)
    clock.now += 1.0
    assert not kept(touch)


def test_who_has_a_later_state_keeps_nobody_in_touch_who_lacks_it(clock: Clock) -> None:
    """A node that was cut off is heard again before it has read what was decided without it."""
    touch = Touch(WITHIN_S, clock)
    touch.renew("b", clock(), 2)
    assert not kept(touch, version=1)
    assert kept(touch, version=2)


def test_who_left_counts_no_more(clock: Clock) -> None:
    touch = Touch(WITHIN_S, clock)
    touch.renew("z", clock(), 1)
    assert not kept(touch)


def test_a_node_has_lapsed_when_it_was_not_answered_for_long_enough(clock: Clock) -> None:
    touch = Touch(WITHIN_S, clock)
    assert not touch.has_lapsed("b", 2), "it may have been answered before this node was started again"
    clock.now += WITHIN_S
    assert touch.has_lapsed("b", 2)
    touch.answer("b", 1)
    assert not touch.has_lapsed("b", 2)
    clock.now += WITHIN_S
    assert touch.has_lapsed("b", 2)


def test_an_answer_that_named_the_state_keeps_nobody_in_touch_with_an_older_one(clock: Clock) -> None:
    touch = Touch(WITHIN_S, clock)
    clock.now += WITHIN_S
    touch.answer("b", 2)
    assert touch.has_lapsed("b", 2)
    assert not touch.has_lapsed("b", 3)


def test_each_state_lapses_for_itself(clock: Clock) -> None:
    """Of a node that is answered all the time."""
    touch = Touch(WITHIN_S, clock)
    lapsed: list[list[bool]] = []
    for version in (1, 1, 2, 3, 3, 3):
        clock.now += 1.0
        touch.answer("b", version)
        lapsed.append([touch.has_lapsed("b", version) for version in (1, 2, 3)])
    assert lapsed[2:] == [[True, False, False], [True, False, False], [True, True, False], [True, True, True]]


@pytest.mark.parametrize("members", range(2, 10))
def test_the_others_are_no_majority_without_those_that_have_lapsed(members: int) -> None:
    others = members - 1
    wanted = enough_lapsed(members)
    assert 1 + others - wanted <= members // 2
    assert 1 + others - (wanted - 1) > members // 2


steps = st.lists(
    st.one_of(
        st.tuples(st.just("check"), st.integers(1, 4)),
        st.tuples(st.just("arrive"), st.integers(0, 20)),
        st.tuples(st.just("learn"), st.integers(2, 4)),
        st.tuples(st.just("pass"), st.integers(0, 7)),
    ),
    max_size=40,
)


@given(count=st.integers(2, 5), steps=steps)
@settings(max_examples=500)
def test_no_order_of_events_leaves_two_primaries_that_read(count: int, steps: list[tuple[str, int]]) -> None:
    """Node 0 led before version 2 of the state and never learns of it; node 1 made that version and waits to lead.

    Checks of node 0 are answered at once or late, by whoever is reached; others learn of the new version at any time.
    """
    clock = Clock()
    names = [str(at) for at in range(count)]
    touches = [Touch(WITHIN_S, clock) for _ in names]
    versions = [1, 2, 1, 1, 1]
    on_the_way: list[tuple[str, float, int]] = []
    leads = False
    for what, number in steps:
        if what == "pass":
            clock.now += number / 2
        elif what == "check" and number < count:
            touches[number].answer("0", versions[number])
            on_the_way.append((names[number], clock(), versions[number]))
        elif what == "arrive" and on_the_way:
            touches[0].renew(*on_the_way.pop(number % len(on_the_way)))
        elif what == "learn":
            versions[number] = 2
        lapsed = sum(versions[at] == 2 and touches[at].has_lapsed("0", 2) for at in range(1, count))
        leads = leads or lapsed >= enough_lapsed(count)
        assert not (leads and touches[0].is_kept("0", names, 1))
