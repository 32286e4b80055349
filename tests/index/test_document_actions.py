"""Document actions through a real gate: rights item by item, what is hidden, missing indices, aliases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from tests.one_node import cluster_of_one, indices_of_one

from hanse.cluster.broadcast import Broadcast
from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.names import ClusterNames
from hanse.cluster.security_entries import ClusterSecurityStore
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.errors import HanseError
from hanse.index import document_actions
from hanse.index import document_requests as actions
from hanse.index.administration import register as administration
from hanse.index.administration.requests import CREATE, CreateIndex
from hanse.index.document_reads import DocumentView
from hanse.index.document_requests import (
    BulkItem,
    BulkItemResult,
    BulkRequest,
    GetDocument,
    GotDocument,
    MultiGet,
    WriteDocument,
    Written,
)
from hanse.index.primaries import Primaries
from hanse.index.refreshing import Refreshing
from hanse.index.writing import UpdateBody, WriteOp
from hanse.search.document_view import SecuredDocumentView
from hanse.security.gate import Gate
from hanse.security.role_store import RoleStore
from hanse.security.roles import parse_role, stored_role
from hanse.settings.registry import Settings
from hanse.transport.actions import Action, ActionRegistry, Origin
from hanse.transport.identity import Identity, RealmRef

REST = Origin("rest", "127.0.0.1:5000")
ADMIN = Identity("elastic", ("superuser",), RealmRef("reserved", "reserved"))


@dataclass
class World:
    cluster: ClusterService
    gate: Gate
    store: ClusterSecurityStore

    async def role(self, name: str, *indices: dict[str, Any]) -> Identity:
        """A user who has only this role."""
        await self.store.put_role(name, stored_role(parse_role(name, {"indices": list(indices)})))
        return Identity("joe", (name,), RealmRef("default_native", "native"))

    async def run(self, action: Action[Any, Any], request: Any, identity: Identity = ADMIN) -> Any:
        return await self.gate.run(action, request, identity, REST)

    async def create(self, name: str, **body: Any) -> None:
        await self.run(CREATE, CreateIndex((name,), body))

    async def write(self, index: str, op: WriteOp, identity: Identity = ADMIN, **options: Any) -> Written:
        by_kind = {"index": actions.INDEX, "create": actions.INDEX, "update": actions.UPDATE, "delete": actions.DELETE}
        written: Written = await self.run(by_kind[op.op], WriteDocument((index,), op, **options), identity)
        return written

    async def bulk(self, items: list[BulkItem], identity: Identity = ADMIN) -> list[BulkItemResult]:
        results: list[BulkItemResult] = (await self.run(actions.BULK, BulkRequest(items), identity)).items
        return results

    async def get(self, index: str, id: str, identity: Identity = ADMIN, **options: Any) -> GotDocument:
        found: GotDocument = await self.run(actions.GET, GetDocument((index,), id, **options), identity)
        return found


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async for made in building(tmp_path, SecuredDocumentView()):
        yield made


async def building(
    folder: Path, view: DocumentView | None, settings: dict[str, Any] | None = None
) -> AsyncIterator[World]:
    given = Settings(settings or {})
    state_store = SqliteStateStore(folder / "state.sqlite")
    cluster = cluster_of_one(state_store)
    names = ClusterNames(lambda: cluster.state)
    indices = indices_of_one(cluster, folder, given)
    primaries = Primaries(cluster, indices)
    refreshing = Refreshing(primaries)
    registry = ActionRegistry()
    store = ClusterSecurityStore(cluster)
    gate = Gate(registry=registry, catalogue=names, realms=cast(Any, None), roles=RoleStore(store))
    administration.register(registry, cluster, indices, refreshing, Broadcast(cluster))
    document_actions.register(registry, primaries, refreshing, given, view)
    await indices.start()
    yield World(cluster, gate, store)
    await indices.close()
    await state_store.close()


def index_op(id: str | None = "1", source: bytes = b"{}", **members: Any) -> WriteOp:
    return WriteOp("index", id, source, **members)


def item(index: str, op: WriteOp, **members: Any) -> BulkItem:
    return BulkItem(index, op, **members)


# -- rights


async def test_each_item_of_a_bulk_request_has_its_own_rights(world: World) -> None:
    await world.create("open")
    await world.create("shut")
    joe = await world.role("writer", {"names": ["open"], "privileges": ["create_doc"]})
    results = await world.bulk(
        [
            item("open", WriteOp("create", "1", b"{}")),
            item("open", index_op("2")),
            item("open", WriteOp("delete", "1")),
            item("shut", WriteOp("create", "1", b"{}")),
            item("open", WriteOp("create", "3", b"{}")),
        ],
        joe,
    )
    assert [result.error is None for result in results] == [True, False, False, False, True]
    for result, action in zip(results[1:4], ("index:op_type/index", "delete", "index:op_type/create"), strict=True):
        assert result.error is not None
        assert result.error.status == 403
        assert result.error.reason.startswith(f"action [indices:data/write/{action}] is unauthorized for user [joe]")


async def test_who_may_only_add_documents_does_not_overwrite_one(world: World) -> None:
    await world.create("open")
    joe = await world.role("adder", {"names": ["open"], "privileges": ["create_doc"]})
    assert (await world.write("open", WriteOp("create", "1", b"{}"), joe)).result is not None
    with pytest.raises(HanseError) as refused:
        await world.write("open", index_op("1"), joe)
    assert refused.value.status == 403
    assert "indices:data/write/index:op_type/index" in refused.value.reason


async def test_a_bulk_request_of_someone_without_any_right_is_refused_as_a_whole(world: World) -> None:
    joe = await world.role("reader", {"names": ["*"], "privileges": ["read"]})
    with pytest.raises(HanseError, match=r"action \[indices:data/write/bulk\] is unauthorized"):
        await world.bulk([item("open", index_op())], joe)


async def test_a_right_on_an_alias_is_enough_to_write_through_it(world: World) -> None:
    await world.create("books-1", aliases={"books": {"is_write_index": True}})
    joe = await world.role("writer", {"names": ["books"], "privileges": ["write"]})
    assert (await world.write("books", index_op(), joe)).index == "books-1"
    (through,) = await world.bulk([item("books", index_op("2"))], joe)
    (directly,) = await world.bulk([item("books-1", index_op("3"))], joe)
    assert through.error is None
    assert directly.error is not None
    assert directly.error.status == 403


def statuses(results: list[BulkItemResult]) -> list[int]:
    return [200 if result.error is None else result.error.status for result in results]


async def test_within_a_bulk_request_the_names_of_an_index_stand_and_fall_together(world: World) -> None:
    await world.create("books-1", aliases={"written": {}, "read": {}, "also-written": {}})
    await world.create("other", aliases={"written-too": {}})
    writes = {"names": ["written", "also-written", "written-too"], "privileges": ["write"]}
    joe = await world.role("writer", writes, {"names": ["read"], "privileges": ["read"]})
    every = [item(name, index_op()) for name in ("written", "read", "also-written", "written-too")]
    assert statuses(await world.bulk(every, joe)) == [403, 403, 403, 200]
    assert statuses(await world.bulk([every[0], every[2]], joe)) == [200, 200]
    # Another right is another matter.
    both = [item("written", index_op("7")), item("read", WriteOp("delete", "7"))]
    assert statuses(await world.bulk(both, joe)) == [200, 403]
    # Where the index is named itself, its own grant decides about those that reach it by a granted alias.
    assert statuses(await world.bulk([item("written", index_op()), item("books-1", index_op())], joe)) == [403, 403]
    ann = await world.role("owner", writes, {"names": ["books-1"], "privileges": ["write"]})
    named = [item("written", index_op()), item("read", index_op()), item("books-1", index_op())]
    assert statuses(await world.bulk(named, ann)) == [200, 403, 200]


async def test_who_may_not_create_indices_creates_none(world: World) -> None:
    joe = await world.role("writer", {"names": ["books"], "privileges": ["write"]})
    with pytest.raises(HanseError, match=r"action \[indices:admin/auto_create\] is unauthorized"):
        await world.write("books", index_op(), joe)
    (result,) = await world.bulk([item("books", index_op())], joe)
    assert result.error is not None
    assert result.error.status == 403
    assert "books" not in world.cluster.state.indices


async def test_multi_get_tells_of_each_document(world: World) -> None:
    await world.create("open")
    await world.create("shut")
    await world.write("open", index_op())
    joe = await world.role("reader", {"names": ["open"], "privileges": ["read"]})
    wanted = MultiGet(tuple(GetDocument((name,), "1") for name in ("open", "shut")))
    found, refused = (await world.run(actions.MULTI_GET, wanted, joe)).documents
    assert found.found
    assert refused.status == 403


# -- what is hidden


async def test_hidden_documents_are_not_found_even_before_a_refresh(world: World) -> None:
    await world.create("books", settings={"index.refresh_interval": "-1"})
    await world.write("books", index_op("open", b'{"shelf": "open"}'))
    await world.write("books", index_op("shut", b'{"shelf": "shut"}'))
    joe = await world.role(
        "reader", {"names": ["books"], "privileges": ["read"], "query": {"term": {"shelf.keyword": "open"}}}
    )
    assert (await world.get("books", "open", joe)).found
    assert await world.get("books", "shut", joe) == GotDocument("books", "shut")
    await world.write("books", index_op("open", b'{"shelf": "shut"}'))
    assert not (await world.get("books", "open", joe)).found
    assert (await world.get("books", "shut")).found


async def test_hidden_fields_are_cut_out_of_the_source_and_of_stored_fields(world: World) -> None:
    fields = {"name": {"type": "keyword", "store": True}, "price": {"type": "keyword", "store": True}}
    await world.create("books", mappings={"properties": fields})
    await world.write("books", index_op("1", b'{"name": "a", "price": "9"}'))
    joe = await world.role(
        "reader", {"names": ["books"], "privileges": ["read"], "field_security": {"grant": ["name"]}}
    )
    found = await world.get("books", "1", joe, stored_fields=("name", "price"))
    assert found.source == b'{"name":"a"}'
    assert found.fields == {"name": ["a"]}


async def test_the_version_of_a_hidden_document_is_not_told(world: World) -> None:
    await world.create("books")
    await world.write("books", index_op("1", b'{"shelf": "shut"}'))
    joe = await world.role("reader", {"names": ["books"], "privileges": ["read"], "query": {"match_none": {}}})
    assert not (await world.get("books", "1", joe, version=99)).found


async def test_restricted_users_do_not_update(world: World) -> None:
    """An update would read, and could answer with, what they may not see."""
    await world.create("books")
    await world.write("books", index_op("1", b'{"shelf": "open"}'))
    joe = await world.role("clerk", {"names": ["books"], "privileges": ["all"], "query": {"match_all": {}}})
    update = WriteOp("update", "1", update=UpdateBody(doc=b'{"a": 1}'))
    with pytest.raises(HanseError, match="Can't execute an update request if field or document level security"):
        await world.write("books", update, joe)
    (result,) = await world.bulk([item("books", update)], joe)
    assert result.error is not None
    assert result.error.status == 400
    assert (await world.get("books", "1")).source == b'{"shelf": "open"}'


async def test_without_a_view_restricted_reads_are_refused(tmp_path: Path) -> None:
    async for world in building(tmp_path, None):
        await world.create("books")
        await world.write("books", index_op())
        joe = await world.role("reader", {"names": ["books"], "privileges": ["read"], "query": {"match_all": {}}})
        with pytest.raises(HanseError) as refused:
            await world.get("books", "1", joe)
        assert refused.value.status == 403
        assert (await world.get("books", "1")).found


# -- missing indices


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("false", "no such index [books] and [action.auto_create_index] is [false]"),
        (
            "-books,+*",
            "no such index [books] and [action.auto_create_index] contains [-books] which forbids automatic creation "
            "of the index",
        ),
        ("logs-*", "no such index [books] and [action.auto_create_index] ([logs-*]) doesn't match"),
    ],
)
async def test_auto_create_may_be_forbidden(tmp_path: Path, value: str, reason: str) -> None:
    async for world in building(tmp_path, None, {"action.auto_create_index": value}):
        with pytest.raises(HanseError) as refused:
            await world.write("books", index_op())
        assert (refused.value.status, refused.value.reason) == (404, reason)
        (result,) = await world.bulk([item("books", index_op())])
        assert result.error is not None
        assert result.error.reason == reason


async def test_a_missing_index_is_created_by_a_write_but_not_by_a_delete(world: World) -> None:
    with pytest.raises(HanseError, match=r"no such index \[books\]"):
        await world.write("books", WriteOp("delete", "1"))
    with pytest.raises(HanseError, match=r"no such index \[books\]"):
        await world.get("books", "1")
    assert not world.cluster.state.indices
    assert (await world.write("books", index_op())).result is not None
    assert list(world.cluster.state.indices) == ["books"]


async def test_a_wildcard_is_no_place_for_a_document(world: World) -> None:
    await world.create("books")
    with pytest.raises(HanseError, match="Invalid index name"):
        await world.write("boo*", index_op())
    with pytest.raises(HanseError, match=r"no such index \[boo\*\]"):
        await world.get("boo*", "1")


# -- aliases


async def test_alias_routing(world: World) -> None:
    await world.create("books", settings={"index.number_of_shards": "3"}, aliases={"mine": {"routing": "joe"}})
    await world.write("mine", index_op("1", b'{"a": 1}'))
    assert (await world.get("books", "1", routing="joe")).routing == "joe"
    assert (await world.get("mine", "1")).found
    with pytest.raises(HanseError) as refused:
        await world.write("mine", index_op("1", routing="ann"))
    assert refused.value.reason == (
        "Alias [mine] has index routing associated with it [joe], and was provided with routing value [ann], rejecting "
        "operation"
    )
    through, refused_item = await world.bulk([item("mine", index_op("2")), item("mine", index_op("3", routing="ann"))])
    assert through.result is not None
    assert through.result.routing == "joe"
    assert refused_item.error is not None


async def test_an_alias_without_a_write_index(world: World) -> None:
    for name in ("books-1", "books-2"):
        await world.create(name, aliases={"books": {}})
    with pytest.raises(HanseError) as refused:
        await world.write("books", index_op())
    assert refused.value.reason == (
        "no write index is defined for alias [books]. The write index may be explicitly disabled using "
        "is_write_index=false or the alias points to multiple indices without one being designated as a write index"
    )


async def test_one_index_under_two_names_keeps_the_order_of_a_bulk_request(world: World) -> None:
    await world.create("books-1", aliases={"books": {}})
    results = await world.bulk(
        [
            item("books", index_op("1", b'{"n": 1}')),
            item("books-1", WriteOp("delete", "1")),
            item("books", WriteOp("create", "1", b'{"n": 3}')),
        ]
    )
    assert [result.error for result in results] == [None, None, None]
    assert (await world.get("books", "1")).source == b'{"n": 3}'


# -- what refuses writes


async def test_a_follower_takes_no_writes_of_its_own(world: World) -> None:
    await world.create("copy")
    await world.cluster.update("follow", _following)
    with pytest.raises(HanseError) as refused:
        await world.write("copy", index_op())
    assert (refused.value.name, refused.value.status) == ("status_exception", 403)
    assert refused.value.reason == "a following engine does not accept operations without an assigned sequence number"
    (result,) = await world.bulk([item("copy", index_op())])
    assert result.error is not None
    assert result.error.name == "status_exception"


def _following(state: ClusterState) -> ClusterState:
    index = state.indices["copy"]
    settings = {**index.settings, "index.xpack.ccr.following_index": "true"}
    return state.with_index(msgspec.structs.replace(index, settings=settings))


async def test_an_item_with_a_problem_is_never_tried(world: World) -> None:
    problem = HanseError("bad")
    (result,) = await world.bulk([item("books", index_op(), problem=problem)])
    assert (result.index, result.error) == ("books", problem)
    assert not world.cluster.state.indices


async def test_a_bulk_request_to_many_shards_answers_in_order(world: World) -> None:
    await world.create("books", settings={"index.number_of_shards": "4"})
    results = await world.bulk([item("books", index_op(str(number))) for number in range(200)])
    assert [result.result.id for result in results if result.result] == [str(number) for number in range(200)]
