"""`_resolve/cluster` over two real nodes: every trouble is an entry, none is an error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.two_clusters import Cluster, two_clusters

from hanse.errors import HanseError
from hanse.remote.resolve_cluster import EVERY_REMOTE, RESOLVE_CLUSTER, ResolveCluster

Pair = tuple[Cluster, Cluster]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with two_clusters(tmp_path) as made:
        for cluster in made:
            await cluster.create("logs", aliases={"all-logs": {}})
        yield made


async def resolved(cluster: Cluster, *indices: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await cluster.run(RESOLVE_CLUSTER, ResolveCluster(indices, **more))
    return answer


async def test_each_cluster_tells_whether_something_matches(pair: Pair) -> None:
    answer = await resolved(pair[0], "lo*", "there:none*")
    version = answer["(local)"].pop("version")
    assert version["number"] == "9.2.0"
    assert answer.pop("there") == {
        "connected": True,
        "skip_unavailable": False,
        "matching_indices": False,
        "version": version,
    }
    assert answer == {"(local)": {"connected": True, "skip_unavailable": False, "matching_indices": True}}
    assert (await resolved(pair[0], "there:all-logs"))["there"]["matching_indices"] is True


async def test_names_that_do_not_exist_are_told(pair: Pair) -> None:
    answer = await resolved(pair[0], "gone", "logs", "there:gone")
    assert answer == {
        "(local)": {"connected": True, "skip_unavailable": False, "error": "no such index [gone]"},
        "there": {"connected": True, "skip_unavailable": False, "error": "no such index [gone]"},
    }
    answer = await resolved(pair[0], "gone", "there:gone", names_must_exist=False)
    assert [entry["matching_indices"] for entry in answer.values()] == [False, False]


async def test_without_an_expression_only_the_remote_clusters_are_looked_at(pair: Pair) -> None:
    answer = await resolved(pair[0], *EVERY_REMOTE, matches=False)
    assert list(answer) == ["there"]
    assert "matching_indices" not in answer["there"]
    assert answer["there"]["version"]["build_flavor"] == "default"
    assert await resolved(pair[1], *EVERY_REMOTE, matches=False) == {}


async def test_a_cluster_that_is_gone_is_not_connected(pair: Pair) -> None:
    here, there = pair
    await there.node.close()
    assert (await resolved(here, "logs", "there:logs"))["there"] == {"connected": False, "skip_unavailable": False}


async def test_an_unknown_alias_is_an_error(pair: Pair) -> None:
    with pytest.raises(HanseError, match=r"no such remote cluster: \[nowhere\]"):
        await resolved(pair[0], "nowhere:logs")


def test_the_request_travels() -> None:
    asked = ResolveCluster(("a",), timeout_s=2.0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(asked), type=ResolveCluster) == asked
