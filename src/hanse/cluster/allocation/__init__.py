"""Allocation: which node gets which copy of which shard. Pure functions from one cluster state to the next.

No I/O, no clock but the `now_ms` passed in, and the same input gives the same output, so any node may commit them.
`events.py` says what follows at once when something happened to a node or a copy; `reroute.py` runs before every
commit and assigns what is to be assigned; `deciders.py` says with a sentence where a copy may lie.
"""

from hanse.cluster.allocation.events import (
    failed,
    reopened,
    started,
    stepping_down,
    with_member,
    without_member,
)
from hanse.cluster.allocation.reroute import next_wakeup_ms, reroute

__all__ = [
    "failed",
    "next_wakeup_ms",
    "reopened",
    "reroute",
    "started",
    "stepping_down",
    "with_member",
    "without_member",
]
