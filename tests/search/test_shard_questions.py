"""Explain, validate and filtered field capabilities answer the same through a node that has none of the shards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.several_nodes import SeveralNodes, several_nodes
from tests.two_clusters import until

from hanse.errors import NoShardAvailableError
from hanse.search.request import (
    EXPLAIN,
    FIELD_CAPS,
    VALIDATE_QUERY,
    ExplainRequest,
    FieldCapsRequest,
    ValidateQueryRequest,
)

MAPPINGS = {"properties": {"n": {"type": "long"}, "t": {"type": "text"}}}


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[SeveralNodes]:
    async with several_nodes(tmp_path) as made:
        await made.create("a", mappings=MAPPINGS)
        await made.create("b", mappings=MAPPINGS, shards=1)
        await made.write("a", [{"n": n, "t": "tar " * n} for n in range(1, 10)])
        await made.write("b", [{"n": 100}])
        yield made


async def everywhere(cluster: SeveralNodes, action: Any, request: Any) -> Any:
    """The answer, which is the same through every node."""
    answers = [await cluster.run(action, request, node) for node in range(3)]
    assert answers[0] == answers[1] == answers[2]
    return answers[0]


async def test_explain(cluster: SeveralNodes) -> None:
    body = orjson.dumps({"query": {"match": {"t": "tar"}}})
    for id in ("1", "5", "9"):
        answer = orjson.loads((await everywhere(cluster, EXPLAIN, ExplainRequest(("a",), id, body=body))).body)
        assert answer["matched"] is True
        assert answer["explanation"]["value"] > 0
    missing = await everywhere(cluster, EXPLAIN, ExplainRequest(("a",), "none", body=body))
    assert missing.status == 404


async def test_validate_asks_one_shard_of_each_index_or_all(cluster: SeveralNodes) -> None:
    body = orjson.dumps({"query": {"range": {"n": {"gte": 1}}}})
    request = ValidateQueryRequest(("a", "b"), body=body, explain=True)
    answer = orjson.loads((await everywhere(cluster, VALIDATE_QUERY, request)).body)
    assert (answer["valid"], answer["_shards"]["total"]) == (True, 2)
    assert [entry["index"] for entry in answer["explanations"]] == ["a", "b"]
    request = ValidateQueryRequest(("a", "b"), body=body, explain=True, all_shards=True)
    answer = orjson.loads((await everywhere(cluster, VALIDATE_QUERY, request)).body)
    assert [(entry["index"], entry["shard"]) for entry in answer["explanations"]] == [
        ("a", 0), ("a", 1), ("a", 2), ("b", 0)
    ]  # fmt: skip


async def test_an_invalid_query_is_invalid_everywhere(cluster: SeveralNodes) -> None:
    body = orjson.dumps({"query": {"range": {"n": {"gte": "much"}}}})
    answer = orjson.loads((await everywhere(cluster, VALIDATE_QUERY, ValidateQueryRequest(("a",), body=body))).body)
    assert (answer["valid"], "explanations" in answer) == (False, False)


@pytest.mark.parametrize(("least", "indices"), [(1, ["a", "b"]), (9, ["a", "b"]), (50, ["b"]), (1000, [])])
async def test_a_filter_of_field_capabilities(cluster: SeveralNodes, least: int, indices: list[str]) -> None:
    request = FieldCapsRequest(("a", "b"), fields=("n",), index_filter={"range": {"n": {"gte": least}}})
    answer = await everywhere(cluster, FIELD_CAPS, request)
    assert sorted(answer.indices) == indices
    assert answer.failures == []


async def test_what_no_node_can_be_asked_for(cluster: SeveralNodes) -> None:
    await cluster.stop(cluster.nodes[2])
    await until(lambda: sum(1 for held in cluster.holders("a") if held) == 2)
    (lost,) = [number for number, held in enumerate(cluster.holders("a")) if not held]
    service = cluster.nodes[0].indices.get("a")
    id = next(id for id in map(str, range(100)) if service.number_for(id) == lost)
    with pytest.raises(NoShardAvailableError):
        await cluster.run(EXPLAIN, ExplainRequest(("a",), id, body=b'{"query":{"match_all":{}}}'))
    request = ValidateQueryRequest(("a",), body=b'{"query":{"match_all":{}}}', all_shards=True)
    answer = orjson.loads((await cluster.run(VALIDATE_QUERY, request)).body)
    assert (answer["valid"], answer["_shards"]) == (False, {"total": 3, "successful": 2, "failed": 1})
    filtered = FieldCapsRequest(("a",), fields=("n",), index_filter={"range": {"n": {"gte": 1}}})
    assert sorted((await cluster.run(FIELD_CAPS, filtered)).indices) == ["a"]
