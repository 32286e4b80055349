"""A primary that does not know yet that it is none any more reads for nobody once its successor takes writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.nats_servers import NatsServer
from tests.node_group import Group, Member, eventually, node_group, until

from hanse import clock
from hanse.cluster import allocation
from hanse.cluster.state import ClusterState
from hanse.index.document_requests import GET, GetDocument

TIMEOUT_S = 1.5


@pytest.fixture
async def group(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Group]:
    checks = {"interval": "100ms", "timeout": f"{TIMEOUT_S}s", "retry_count": "100"}
    async with node_group(
        tmp_path, nats_server, **{f"cluster__fault_detection__follower_check__{k}": v for k, v in checks.items()}
    ) as made:
        await made[0].create("books", replicas=2)
        await made[0].write("books", "1", title="old")
        await until(lambda: all(member.node.membership.is_in_touch for member in made.members))
        yield made


def learns_nothing(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its store of the cluster state fell silent; everything else goes on."""

    def ignored(state: ClusterState) -> None:
        pass

    monkeypatch.setattr(member.node.cluster, "_take_over", ignored)


def step_down(group: Group, old: Member) -> asyncio.Task[ClusterState]:
    other = next(member for member in group.members if member is not old)
    return asyncio.ensure_future(
        other.node.cluster.update("down", lambda state: allocation.stepping_down(state, old.id, clock.now_ms()))
    )


async def title(member: Member) -> str:
    got = await member.run(GET, GetDocument(("books",), "1"))
    assert got.source is not None
    return str(got.source)


async def test_what_a_successor_acknowledged_is_read_at_its_predecessor_too(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = group.primary("books")
    learns_nothing(old, monkeypatch)
    going = step_down(group, old)
    others = [member for member in group.members if member is not old]
    await until(lambda: all(member.state.routing["books"][0].superseded == (old.id,) for member in others))
    await eventually(lambda: others[0].write("books", "1", title="new"))
    assert old.shard("books").is_leading, "as far as it knows"
    assert not old.node.membership.is_in_touch
    assert "new" in await title(old)
    monkeypatch.undo()
    await going


async def test_a_predecessor_that_knows_is_not_waited_for(group: Group) -> None:
    old = group.primary("books")
    await step_down(group, old)
    lapsed = [member.node.membership._touch.has_lapsed(old.id, 10**9) for member in group.members if member is not old]
    assert lapsed == [False, False]
    await until(lambda: group.primary("books").shard("books").is_leading)
    await old.write("books", "1", title="new")
    assert "new" in await title(old)


async def test_a_predecessor_that_is_dead_is_not_waited_for(group: Group) -> None:
    old = group.primary("books")
    others = [member for member in group.members if member is not old]
    await old.vanish()
    await group.agree()
    assert [member.state.routing["books"][0].superseded for member in others] == [(), ()]
    await eventually(lambda: others[0].write("books", "1", title="new"))


async def test_a_predecessor_that_joins_again_knows(group: Group) -> None:
    old = group.primary("books")
    other = next(member for member in group.members if member is not old)
    await other.node.cluster.update(
        "out", lambda state: allocation.without_member(state, old.id, "a test", clock.now_ms())
    )
    await group.agree()
    await group.all_serve("books", 3)
    assert group[0].state.routing["books"][0].superseded == ()
