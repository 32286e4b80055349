"""A shard end to end: versions, updates, dynamic fields, groups, real-time get, what a restart finds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from tests.index.shards import Node, ids_found, index, node, one

from hanse.cluster.embedded.commit_log import EmbeddedCommitLog
from hanse.cluster.log import Batch, Operation
from hanse.errors import (
    DocumentMissingError,
    DocumentParsingError,
    HanseError,
    IllegalArgumentError,
    VersionConflictError,
)
from hanse.index.document_store import DocumentStore
from hanse.index.shard import Shard, UpdateBody, WriteOp, WriteResult
from hanse.index.workers import Workers
from hanse.tasks import Tasks


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Node]:
    async with node(tmp_path) as made:
        yield made


@pytest.fixture
async def shard(here: Node) -> Shard:
    return await here.create(refresh_interval="-1")


def update(id: str, *, doc: object = None, upsert: object = None, **more: object) -> WriteOp:
    conditions = {key: more.pop(key) for key in ("if_seq_no", "if_primary_term") if key in more}
    body = UpdateBody(
        doc=None if doc is None else orjson.dumps(doc), upsert=None if upsert is None else orjson.dumps(upsert), **more
    )
    return WriteOp("update", id, update=body, **conditions)


async def failure(shard: Shard, op: WriteOp) -> HanseError:
    outcome = (await shard.write([op]))[0]
    assert isinstance(outcome, HanseError), outcome
    return outcome


async def test_a_document_lives_and_dies_with_rising_versions_and_seq_nos(shard: Shard) -> None:
    results = [
        await one(shard, index("1", title="a")),
        await one(shard, index("1", title="b")),
        await one(shard, WriteOp("delete", "1")),
        await one(shard, WriteOp("delete", "1")),
        await one(shard, index("1", title="c")),
    ]
    assert [(r.result, r.version, r.seq_no, r.primary_term) for r in results] == [
        ("created", 1, 0, 1),
        ("updated", 2, 1, 1),
        ("deleted", 3, 2, 1),
        ("not_found", 4, 3, 1),
        ("created", 5, 4, 1),
    ]
    found = shard.get("1")
    assert found is not None
    assert (found.version, found.seq_no, found.source) == (5, 4, b'{"title":"c"}')


async def test_deleting_what_never_was_is_not_found_with_version_one(shard: Shard) -> None:
    result = await one(shard, WriteOp("delete", "nothing"))
    assert (result.result, result.version, result.seq_no) == ("not_found", 1, 0)
    assert shard.get("nothing") is None


async def test_the_source_is_kept_byte_by_byte(shard: Shard) -> None:
    source = b'{ "title" : "a",\n "n": 1e0,  "tag":"\\u00e9" }'
    await one(shard, WriteOp("index", "1", source, "somewhere"))
    found = shard.get("1")
    assert found is not None
    assert (found.source, found.routing) == (source, "somewhere")


async def test_create_refuses_an_existing_document(shard: Shard) -> None:
    await one(shard, index("1", title="a"))
    error = await failure(shard, WriteOp("create", "1", b"{}"))
    assert isinstance(error, VersionConflictError)
    assert error.reason == "[1]: version conflict, document already exists (current version [1])"
    assert error.metadata == {"index_uuid": shard.index_uuid, "shard": "0", "index": "books"}
    assert error.status == 409


async def test_create_takes_the_place_of_a_deleted_document(shard: Shard) -> None:
    await shard.write([index("1"), WriteOp("delete", "1")])
    assert (await one(shard, WriteOp("create", "1", b"{}"))).version == 3


async def test_if_seq_no_holds_or_conflicts(shard: Shard) -> None:
    await one(shard, index("1"))
    await one(shard, WriteOp("index", "1", b"{}", if_seq_no=0, if_primary_term=1))
    stale = await failure(shard, WriteOp("index", "1", b"{}", if_seq_no=5, if_primary_term=1))
    assert stale.reason == (
        "[1]: version conflict, required seqNo [5], primary term [1]. "
        "current document has seqNo [1] and primary term [1]"
    )
    missing = await failure(shard, WriteOp("delete", "2", if_seq_no=5, if_primary_term=1))
    assert missing.reason == "[2]: version conflict, required seqNo [5], primary term [1]. but no document was found"


@pytest.mark.parametrize(
    ("version_type", "version", "explanation"),
    [
        ("external", 4, "current version [5] is higher or equal to the one provided [4]"),
        ("external", 5, "current version [5] is higher or equal to the one provided [5]"),
        ("external_gte", 4, "current version [5] is higher than the one provided [4]"),
        ("external", 6, None),
        ("external_gte", 5, None),
    ],
)
async def test_external_versions(shard: Shard, version_type: str, version: int, explanation: str | None) -> None:
    await one(shard, WriteOp("index", "1", b"{}", version=5, version_type="external"))
    op = WriteOp("index", "1", b"{}", version=version, version_type=version_type)  # type: ignore[arg-type]
    if explanation is None:
        assert (await one(shard, op)).version == version
    else:
        assert (await failure(shard, op)).reason == f"[1]: version conflict, {explanation}"


async def test_a_deleted_document_still_guards_its_external_version(shard: Shard) -> None:
    await one(shard, WriteOp("index", "1", b"{}", version=5, version_type="external"))
    await one(shard, WriteOp("delete", "1", version=7, version_type="external"))
    assert (
        "[7] is higher or equal"
        in (await failure(shard, WriteOp("index", "1", b"{}", version=6, version_type="external"))).reason
    )


async def test_operations_on_one_id_within_a_batch_see_each_other(shard: Shard) -> None:
    outcomes = await shard.write(
        [
            WriteOp("create", "1", b'{"n":1}'),
            WriteOp("create", "1", b"{}"),
            update("1", doc={"tag": "x"}),
            WriteOp("delete", "1"),
            update("1", doc={"n": 2}, doc_as_upsert=True),
            WriteOp("index", "1", b'{"n":3}', if_seq_no=3, if_primary_term=1),
        ]
    )
    shown = [o.result if isinstance(o, WriteResult) else o.name for o in outcomes]
    assert shown == ["created", "version_conflict_engine_exception", "updated", "deleted", "created", "updated"]
    assert shard.max_seq_no == 4
    await shard.refresh()
    assert ids_found(shard) == ["1"]


async def test_one_bad_document_among_good_ones_fails_alone(shard: Shard) -> None:
    outcomes = await shard.write(
        [
            index("1", n=1),
            WriteOp("index", "2", b'{"n": "no number"}'),
            WriteOp("index", "3", b"{broken"),
            index("4", n=2),
        ]
    )
    assert [isinstance(outcome, WriteResult) for outcome in outcomes] == [True, False, False, True]
    assert isinstance(outcomes[1], DocumentParsingError)
    assert isinstance(outcomes[2], HanseError)
    assert shard.max_seq_no == 1
    assert shard.get("2") is None


async def test_made_ids_are_20_url_safe_characters_and_differ(shard: Shard) -> None:
    outcomes = await shard.write([index(None, n=at) for at in range(300)])
    ids = {outcome.id for outcome in outcomes if isinstance(outcome, WriteResult)}
    assert len(ids) == 300
    assert all(
        len(id) == 20
        and set(id)
        <= set("-_" + "abcdefghijklmnopqrstuvwxyz0123456789".upper() * 2) | set("abcdefghijklmnopqrstuvwxyz")
        for id in ids
    )


async def test_an_id_that_is_too_long_is_refused(shard: Shard) -> None:
    assert (
        "is too long, must be no longer than 512 bytes but was: 513" in (await failure(shard, index("x" * 513))).reason
    )
    await one(shard, index("x" * 512))


# -- updates


async def test_an_update_merges_objects_and_replaces_all_else(shard: Shard) -> None:
    await one(shard, WriteOp("index", "1", b'{"title":"a","tag":["x"]}'))
    result = await one(shard, update("1", doc={"tag": ["y"], "n": 4}))
    assert (result.result, result.version, result.source) == ("updated", 2, b'{"title":"a","tag":["y"],"n":4}')


async def test_an_update_that_changes_nothing_is_a_noop(shard: Shard) -> None:
    await one(shard, index("1", n=1))
    result = await one(shard, update("1", doc={"n": 1}))
    assert (result.result, result.version, result.seq_no) == ("noop", 1, 0)
    assert (await one(shard, update("1", doc={"n": 1}, detect_noop=False))).result == "updated"
    assert shard.max_seq_no == 1


async def test_an_update_of_a_missing_document(shard: Shard) -> None:
    error = await failure(shard, update("1", doc={"n": 1}))
    assert isinstance(error, DocumentMissingError)
    assert error.reason == "[1]: document missing"
    upserted = await one(shard, update("1", doc={"n": 1}, upsert={"n": 7}))
    assert (upserted.result, upserted.source) == ("created", b'{"n":7}')


async def test_a_script_in_an_update_is_refused(shard: Shard) -> None:
    assert isinstance(await failure(shard, update("1", script=True)), IllegalArgumentError)


async def test_an_update_checks_if_seq_no(shard: Shard) -> None:
    await one(shard, index("1", n=1))
    error = await failure(shard, update("1", doc={"n": 2}, if_seq_no=9, if_primary_term=1))
    assert "required seqNo [9]" in error.reason


# -- mapping


async def test_new_fields_are_in_the_cluster_state_before_the_answer(here: Node, shard: Shard) -> None:
    before = here.cluster.state.indices["books"]
    await one(shard, index("1", added="some text", count=7))
    after = here.cluster.state.indices["books"]
    assert {"added", "count"} <= set(after.mappings["properties"])
    assert after.mapping_version == before.mapping_version + 1
    await shard.refresh()
    assert ids_found(shard, "added", "text") == ["1"]


async def test_new_fields_of_many_documents_are_one_change_of_the_cluster_state(here: Node, shard: Shard) -> None:
    before = here.cluster.state.version
    outcomes = await shard.write([index(str(at), **{f"field{at % 7}": at}) for at in range(50)])
    assert all(isinstance(outcome, WriteResult) for outcome in outcomes)
    assert here.cluster.state.version == before + 1


async def test_documents_that_disagree_about_a_new_field_fail_alone(shard: Shard) -> None:
    outcomes = await shard.write([index("1", new=1), index("2", new={"inner": 1}), index("3", new=2)])
    assert isinstance(outcomes[0], WriteResult)
    assert isinstance(outcomes[1], HanseError)
    assert isinstance(outcomes[2], WriteResult)


async def test_writes_of_many_at_once_are_all_answered(shard: Shard) -> None:
    outcomes = await asyncio.gather(*(shard.write([index(f"{at}-{n}", n=n) for n in range(5)]) for at in range(40)))
    seq_nos = [result.seq_no for results in outcomes for result in results if isinstance(result, WriteResult)]
    assert sorted(seq_nos) == list(range(200))
    assert shard.store.log_position < 40, "what waits together is committed together"


async def test_a_write_whose_caller_went_away_is_still_whole(shard: Shard) -> None:
    writing = asyncio.ensure_future(shard.write([index(str(at), n=at) for at in range(500)]))
    await asyncio.sleep(0)
    writing.cancel()
    await one(shard, index("after"))
    assert shard.max_seq_no in (0, 500)
    assert all((shard.get(str(at)) is None) == (shard.max_seq_no == 0) for at in range(500))


# -- refusals


async def test_a_follower_refuses_direct_writes(here: Node, shard: Shard) -> None:
    await here.change("books", settings={"index.xpack.ccr.following_index": "true"})
    error = await failure(shard, index("1"))
    assert (error.status, error.name) == (403, "status_exception")
    assert error.reason == "a following engine does not accept operations without an assigned sequence number"


async def test_a_write_block_refuses_writes(here: Node, shard: Shard) -> None:
    await here.change("books", settings={"index.blocks.write": "true"})
    error = await failure(shard, index("1"))
    assert (error.status, error.reason) == (403, "index [books] blocked by: [FORBIDDEN/8/index write (api)];")


# -- search and restart


async def test_get_is_real_time_and_search_sees_the_last_refresh(shard: Shard) -> None:
    await one(shard, index("1", title="red fox"))
    assert shard.get("1") is not None
    assert ids_found(shard) == []
    assert shard.needs_refresh
    await shard.refresh()
    assert ids_found(shard, "title", "fox") == ["1"]
    assert not shard.needs_refresh
    await shard.write([index("1", title="blue whale"), index("2", title="fox")])
    await shard.refresh()
    assert ids_found(shard, "title", "fox") == ["2"]
    await one(shard, WriteOp("delete", "2"))
    await shard.refresh()
    assert ids_found(shard) == ["1"]


async def test_writes_become_searchable_by_themselves(here: Node) -> None:
    shard = await here.create("quick", refresh_interval="10ms")
    await one(shard, index("1", title="fox"))
    async with asyncio.timeout(10):
        while shard.needs_refresh:
            await asyncio.sleep(0.005)
    assert ids_found(shard, "title", "fox") == ["1"]


async def test_an_orderly_restart_finds_everything_searchable_without_a_replay(tmp_path: Path) -> None:
    async with node(tmp_path) as first:
        shard = await first.create(refresh_interval="-1")
        await shard.write([index(str(at), title=f"word{at}") for at in range(100)])
    async with node(tmp_path) as again:
        shard = again.indices.get("books").shards[0]
        assert not shard.feed.is_behind
        assert shard.feed.refreshes == 0
        assert len(ids_found(shard)) == 100
        assert (await one(shard, index("next"))).seq_no == 100


async def test_stats_count_what_happened(shard: Shard) -> None:
    await shard.write([index("1"), index("2"), WriteOp("delete", "1"), WriteOp("index", "3", b"nonsense")])
    shard.get("2")
    shard.get("1")
    stats = shard.stats()
    assert stats["docs"]["count"] == 1
    assert stats["docs"]["deleted"] == 1
    assert stats["indexing"]["index_total"] == 2
    assert stats["indexing"]["delete_total"] == 1
    assert stats["indexing"]["index_failed"] == 1
    assert (stats["get"]["exists_total"], stats["get"]["missing_total"]) == (1, 1)
    assert stats["seq_no"] == {"max_seq_no": 2, "local_checkpoint": 2, "global_checkpoint": 2}
    assert stats["store"]["size_in_bytes"] > 0


# -- when the disk or the log refuse


async def test_a_full_disk_fails_the_write_and_nothing_else(shard: Shard) -> None:
    await one(shard, index("1", title="a"))
    pages = shard.store._writer.pragma("page_count")
    shard.store._writer.pragma("max_page_count", pages + 1)
    outcomes = await shard.write([index(str(at), title="x" * 2000) for at in range(50)])
    assert {outcome.name for outcome in outcomes if isinstance(outcome, HanseError)} == {"shard_failed_exception"}
    assert len(outcomes) == 50
    assert shard.max_seq_no == 0
    assert shard.get("1") is not None
    shard.store._writer.pragma("max_page_count", pages + 1000)
    assert (await one(shard, index("2", title="b"))).seq_no == 1
    await shard.refresh()
    assert ids_found(shard) == ["1", "2"]


async def test_a_batch_goes_to_the_log_before_the_store_and_a_fenced_one_nowhere(here: Node, tmp_path: Path) -> None:
    await here.create()
    stream = DocumentStore(tmp_path / "stream.sqlite")
    log = EmbeddedCommitLog(stream)
    workers, tasks = Workers(), Tasks()
    shard = Shard(here.indices.get("books"), 0, tmp_path / "copy", workers, tasks, log)
    await shard.write([index("1", n=1), index("2", n=2)])
    assert [op.id for _, batch in stream.batches(0, 10) for op in batch.operations] == ["1", "2"]
    stream.append(Batch(1, [Operation(2, 1, "another primary's", 1, False, None, b"{}")]), 1)
    error = await failure(shard, index("3", n=3))
    assert error.name == "retry_on_primary_exception"
    assert shard.get("3") is None
    assert shard.max_seq_no == 1
    await shard.close()
    await log.close()
    await tasks.close()
    workers.close()
