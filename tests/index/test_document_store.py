"""The document store against a model, under random operations, reopening and purging; and what it refuses."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hanse.cluster.log import Batch, Operation
from hanse.errors import FencedError, ShardFailedError
from hanse.index.document_store import DocumentStore

IDS = ["a", "b", "c", "d", "nul\0inside", "ünïcode"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DocumentStore]:
    made = DocumentStore(tmp_path / "documents.sqlite")
    yield made
    made.close()


def put(seq_no: int, id: str, version: int = 1, source: bytes = b"{}", routing: str | None = None) -> Operation:
    return Operation(seq_no, 1, id, version, False, routing, source)


def gone(seq_no: int, id: str, version: int = 2) -> Operation:
    return Operation(seq_no, 1, id, version, True, None, b"")


def append(store: DocumentStore, *operations: Operation) -> int:
    return store.append(Batch(1, list(operations)), store.log_position)


def everything(store: DocumentStore) -> list[Operation]:
    return store.operations(-1, store.progress.checkpoint, 10_000, 1 << 30)[0]


@dataclass
class Model:
    """What the store has to hold: the newest operation of each id."""

    heads: dict[str, Operation] = field(default_factory=dict)
    next_seq_no: int = 0

    def take(self, operation: Operation) -> None:
        current = self.heads.get(operation.id)
        if current is None or current.seq_no < operation.seq_no:
            self.heads[operation.id] = operation

    @property
    def live(self) -> dict[str, Operation]:
        return {id: op for id, op in self.heads.items() if not op.deleted}


class StoreMachine(RuleBasedStateMachine):
    """A leader and a follower that takes the feed in pieces; both are compared with the model."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.leader = DocumentStore(self.folder / "leader.sqlite")
        self.follower = DocumentStore(self.folder / "follower.sqlite")
        self.model = Model()

    @rule(
        changes=st.lists(st.tuples(st.sampled_from(IDS), st.booleans(), st.binary(max_size=20)), min_size=1, max_size=8)
    )
    def write(self, changes: list[tuple[str, bool, bytes]]) -> None:
        operations = []
        for id, deleted, source in changes:
            head = self.model.heads.get(id)
            version = 1 if head is None else head.version + 1
            body = b"" if deleted else source
            operation = Operation(self.model.next_seq_no, 1, id, version, deleted, None, body)
            self.model.next_seq_no += 1
            self.model.take(operation)
            operations.append(operation)
        append(self.leader, *operations)

    @rule(ops_max=st.integers(1, 5))
    def follow(self, ops_max: int) -> None:
        after = self.follower.progress.checkpoint
        through = self.leader.progress.checkpoint
        operations, more = self.leader.operations(after, through, ops_max, 1 << 20)
        self.follower.apply(operations, up_to=operations[-1].seq_no if more else through)

    @rule()
    def follow_twice(self) -> None:
        operations, _ = self.leader.operations(-1, self.leader.progress.checkpoint, 1000, 1 << 20)
        for _ in range(2):
            self.follower.apply(operations, up_to=self.leader.progress.checkpoint)

    @rule()
    def purge_superseded(self) -> None:
        while self.leader.purge(self.leader.progress.max_seq_no, -1):
            pass

    @rule()
    def purge_passed_tombstones(self) -> None:
        """As a lease of the follower would have it: nothing goes that it has not seen."""
        through = self.follower.progress.checkpoint
        self.leader.purge(self.leader.progress.max_seq_no, through)
        for id, op in list(self.model.heads.items()):
            if op.deleted and op.seq_no <= through:
                del self.model.heads[id]

    @rule(ops_max=st.integers(1, 5))
    def bootstrap(self, ops_max: int) -> None:
        """A new replica, fed in pieces, holds the same documents and tombstones."""
        path = self.folder / "replica.sqlite"
        replica = DocumentStore(path)
        through = self.leader.progress.checkpoint
        while replica.progress.checkpoint < through:
            operations, more = self.leader.operations(replica.progress.checkpoint, through, ops_max, 1 << 20)
            replica.apply(operations, up_to=operations[-1].seq_no if more else through)
        assert everything(replica) == everything(self.leader)
        assert replica.progress.live == self.leader.progress.live
        replica.close()
        for part in self.folder.glob("replica.sqlite*"):
            part.unlink()

    @rule()
    def reopen(self) -> None:
        for name in ("leader", "follower"):
            getattr(self, name).close()
            setattr(self, name, DocumentStore(self.folder / f"{name}.sqlite"))

    @invariant()
    def leader_is_the_model(self) -> None:
        feed = everything(self.leader)
        assert feed == sorted(self.model.heads.values(), key=lambda op: op.seq_no)
        progress = self.leader.progress
        assert progress.live == len(self.model.live)
        assert progress.tombstones == len(self.model.heads) - len(self.model.live)
        assert progress.max_seq_no == self.model.next_seq_no - 1
        for id in IDS:
            found, expected = self.leader.get(id), self.model.live.get(id)
            assert (found is None) == (expected is None)
            if found is not None and expected is not None:
                assert (found.seq_no, found.version, found.source) == (
                    expected.seq_no,
                    expected.version,
                    expected.source,
                )

    @invariant()
    def caught_up_follower_has_the_same_documents(self) -> None:
        if self.follower.progress.checkpoint < self.leader.progress.checkpoint:
            return
        live = [op for op in everything(self.follower) if not op.deleted]
        assert live == sorted(self.model.live.values(), key=lambda op: op.seq_no)
        tombstones = {op.id: op for op in everything(self.follower) if op.deleted}
        for id, op in self.model.heads.items():
            if op.deleted and id in tombstones:
                assert tombstones[id] == op

    def teardown(self) -> None:
        self.leader.close()
        self.follower.close()
        shutil.rmtree(self.folder)


StoreMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestStoreAgainstModel = StoreMachine.TestCase


def test_an_empty_replica_fed_from_the_start_holds_the_same_operations(store: DocumentStore, tmp_path: Path) -> None:
    append(store, put(0, "a"), put(1, "b"), gone(2, "a"), put(3, "c", routing="r"), put(4, "b", 2, b'{"x":1}'))
    replica = DocumentStore(tmp_path / "replica.sqlite")
    replica.apply(everything(store), up_to=store.progress.checkpoint)
    assert (
        everything(replica) == everything(store) == [gone(2, "a"), put(3, "c", routing="r"), put(4, "b", 2, b'{"x":1}')]
    )
    assert replica.progress.checkpoint == store.progress.checkpoint == 4
    replica.close()


def test_older_operations_never_win(store: DocumentStore) -> None:
    store.apply([put(7, "a", 3, b"new")])
    store.apply([put(5, "a", 2, b"old"), gone(6, "a", 2)], up_to=7)
    assert store.get("a").source == b"new"  # type: ignore[union-attr]
    assert store.progress.checkpoint == 7


def test_an_operation_below_the_checkpoint_does_not_bring_a_purged_document_back(store: DocumentStore) -> None:
    store.apply([put(0, "a"), gone(1, "a")], up_to=1)
    store.purge(1, 1)
    store.apply([put(0, "a")])
    assert store.get("a") is None
    assert everything(store) == []


def test_superseded_operations_stay_fetchable_until_they_are_purged(store: DocumentStore) -> None:
    append(store, put(0, "a", 1, b"one"))
    append(store, put(1, "a", 2, b"two"))
    assert [document.source for document in store.fetch([1, 0])] == [b"two", b"one"]
    store.purge(0, -1)
    assert store.fetch([0])[0].source == b"one"
    store.purge(1, -1)
    with pytest.raises(ShardFailedError, match="has no operation"):
        store.fetch([0])


def test_the_floor_tells_the_highest_tombstone_that_was_purged(store: DocumentStore, tmp_path: Path) -> None:
    append(store, put(0, "a"), gone(1, "a"), put(2, "b"), gone(3, "b"))
    store.purge(3, 2)
    assert store.progress.tombstone_floor == 1
    store.close()
    again = DocumentStore(tmp_path / "documents.sqlite")
    assert again.progress.tombstone_floor == 1
    assert everything(again) == [gone(3, "b")]


def test_a_byte_limit_still_yields_one_operation(store: DocumentStore) -> None:
    append(store, put(0, "a", 1, b"x" * 100), put(1, "b", 1, b"y" * 100))
    assert store.operations(-1, 1, 100, 1) == ([put(0, "a", 1, b"x" * 100)], True)


def test_a_batch_with_a_wrong_place_changes_nothing(store: DocumentStore) -> None:
    append(store, put(0, "a"))
    before = store.progress
    with pytest.raises(FencedError, match="expected last position"):
        store.append(Batch(1, [put(1, "b")]), 0)
    with pytest.raises(FencedError, match="was given before"):
        store.append(Batch(1, [put(0, "b")]), 1)
    assert store.progress == before
    assert store.get("b") is None


def test_a_file_that_is_no_database_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "documents.sqlite"
    path.write_bytes(b"this is no database, and long enough to be looked at as one" * 100)
    with pytest.raises(ShardFailedError, match=r"documents\.sqlite"):
        DocumentStore(path)


def test_the_file_is_readable_by_its_owner_alone(store: DocumentStore) -> None:
    append(store, put(0, "a"))
    for part in store.path.parent.iterdir():
        assert stat.S_IMODE(part.stat().st_mode) == 0o600


def test_many_heads_are_read_in_one_go(store: DocumentStore) -> None:
    append(store, *(put(at, f"id-{at}") for at in range(2000)))
    heads = store.heads(f"id-{at}" for at in range(1500, 2500))
    assert len(heads) == 500
    assert heads["id-1999"].seq_no == 1999
