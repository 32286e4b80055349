"""Whether this node would know it if one of its primaries were none any more.

Theory of operation. A primary answers realtime reads by itself, without a round trip, so it has to stop before its
successor acknowledges the first write. Both sides count on the checks that members send one another all the time, which
are answered with the version of the cluster state that the answering member has:

- A node is in touch while it and those whose answers it counts are a majority of the members. An answer counts for
  `within_s` from when the check was sent, and only if it named no later state than the one this node has.
- A successor leads when its predecessor cannot be in touch with an older state any more: because that says itself that
  it has the new one (a planned change), because its process is dead, or because for `within_s` so many members either
  had the new state when they answered it or did not answer it, that with the others it is no majority.

So of two nodes that hold themselves for the primary at most one is in touch, whatever the network does, as long as
clocks run at the same rate. Tests: tests/cluster/test_touch.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection


class Touch:
    """One node's part in it. `clock`: seconds that never go back."""

    def __init__(self, within_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._within_s = within_s
        self._clock = clock
        self._began_at = clock()
        self._renewed: dict[str, tuple[float, int]] = {}
        self._answered: dict[str, list[tuple[float, int]]] = {}

    def renew(self, node_id: str, sent_at: float, version: int) -> None:
        """A member answered the check that was sent at `sent_at` (of `clock`) and has that version of the state."""
        self._renewed[node_id] = (sent_at, version)

    def is_kept(self, own_id: str, members: Collection[str], version: int) -> bool:
        """Whether this node, which has that version of the state, is in touch with these members."""
        since = self._clock() - self._within_s
        kept = 1
        for node_id in members:
            sent_at, known = self._renewed.get(node_id, (since, 0))
            kept += node_id != own_id and sent_at > since and known <= version
        return len(members) < 2 or kept > len(members) // 2

    def answer(self, node_id: str, version: int) -> None:
        """This node, which has that version of the state, answers a check of that one now."""
        now = self._clock()
        lately = [(at, known) for at, known in self._answered.get(node_id, ()) if known != version and self._is_new(at)]
        self._answered[node_id] = [*lately, (now, version)]

    def has_lapsed(self, node_id: str, version: int) -> bool:
        """Whether no answer of this node keeps that one in touch with a state older than `version`.

        What it answered before it was started it cannot know.
        """
        if self._is_new(self._began_at):
            return False
        return not any(known < version and self._is_new(at) for at, known in self._answered.get(node_id, ()))

    def _is_new(self, at: float) -> bool:
        return self._clock() - at < self._within_s


def enough_lapsed(members: int) -> int:
    """Of so many members, one of them in question, how many others must have lapsed to leave it no majority."""
    return members - members // 2
