"""Retention leases: what followers still need of a shard's tombstones, by name, durable.

A lease at seq_no N keeps every tombstone with a seq_no >= N. Unlike Elasticsearch's, a lease does not run out by
itself: a follower that was away for a week still learns what was deleted; `forget_follower` removes it by hand.
Tests: tests/index/test_leases.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.errors import (
    HanseError,
    IllegalArgumentError,
    RetentionLeaseAlreadyExistsError,
    RetentionLeaseNotFoundError,
)

LEASES_MAX = 1_000


class RetentionLease(msgspec.Struct, frozen=True):
    """`holder`: the remote peers, joined by commas, whose certificate took it; empty when nobody listed it."""

    id: str
    retaining_seq_no: int
    timestamp_ms: int
    source: str
    holder: str = ""


class RetentionLeases(msgspec.Struct, frozen=True):
    """An immutable set of leases; `version` rises with every change."""

    leases: dict[str, RetentionLease] = {}
    version: int = 0

    @property
    def retaining_seq_no(self) -> int | None:
        """The lowest seq_no a lease holds; None without leases."""
        return min((lease.retaining_seq_no for lease in self.leases.values()), default=None)

    def added(self, lease: RetentionLease) -> RetentionLeases:
        if not lease.id:
            raise IllegalArgumentError("retention lease ID can not be empty")
        if lease.id in self.leases:
            raise RetentionLeaseAlreadyExistsError(f"retention lease with ID [{lease.id}] already exists")
        if len(self.leases) >= LEASES_MAX:
            raise IllegalArgumentError(f"a shard can not have more than [{LEASES_MAX}] retention leases")
        return RetentionLeases({**self.leases, lease.id: lease}, self.version + 1)

    def renewed(self, id: str, retaining_seq_no: int, timestamp_ms: int, holder: str = "") -> RetentionLeases:
        """Moves a lease on; it never goes back, as what it let go of may be purged. Without a holder it gets one."""
        lease = self.leases.get(id)
        if lease is None:
            raise _not_found(id)
        seq_no = max(retaining_seq_no, lease.retaining_seq_no)
        moved = RetentionLease(id, seq_no, timestamp_ms, lease.source, lease.holder or holder)
        return RetentionLeases({**self.leases, id: moved}, self.version + 1)

    def without(self, id: str) -> RetentionLeases:
        if id not in self.leases:
            raise _not_found(id)
        return RetentionLeases({name: lease for name, lease in self.leases.items() if name != id}, self.version + 1)

    def shown(self, primary_term: int) -> dict[str, Any]:
        """As `_stats?level=shards` shows them."""
        return {
            "primary_term": primary_term,
            "version": self.version,
            "leases": [
                {
                    "id": lease.id,
                    "retaining_seq_no": lease.retaining_seq_no,
                    "timestamp": lease.timestamp_ms,
                    "source": lease.source,
                }
                for lease in self.leases.values()
            ],
        }

    def encoded(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @staticmethod
    def decoded(content: bytes | None) -> RetentionLeases:
        return RetentionLeases() if content is None else msgspec.msgpack.decode(content, type=RetentionLeases)


def _not_found(id: str) -> HanseError:
    return RetentionLeaseNotFoundError(f"retention lease with ID [{id}] not found")
