"""Rolling an alias over to a new index: when, to which name, and under whose rights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.several_nodes import several_nodes

from hanse.errors import (
    ClusterBlockError,
    HanseError,
    InvalidIndexNameError,
    NodeDisconnectedError,
    ResourceAlreadyExistsError,
)
from hanse.index.administration.requests import ROLLOVER, Rollover
from hanse.index.administration.rollover import Measures, evaluate, is_due, next_name
from hanse.index.writing import WriteOp

from .conftest import Administration


async def rolled(here: Administration, new_index: str | None = None, *, dry_run: bool = False, **body: Any) -> Any:
    return await here.run(ROLLOVER, Rollover(("logs",), body, new_index, dry_run))


async def write(here: Administration, index: str, count: int) -> None:
    for _ in range(count):
        await here.indices.get(index).shards[0].write([WriteOp("index", None, b"{}")])


async def test_conditions_decide(here: Administration) -> None:
    await here.create("logs-1", aliases={"logs": {}})
    await write(here, "logs-1", 2)
    waiting = await rolled(here, conditions={"max_docs": 3, "max_age": "7d"})
    assert waiting == {
        "acknowledged": False,
        "shards_acknowledged": False,
        "old_index": "logs-1",
        "new_index": "logs-000002",
        "rolled_over": False,
        "dry_run": False,
        "conditions": {"[max_docs: 3]": False, "[max_age: 7d]": False},
    }
    assert "logs-000002" not in here.cluster.state.indices
    assert (await rolled(here, dry_run=True, conditions={"max_docs": 2}))["conditions"] == {"[max_docs: 2]": True}
    assert "logs-000002" not in here.cluster.state.indices
    done = await rolled(here, conditions={"max_docs": 2}, settings={"number_of_shards": 2})
    assert (done["rolled_over"], done["acknowledged"]) == (True, True)
    assert here.index("logs-000002").number_of_shards == 2
    assert "logs" not in here.index("logs-1").aliases
    assert here.index("logs-000002").aliases["logs"].is_write_index is None
    # An empty index has no size worth rolling over.
    assert (await rolled(here, conditions={"max_size": "1b"}))["rolled_over"] is False


async def test_a_marked_write_index_stays_behind_the_alias(here: Administration) -> None:
    await here.create("logs-000009", aliases={"logs": {"is_write_index": True, "filter": {"term": {"a": 1}}}})
    assert (await rolled(here))["new_index"] == "logs-000010"
    assert here.index("logs-000009").aliases["logs"].is_write_index is False
    new = here.index("logs-000010").aliases["logs"]
    assert (new.is_write_index, new.filter) == (True, {"term": {"a": 1}})


async def test_what_cannot_roll_over(here: Administration) -> None:
    with pytest.raises(HanseError) as missing:
        await rolled(here)
    assert missing.value.status == 404
    await here.create("logs-1", aliases={"logs": {}})
    await here.create("logs-000002")
    with pytest.raises(ResourceAlreadyExistsError):
        await rolled(here, dry_run=True)
    with pytest.raises(InvalidIndexNameError):
        await rolled(here, "invalid|name", dry_run=True)
    with pytest.raises(HanseError, match=r"is a \[CONCRETE_INDEX\]"):
        await here.run(ROLLOVER, Rollover(("logs-1",)))
    await here.put_settings("logs-1", {"index.blocks.read_only": True})
    with pytest.raises(ClusterBlockError):
        await rolled(here, "other-1")
    await here.put_settings("logs-1", {"index.blocks.read_only": False})
    await here.create("unnumbered", aliases={"plain": {}})
    with pytest.raises(HanseError, match="does not match pattern"):
        await here.run(ROLLOVER, Rollover(("plain",)))
    assert (await here.run(ROLLOVER, Rollover(("plain",), {}, "chosen")))["new_index"] == "chosen"
    await here.create("more", aliases={"logs": {}})
    with pytest.raises(HanseError, match="does not point to a write index"):
        await rolled(here, "chosen-2")


def test_names_count_on() -> None:
    assert [next_name(name) for name in ("a-1", "a-b-000099", "a-1234567")] == ["a-000002", "a-b-000100", "a-1234568"]


MEASURES = Measures(age=100.0, docs=10, size=1000, primary_shard_docs=6, primary_shard_size=600)


@pytest.mark.parametrize(
    ("conditions", "due"),
    [
        ({}, True),
        ({"max_docs": 10}, True),
        ({"max_docs": 11}, False),
        ({"max_age": "100s"}, True),
        ({"max_size": "1kb"}, False),
        ({"max_primary_shard_size": "600b"}, True),
        ({"max_docs": 11, "max_primary_shard_docs": 6}, True),
        ({"max_docs": 1, "min_docs": 11}, False),
        ({"max_docs": 1, "min_docs": 10}, True),
    ],
)
def test_one_maximum_and_every_minimum(conditions: dict[str, Any], due: bool) -> None:
    assert is_due(evaluate(conditions, MEASURES)) is due


@pytest.mark.parametrize(
    "conditions", [{"max_cats": 1}, {"min_docs": 1}, {"max_docs": "x"}, {"max_age": "soon"}, {"docs": 1}, ["max_docs"]]
)
def test_conditions_that_make_no_sense(conditions: Any) -> None:
    with pytest.raises(HanseError) as refused:
        evaluate(conditions, MEASURES)
    assert refused.value.status == 400


async def test_primaries_are_measured_wherever_they_are(tmp_path: Path) -> None:
    async with several_nodes(tmp_path) as cluster:
        await cluster.create("logs-1", aliases={"logs": {}}, replicas=1)
        await cluster.write("logs", [{"n": n} for n in range(30)])
        conditions = {"max_docs": 30, "min_size": "1b", "min_primary_shard_docs": 31}
        for node in range(3):
            asked = Rollover(("logs",), {"conditions": conditions}, dry_run=True)
            assert (await cluster.run(ROLLOVER, asked, node))["conditions"] == {
                "[max_docs: 30]": True, "[min_size: 1b]": True, "[min_primary_shard_docs: 31]": False
            }  # fmt: skip
        over = await cluster.run(ROLLOVER, Rollover(("logs",), {"conditions": {"max_docs": 31}}), 1)
        assert over["rolled_over"] is False
        done = await cluster.run(ROLLOVER, Rollover(("logs",), {"conditions": {"max_docs": 30}}), 2)
        assert (done["rolled_over"], done["shards_acknowledged"]) == (True, True)
        assert "logs" in cluster.nodes[0].cluster.state.indices["logs-000002"].aliases


async def test_a_node_that_does_not_say_how_much_it_has_is_an_error(tmp_path: Path) -> None:
    async with several_nodes(tmp_path) as cluster:
        await cluster.create("logs-1", aliases={"logs": {}})

        async def refuse(*_: Any) -> bytes:
            raise NodeDisconnectedError("the node was cut off")

        cluster.nodes[2].gate.run_encoded = refuse
        with pytest.raises(NodeDisconnectedError):
            await cluster.run(ROLLOVER, Rollover(("logs",), {"conditions": {"max_docs": 1}}))
        assert (await cluster.run(ROLLOVER, Rollover(("logs",), dry_run=True)))["new_index"] == "logs-000002"
