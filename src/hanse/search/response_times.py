"""How fast each node answers the searches of this one: what adaptive replica selection goes by.

A node counts as good for its average response time times the requests it has not answered yet. Nodes that are passed
over come closer to the chosen one each time, so that a node that was slow once is tried again; nodes never asked are
tried first. Tests: tests/search/test_response_times.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from time import perf_counter

from hanse.errors import ConnectTransportError, ReceiveTimeoutError

WEIGHT_OF_NEW = 0.3
LEAST_S = 0.0001
"""Below this nodes are equally fast."""
UNANSWERED_S = 1.0
"""What a request counts for that the node did not answer: it may have failed in no time."""


class ResponseTimes:
    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._average_s: dict[str, float] = {}
        self._running: Counter[str] = Counter()

    def expected_s(self, node: str, more: int = 0) -> float:
        """How long a request would take there; `more` are requests that are about to be sent."""
        return max(self._average_s.get(node, 0.0), LEAST_S) * (1 + self._running[node] + more)

    def chose(self, node: str, others: Collection[str]) -> None:
        best_s = self._average_s.get(node, 0.0)
        for other in others:
            average_s = self._average_s.get(other, 0.0)
            if average_s > best_s:
                self._average_s[other] = (average_s + best_s) / 2

    @contextmanager
    def measured(self, node: str) -> Iterator[None]:
        """Around a request to a node."""
        started = self._clock()
        self._running[node] += 1
        least_s = 0.0
        try:
            yield
        except (ConnectTransportError, ReceiveTimeoutError):
            least_s = UNANSWERED_S
            raise
        finally:
            self._running[node] -= 1
            took_s = max(self._clock() - started, least_s)
            before_s = self._average_s.get(node)
            new_s = took_s if before_s is None else before_s + WEIGHT_OF_NEW * (took_s - before_s)
            self._average_s[node] = max(new_s, least_s)
