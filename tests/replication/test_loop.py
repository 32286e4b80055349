"""Transcripts of the follower loop: what happened on the left, what it wants done on the right."""

from hypothesis import given
from hypothesis import strategies as st

from hanse.cluster.log import Operation
from hanse.errors import ConnectTransportError, IllegalArgumentError, IndexNotFoundError, SecurityError
from hanse.replication.loop import Activity, Apply, FollowerLoop, Halt, KeepFloor, Read, Sync, Versions, Wait
from hanse.replication.parameters import FollowParameters
from hanse.replication.requests import ShardChangesAnswer

ONE = Versions(1, 1, 1)


def operation(seq_no: int) -> Operation:
    return Operation(seq_no, 1, f"id{seq_no}", 1, False, None, b"{}")


def answer(*seq_nos: int, up_to: int | None = None, versions: Versions = ONE, **more: object) -> ShardChangesAnswer:
    last = up_to if up_to is not None else max(seq_nos, default=-1)
    return ShardChangesAnswer(
        operations=[operation(n) for n in seq_nos],
        up_to=last,
        max_seq_no=last,
        mapping_version=versions.mapping,
        settings_version=versions.settings,
        aliases_version=versions.aliases,
        **more,  # type: ignore[arg-type]
    )


def loop(checkpoint: int = -1, **parameters: int) -> FollowerLoop:
    return FollowerLoop(FollowParameters(**parameters), checkpoint, ONE, random_s=lambda most: most)  # type: ignore[arg-type]


def test_it_reads_ahead_while_it_applies() -> None:
    follow = loop()
    assert follow.start() == [Read(-1)]
    assert follow.changes_arrived(answer(0, 1)) == [Apply([operation(0), operation(1)], 1), Read(1)]
    assert follow.changes_arrived(answer(2)) == [Read(2)]
    assert follow.applied() == [Apply([operation(2)], 2)]
    assert follow.applied() == []
    assert follow.checkpoint == 2


def test_an_empty_poll_is_asked_again() -> None:
    follow = loop(5)
    follow.start()
    assert follow.changes_arrived(answer(up_to=5)) == [Read(5)]


def test_metadata_comes_before_the_operations_that_need_it() -> None:
    follow = loop()
    follow.start()
    newer = Versions(2, 1, 1)
    assert follow.changes_arrived(answer(0, versions=newer)) == [Sync(newer), Read(0)]
    assert follow.metadata_synced(newer) == [Apply([operation(0)], 0)]


def test_metadata_alone_is_followed_too() -> None:
    follow = loop(3)
    follow.start()
    newer = Versions(1, 1, 2)
    assert follow.changes_arrived(answer(up_to=3, versions=newer)) == [Sync(newer), Read(3)]


def test_a_lost_connection_waits_longer_each_time_up_to_the_limit() -> None:
    follow = loop()
    follow.start()
    delays = []
    for _ in range(6):
        (wait,) = follow.failed(Activity.READ, ConnectTransportError("gone"))
        assert isinstance(wait, Wait)
        delays.append(wait.delay_s)
        assert follow.wait_over(Activity.READ) == [Read(-1)]
    assert delays[:3] == [0.05, 0.15000000000000002, 0.35000000000000003]
    assert delays[-1] == 0.5


def test_rights_taken_away_are_retried_for_ever() -> None:
    follow = loop()
    follow.start()
    for _ in range(100):
        assert isinstance(follow.failed(Activity.READ, SecurityError("no"))[0], Wait)
        follow.wait_over(Activity.READ)
    assert follow.halted is None


def test_a_success_forgets_the_failures() -> None:
    follow = loop()
    follow.start()
    follow.failed(Activity.READ, ConnectTransportError("gone"))
    follow.wait_over(Activity.READ)
    follow.changes_arrived(answer(0))
    assert follow.failures == {}


def test_a_deleted_leader_halts_it() -> None:
    follow = loop()
    follow.start()
    error = IndexNotFoundError.of("leader")
    assert follow.failed(Activity.READ, error) == [Halt(error)]
    assert follow.wait_over(Activity.READ) == []


def test_a_document_that_cannot_be_applied_halts_it_without_moving_the_checkpoint() -> None:
    follow = loop()
    follow.start()
    follow.changes_arrived(answer(0))
    follow.failed(Activity.APPLY, IllegalArgumentError("bad"))
    assert follow.checkpoint == -1
    assert follow.halted is not None


def test_lost_history_says_what_is_missing() -> None:
    follow = loop(7)
    follow.start()
    (halt,) = follow.changes_arrived(answer(up_to=9, lost=True, tombstone_floor=9))
    assert isinstance(halt, Halt)
    assert halt.error.metadata["requested_operations_missing"] == ["8", "9"]
    assert halt.error.name == "resource_not_found_exception"


def test_a_new_copy_keeps_the_floor_of_its_first_answer() -> None:
    follow = loop()
    follow.start()
    commands = follow.changes_arrived(answer(12, tombstone_floor=10))
    assert commands[0] == KeepFloor(10)
    assert follow.floor == 10


def test_a_full_buffer_stops_the_reading() -> None:
    follow = loop(max_write_buffer_count=2)
    follow.start()
    follow.changes_arrived(answer(0))
    assert follow.changes_arrived(answer(1)) == []
    assert follow.applied() == [Apply([operation(1)], 1), Read(1)]


@given(st.lists(st.sampled_from(["arrive", "apply", "fail", "sync"]), max_size=60), st.data())
def test_the_checkpoint_never_goes_back_and_every_operation_is_applied_once(
    events: list[str], data: st.DataObject
) -> None:
    follow = loop()
    applied: list[int] = []
    next_seq_no = 0
    pending: list[object] = list(follow.start())
    for event in events:
        reads = [c for c in pending if isinstance(c, Read)]
        applies = [c for c in pending if isinstance(c, Apply)]
        syncs = [c for c in pending if isinstance(c, Sync)]
        waits = [c for c in pending if isinstance(c, Wait)]
        before = follow.checkpoint
        if event == "arrive" and reads:
            pending.remove(reads[0])
            assert reads[0].after == next_seq_no - 1
            count = data.draw(st.integers(0, 3))
            versions = Versions(1 + next_seq_no // 5, 1, 1)
            seq_nos = tuple(range(next_seq_no, next_seq_no + count))
            next_seq_no += count
            pending += follow.changes_arrived(answer(*seq_nos, up_to=next_seq_no - 1, versions=versions))
        elif event == "apply" and applies:
            pending.remove(applies[0])
            applied += [op.seq_no for op in applies[0].operations]
            pending += follow.applied()
        elif event == "sync" and syncs:
            pending.remove(syncs[0])
            pending += follow.metadata_synced(syncs[0].wanted)
        elif event == "fail" and reads:
            pending.remove(reads[0])
            pending += follow.failed(Activity.READ, ConnectTransportError("gone"))
        for wait in waits:
            if wait in pending:
                pending.remove(wait)
                pending += follow.wait_over(wait.activity)
        assert follow.checkpoint >= before
    assert applied == list(range(len(applied)))
