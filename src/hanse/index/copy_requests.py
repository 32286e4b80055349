"""What the copies of a shard say to one another; only nodes of this cluster may.

A shard is named by the uuid of its index and its number, so that nothing meant for a deleted index reaches one that was
made anew under its name. Tests: tests/index/test_copy_actions.py.
"""

from __future__ import annotations

import msgspec

from hanse.cluster.log import Operation
from hanse.index.changes import BEFORE_ALL
from hanse.index.log_follower import SentBatch
from hanse.transport.actions import Action, Lane, Scope


class SendBatches(msgspec.Struct, frozen=True):
    """Batches that follow the one at `after`, whose hash is `chain`; without any, only where the primary stands."""

    index_uuid: str
    shard: int
    after: int
    chain: bytes
    batches: list[SentBatch]


class CopyAt(msgspec.Struct, frozen=True):
    """The position in the log that a copy has reached."""

    position: int


class ReadCopy(msgspec.Struct, frozen=True):
    """Asks the primary for its feed after a seq_no; `floor` as in the change feed."""

    index_uuid: str
    shard: int
    after: int = BEFORE_ALL
    floor: int = BEFORE_ALL


class CopyPage(msgspec.Struct, frozen=True):
    """A piece of the primary's feed, which reaches to `through` now. `position` and `chain` say where in the log the
    primary stood with the last piece (`more` is false then): whoever applied it goes on from there."""

    operations: list[Operation]
    up_to: int
    more: bool
    position: int
    chain: bytes
    primary_term: int
    tombstone_floor: int
    lost: bool
    history_uuid: str
    mapping_version: int
    leases: bytes | None = None
    through: int = BEFORE_ALL


class RefreshCopy(msgspec.Struct, frozen=True):
    """Makes searchable what lies in the log up to `position`."""

    index_uuid: str
    shard: int
    position: int


SEND_BATCHES = Action("indices:data/write/bulk[s][r]", SendBatches, CopyAt, Scope.MEMBER, Lane.BULK)
READ_COPY = Action("internal:index/shard/recovery/start_recovery", ReadCopy, CopyPage, Scope.MEMBER, Lane.BULK)
REFRESH_COPY = Action("indices:admin/refresh[s][r]", RefreshCopy, CopyAt, Scope.MEMBER)
