"""Retention leases: names, order, durability, Elasticsearch's errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.index.shards import node

from hanse.errors import IllegalArgumentError, RetentionLeaseAlreadyExistsError, RetentionLeaseNotFoundError
from hanse.index.leases import LEASES_MAX, RetentionLease, RetentionLeases


def lease(id: str, at: int) -> RetentionLease:
    return RetentionLease(id, at, 1, "ccr")


def test_the_lowest_lease_counts() -> None:
    leases = RetentionLeases().added(lease("a", 7)).added(lease("b", 3))
    assert leases.retaining_seq_no == 3
    assert leases.without("b").retaining_seq_no == 7
    assert RetentionLeases().retaining_seq_no is None


def test_a_lease_moves_on_and_never_back() -> None:
    leases = RetentionLeases().added(lease("a", 7)).renewed("a", 9, 2).renewed("a", 4, 3)
    assert leases.leases["a"] == RetentionLease("a", 9, 3, "ccr")
    assert leases.version == 3


def test_errors() -> None:
    leases = RetentionLeases().added(lease("a", 7))
    with pytest.raises(RetentionLeaseAlreadyExistsError, match=r"retention lease with ID \[a\] already exists"):
        leases.added(lease("a", 8))
    with pytest.raises(RetentionLeaseNotFoundError, match=r"retention lease with ID \[b\] not found"):
        leases.renewed("b", 1, 1)
    with pytest.raises(RetentionLeaseNotFoundError):
        leases.without("b")
    with pytest.raises(IllegalArgumentError):
        leases.added(lease("", 1))


def test_there_is_a_limit() -> None:
    leases = RetentionLeases({str(at): lease(str(at), 0) for at in range(LEASES_MAX)})
    with pytest.raises(IllegalArgumentError, match="can not have more than"):
        leases.added(lease("one more", 0))


def test_shown_as_statistics_show_them() -> None:
    assert RetentionLeases().added(lease("a", 7)).shown(3) == {
        "primary_term": 3,
        "version": 1,
        "leases": [{"id": "a", "retaining_seq_no": 7, "timestamp": 1, "source": "ccr"}],
    }


async def test_leases_are_there_after_a_restart(tmp_path: Path) -> None:
    async with node(tmp_path) as first:
        shard = await first.create()
        await shard.add_lease("f", 4, "ccr")
        await shard.renew_lease("f", 6)
    async with node(tmp_path) as again:
        (found,) = again.indices.get("books").shards[0].leases()
        assert (found.id, found.retaining_seq_no, found.source) == ("f", 6, "ccr")
