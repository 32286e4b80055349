"""The change feed: "what happened after seq_no N" as live documents and tombstones, ascending.

It is the only way a rebuild, a replica, a follower's bootstrap and following read a shard. A document shows up with its
newest operation only, so a reader that applies what it gets in order, newest seq_no per id, ends with the same
documents. Nothing live expires; `lost` says that tombstones the reader has not seen are gone, so its copy may hold
documents that were deleted. Tests: tests/index/test_changes.py.
"""

from __future__ import annotations

import msgspec

from hanse.cluster.log import Operation

OPERATIONS_MAX = 5_120
BYTES_MAX = 32 * 1024 * 1024
BEFORE_ALL = -1
"""The position of a reader that has seen nothing."""


class Changes(msgspec.Struct, frozen=True):
    """One answer of the feed.

    `up_to` is the checkpoint the reader has reached once it applied `operations`; it may lie behind the last
    operation, as numbers between belong to superseded ones. `tombstone_floor` is the highest purged tombstone.
    """

    operations: list[Operation]
    up_to: int
    max_seq_no: int
    tombstone_floor: int = BEFORE_ALL
    lost: bool = False


def is_lost(after: int, floor_at_start: int, tombstone_floor: int) -> bool:
    """Whether a reader at `after` missed a tombstone.

    A reader that began with nothing when the floor stood at `floor_at_start` never saw the documents whose tombstones
    lie below that, so their purge took nothing from it.
    """
    return after > BEFORE_ALL and tombstone_floor > max(after, floor_at_start)
