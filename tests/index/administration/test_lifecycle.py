from __future__ import annotations

from typing import Any

import pytest
from tests.index.administration.conftest import Administration, add
from tests.index.shards import index as write_op
from tests.index.shards import one

from hanse.errors import HanseError, IndexClosedError, IndexNotFoundError
from hanse.index.administration import requests
from hanse.index.administration.requests import NO_ALIASES, Block, ByNames
from hanse.transport.actions import IndicesOptions


async def block(here: Administration, index: str, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = await here.run(requests.BLOCK, Block((index,), name))
    return answer


async def test_delete_takes_the_index_and_its_aliases(here: Administration) -> None:
    await here.create("a", aliases={"x": {}})
    await here.create("b")
    await here.run(requests.DELETE, ByNames(("a",), NO_ALIASES))
    assert list(here.cluster.state.indices) == ["b"]
    with pytest.raises(IndexNotFoundError):
        here.indices.get("a")
    await here.create("x")


async def test_delete_through_an_alias_is_refused(here: Administration) -> None:
    await here.create("a", aliases={"x": {}})
    with pytest.raises(HanseError, match=r"The provided expression \[x\] matches an alias, specify the corresponding"):
        await here.run(requests.DELETE, ByNames(("x",), NO_ALIASES))
    lenient = IndicesOptions(ignore_unavailable=True, ignore_aliases=True)
    await here.run(requests.DELETE, ByNames(("x",), lenient))
    assert "a" in here.cluster.state.indices


async def test_close_and_open_keep_documents(here: Administration) -> None:
    await here.create("a")
    await one(here.indices.get("a").shards[0], write_op("1", n=1))
    answer = await here.by_names(requests.CLOSE, "a")
    assert answer == {"acknowledged": True, "shards_acknowledged": True, "indices": {"a": {"closed": True}}}
    with pytest.raises(IndexClosedError):
        here.indices.get("a")
    assert (await here.by_names(requests.CLOSE, "a"))["indices"] == {}
    assert await here.by_names(requests.OPEN, "a") == {"acknowledged": True, "shards_acknowledged": True}
    assert here.indices.get("a").shards[0].get("1") is not None
    await here.by_names(requests.OPEN, "a")


async def test_a_block_is_a_setting(here: Administration) -> None:
    await here.create("a")
    answer = await block(here, "a", "write")
    assert answer["indices"] == [{"name": "a", "blocked": True}]
    assert here.index("a").settings["index.blocks.write"] == "true"
    version = here.index("a").settings_version
    await block(here, "a", "write")
    assert here.index("a").settings_version == version
    with pytest.raises(HanseError, match="No block found with name sleep"):
        await block(here, "a", "sleep")
    for _ in range(2):
        removed = await here.run(requests.UNBLOCK, Block(("a",), "write"))
        assert removed == {"acknowledged": True, "indices": [{"name": "a", "unblocked": True}]}
    assert "index.blocks.write" not in here.index("a").settings


@pytest.mark.parametrize(
    ("name", "status", "deletes"),
    [("metadata", 403, False), ("read_only", 403, False), ("read_only_allow_delete", 429, True), ("write", None, True)],
)
async def test_what_blocks_forbid(here: Administration, name: str, status: int | None, deletes: bool) -> None:
    await here.create("a")
    await block(here, "a", name)
    if status is None:
        await here.put_mapping("a", {"properties": {"n": {"type": "long"}}})
    else:
        for change in (
            lambda: here.put_mapping("a", {"properties": {"n": {"type": "long"}}}),
            lambda: here.aliases(add("a", "x")),
            lambda: here.put_settings("a", {"number_of_replicas": 0}),
        ):
            with pytest.raises(HanseError, match=r"index \[a\] blocked by: \[") as raised:
                await change()
            assert (raised.value.name, raised.value.status) == ("cluster_block_exception", status)
    if not deletes:
        with pytest.raises(HanseError, match="blocked by"):
            await here.by_names(requests.DELETE, "a")
        await here.put_settings("a", {f"blocks.{name}": False})
    await here.by_names(requests.DELETE, "a")


async def test_refresh_counts_wanted_copies(here: Administration) -> None:
    await here.create("a", settings={"number_of_shards": 2})
    shard = here.indices.get("a").shards[0]
    await one(shard, write_op("1", n=1))
    for action in (requests.REFRESH, requests.FLUSH, requests.FORCE_MERGE, requests.CLEAR_CACHE):
        assert await here.by_names(action, "a") == {"_shards": {"total": 4, "successful": 2, "failed": 0}}
    assert not shard.needs_refresh
