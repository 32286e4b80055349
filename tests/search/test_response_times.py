"""Fast and idle nodes are expected to answer first; slow ones get another chance; lost ones do not look fast."""

from __future__ import annotations

import pytest

from hanse.errors import NodeNotConnectedError
from hanse.search.response_times import LEAST_S, UNANSWERED_S, ResponseTimes


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def times(clock: Clock) -> ResponseTimes:
    return ResponseTimes(clock)


def request(times: ResponseTimes, clock: Clock, node: str, took_s: float) -> None:
    with times.measured(node):
        clock.now_s += took_s


def test_a_node_that_was_never_asked_is_tried_first(times: ResponseTimes, clock: Clock) -> None:
    request(times, clock, "a", 0.01)
    assert times.expected_s("b") == LEAST_S < times.expected_s("a") == pytest.approx(0.01)


def test_the_average_moves_with_what_is_new(times: ResponseTimes, clock: Clock) -> None:
    request(times, clock, "a", 0.01)
    request(times, clock, "a", 0.02)
    assert times.expected_s("a") == pytest.approx(0.013)


def test_requests_that_are_running_or_planned_count(times: ResponseTimes, clock: Clock) -> None:
    request(times, clock, "a", 0.01)
    with times.measured("a"):
        assert times.expected_s("a") == pytest.approx(0.02)
        assert times.expected_s("a", more=2) == pytest.approx(0.04)
    assert times.expected_s("a", more=1) < 0.02


def test_a_slow_node_comes_closer_each_time_it_is_passed_over(times: ResponseTimes, clock: Clock) -> None:
    request(times, clock, "a", 0.01)
    request(times, clock, "b", 1.0)
    for _ in range(10):
        times.chose("a", ["b"])
    assert times.expected_s("a") < times.expected_s("b") < 0.012


def test_a_node_that_failed_at_once_does_not_look_fast(times: ResponseTimes) -> None:
    with pytest.raises(NodeNotConnectedError), times.measured("a"):
        raise NodeNotConnectedError("gone")
    assert times.expected_s("a") == UNANSWERED_S
