"""What several tests of replication do."""

from __future__ import annotations

from typing import Any

from tests.two_clusters import Cluster, until

from hanse.replication.requests import FOLLOW_STATS, PUT_FOLLOW, Followers, FollowStarted, PutFollow


async def follow(here: Cluster, follower: str = "copy", leader: str = "books", **more: Any) -> FollowStarted:
    body = {"remote_cluster": "there", "leader_index": leader, **more}
    started: FollowStarted = await here.run(PUT_FOLLOW, PutFollow((follower,), body, "1"))
    return started


async def caught_up(here: Cluster, there: Cluster, follower: str = "copy", leader: str = "books") -> None:
    await until(lambda: here.ids(follower) == there.ids(leader))


async def shard_stats(here: Cluster, follower: str = "copy") -> dict[str, Any]:
    answer = await here.run(FOLLOW_STATS, Followers((follower,)))
    shard: dict[str, Any] = answer["indices"][0]["shards"][0]
    return shard
