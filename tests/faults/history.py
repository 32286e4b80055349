"""What clients did to documents and what they were told, and the check that all of it can be true.

Every write carries a value that no other write has, so whoever sees a value knows who wrote it. The shard's order is
its seq_nos; time is one clock's, that of the process in which all clients ran. A write is OK (acknowledged), REFUSED
(a promise that it never takes effect) or UNKNOWN (no answer: it may take effect at any time after it was sent, or
never).
Copies as they lie on disk afterwards are compared in copies.py. Tests: tests/faults/test_history.py.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

import msgspec


class Outcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    INDEX = "index"
    CREATE = "create"
    DELETE = "delete"
    GET = "get"
    """Realtime, by id; one that found nothing has no seq_no."""
    HIT = "hit"
    """A document in a search's answer, which may be old, but not invented."""


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One operation on one document (an item of a bulk is one). Times in seconds of one monotonic clock.

    `expected`: seq_no and primary term of a compare-and-set. `value`: what was written or seen, None for a delete.
    `note`: status and type of what was answered, for people.
    """

    kind: Kind
    id: str
    invoked: float
    completed: float
    outcome: Outcome
    node: str = ""
    value: int | None = None
    expected: tuple[int, int] | None = None
    seq_no: int | None = None
    term: int | None = None
    version: int | None = None
    note: str = ""

    @property
    def is_write(self) -> bool:
        return self.kind in (Kind.INDEX, Kind.CREATE, Kind.DELETE)

    @property
    def number(self) -> int:
        assert self.seq_no is not None, self
        return self.seq_no


class Head(NamedTuple):
    """The newest operation of an id that a copy holds; `value` is None for a tombstone."""

    seq_no: int
    term: int
    version: int
    value: int | None


class Finding(NamedTuple):
    """Something that must not be. `what` is one of the phrases below, `details` says where."""

    what: str
    details: str


LOST = "an acknowledged write is lost"
DOUBLE_CAS = "a compare-and-set succeeded twice on the same operation"
BLIND_CAS = "a compare-and-set succeeded over a newer write"
BLIND_CREATE = "a create succeeded over a document"
TWO_FOR_ONE = "one seq_no stands for two operations"
TWICE = "a write took effect twice"
REFUSED_APPLIED = "a refused write took effect"
INVENTED = "a value that nobody wrote"
FORETOLD = "a value was seen before it was written"
STALE = "a stale read"
WENT_BACK = "a read saw less than one before it"
PAST = "a write was ordered before one that had been acknowledged when it began"
TERM_FELL = "a primary term fell"
VERSION_FELL = "a version did not rise"
UNASKED_DELETE = "a document was deleted that nobody deleted"


def check(
    events: Sequence[Event], final: dict[str, Head], shard_of: Callable[[str], object] = lambda _: 0
) -> list[Finding]:
    """Everything that is wrong with a history. `final`: what the shards hold at its end, without ids never written."""
    writes = [event for event in events if event.is_write]
    acknowledged = [write for write in writes if write.outcome is Outcome.OK]
    return [
        *_numbers(events, final, shard_of),
        *_orders(acknowledged, shard_of),
        *_effects(events, final),
        *(finding for document in _by_id(writes).values() for finding in _document(document)),
        *_reads(events),
        *_lost(writes, final),
    ]


def _by_id(events: Iterable[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        found[event.id].append(event)
    return found


def _acknowledged(writes: Iterable[Event]) -> list[Event]:
    """In the shard's order."""
    return sorted((write for write in writes if write.outcome is Outcome.OK), key=lambda write: write.number)


def _numbers(events: Iterable[Event], final: dict[str, Head], shard_of: Callable[[str], object]) -> Iterator[Finding]:
    """Whoever mentions a seq_no of a shard means the same operation, and no two writes were given the same."""
    meanings: dict[tuple[object, int], tuple[str, int | None]] = {}
    given: set[tuple[object, int]] = set()

    def mention(id: str, seq_no: int, value: int | None, by: object) -> Iterator[Finding]:
        meaning = meanings.setdefault((shard_of(id), seq_no), (id, value))
        if meaning != (id, value):
            yield Finding(TWO_FOR_ONE, f"seq_no {seq_no} of shard {shard_of(id)} is {meaning} elsewhere, but {by}")

    for event in events:
        if event.outcome is Outcome.OK and event.seq_no is not None:
            yield from mention(event.id, event.seq_no, event.value, event)
            place = (shard_of(event.id), event.seq_no)
            if event.is_write and place in given:
                yield Finding(TWO_FOR_ONE, f"two writes were acknowledged with it: {event}")
            if event.is_write:
                given.add(place)
    for id, head in final.items():
        yield from mention(id, head.seq_no, head.value, f"{head} of [{id}] at the end")


def _orders(acknowledged: Iterable[Event], shard_of: Callable[[str], object]) -> Iterator[Finding]:
    """A shard's order agrees with time and with the terms of its primaries."""
    shards: dict[object, list[Event]] = defaultdict(list)
    for write in acknowledged:
        shards[shard_of(write.id)].append(write)
    for writes in shards.values():
        writes.sort(key=lambda write: write.number)
        for before, after in pairwise(writes):
            if (before.term or 0) > (after.term or 0):
                yield Finding(TERM_FELL, f"{before}, then {after}")
        earliest = writes[-1]
        for write in reversed(writes):
            if earliest.completed < write.invoked:
                yield Finding(PAST, f"{write} against {earliest}")
            earliest = min(earliest, write, key=lambda each: each.completed)


def _effects(events: Sequence[Event], final: dict[str, Head]) -> Iterator[Finding]:
    """Every value that is seen or left was sent by somebody, earlier, and not refused; and it has one seq_no."""
    writers = {event.value: event for event in events if event.is_write and event.value is not None}
    seen = [
        (event.id, event.value, event.seq_no, event.completed, str(event))
        for event in events
        if not event.is_write and event.outcome is Outcome.OK and event.value is not None
    ]
    left = [(id, head.value, head.seq_no, float("inf"), f"[{id}] ends as {head}") for id, head in final.items()]
    for id, value, seq_no, when, what in seen + left:
        if value is None:
            continue
        writer = writers.get(value)
        if writer is None or writer.id != id:
            yield Finding(INVENTED, what)
        elif writer.outcome is Outcome.REFUSED:
            yield Finding(REFUSED_APPLIED, f"{writer}; {what}")
        elif writer.invoked > when:
            yield Finding(FORETOLD, f"{writer}; {what}")
        elif writer.outcome is Outcome.OK and writer.seq_no != seq_no:
            yield Finding(TWICE, f"{writer}; {what}")


def _document(writes: Sequence[Event]) -> Iterator[Finding]:
    """The acknowledged writes of one id, each against the one before it."""
    deletes = [write for write in writes if write.kind is Kind.DELETE and write.outcome is Outcome.UNKNOWN]
    in_order = _acknowledged(writes)
    bases: dict[tuple[int, int], Event] = {}
    for write in in_order:
        if write.expected is not None:
            first = bases.setdefault(write.expected, write)
            if first is not write:
                yield Finding(DOUBLE_CAS, f"{first} and {write}")
    for before, after in pairwise(in_order):
        was_there = before.kind is not Kind.DELETE and not any(each.invoked < after.completed for each in deletes)
        if after.expected is not None and after.expected[0] < before.number and after.expected != before.expected:
            yield Finding(BLIND_CAS, f"{after} over {before}")
        if after.kind is Kind.CREATE and was_there:
            yield Finding(BLIND_CREATE, f"{after} over {before}")
        if was_there and (after.version or 0) <= (before.version or 0):
            yield Finding(VERSION_FELL, f"{before}, then {after}")


def _reads(events: Iterable[Event]) -> Iterator[Finding]:
    """A realtime get shows what had been acknowledged before it began, or something newer."""
    for document in _by_id(events).values():
        writes = [event for event in document if event.is_write]
        gets = [event for event in document if event.kind is Kind.GET and event.outcome is Outcome.OK]
        known = _Newest(write for write in writes if write.outcome is Outcome.OK)
        read = _Newest(get for get in gets if get.seq_no is not None)
        for get in gets:
            newest, seen = known.before(get.invoked), read.before(get.invoked)
            if get.seq_no is None:
                if newest is not None and newest.kind is not Kind.DELETE and not _deleted(writes, newest, get):
                    yield Finding(STALE, f"{get} misses {newest}")
            elif newest is not None and get.seq_no < newest.number:
                yield Finding(STALE, f"{get} misses {newest}")
            elif seen is not None and get.seq_no < seen.number:
                yield Finding(WENT_BACK, f"{get} after {seen}")


class _Newest:
    """The event with the highest seq_no among those that were complete at a time."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._times: list[float] = []
        self._newest: list[Event] = []
        for event in sorted(events, key=lambda each: each.completed):
            last = self._newest[-1] if self._newest else event
            self._times.append(event.completed)
            self._newest.append(max(last, event, key=lambda each: each.number))

    def before(self, time: float) -> Event | None:
        at = bisect_left(self._times, time)
        return self._newest[at - 1] if at else None


def _deleted(writes: Iterable[Event], write: Event, get: Event) -> bool:
    """Whether a delete may have taken effect between `write` and the end of `get`."""
    return any(
        each.kind is Kind.DELETE
        and each.invoked < get.completed
        and (each.outcome is Outcome.UNKNOWN or (each.outcome is Outcome.OK and each.number > write.number))
        for each in writes
    )


def _lost(writes: Iterable[Event], final: dict[str, Head]) -> Iterator[Finding]:
    """What a document ends as is its last acknowledged write, or an unknown one after that."""
    for id, document in _by_id(writes).items():
        in_order = _acknowledged(document)
        if not in_order:
            continue
        last, head = in_order[-1], final.get(id)
        may_be_deleted = any(each.kind is Kind.DELETE and each.outcome is Outcome.UNKNOWN for each in document)
        if head is None:
            # Tombstones are purged after a while.
            if last.kind is not Kind.DELETE and not may_be_deleted:
                yield Finding(LOST, f"{last}; the document is gone")
        elif head.seq_no < last.number:
            yield Finding(LOST, f"{last}; it ends as {head}")
        elif head.seq_no == last.number:
            if (head.term, head.version) != (last.term, last.version):
                yield Finding(TWO_FOR_ONE, f"{last}; it ends as {head}")
        elif head.value is None and not may_be_deleted:
            yield Finding(UNASKED_DELETE, f"{last}; it ends as {head}")
