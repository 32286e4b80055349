"""The checker against histories made by hand, by chance, and by chance with one thing broken."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults import history
from tests.faults.history import Event, Finding, Head, Kind, Outcome, check

INDEX, CREATE, DELETE, GET = Kind.INDEX, Kind.CREATE, Kind.DELETE, Kind.GET


def write(at: float, seq_no: int | None, value: int | None, kind: Kind = INDEX, **more: Any) -> Event:
    """Acknowledged half a second after it began; `seq_no` None: the answer is unknown."""
    event: dict[str, Any] = {"kind": kind, "outcome": Outcome.OK, "term": 1, "version": (seq_no or 0) + 1}
    if seq_no is None:
        event = {"kind": kind, "outcome": Outcome.UNKNOWN}
    return Event(**{"id": "a", "invoked": at, "completed": at + 0.5, "value": value, "seq_no": seq_no} | event | more)


def get(at: float, seq_no: int | None, value: int | None, **more: Any) -> Event:
    event: dict[str, Any] = {
        "kind": GET,
        "id": "a",
        "invoked": at,
        "completed": at + 0.5,
        "value": value,
        "seq_no": seq_no,
        "outcome": Outcome.OK,
    }
    return Event(**event | more)


def ends(seq_no: int, value: int | None, **more: Any) -> dict[str, Head]:
    head: dict[str, Any] = {"seq_no": seq_no, "term": 1, "version": seq_no + 1, "value": value}
    return {"a": Head(**head | more)}


def phrases(events: Sequence[Event], final: dict[str, Head]) -> list[str]:
    return [finding.what for finding in check(events, final)]


GOOD = {
    "a write": ([write(1, 0, 10)], ends(0, 10)),
    "a write over another": ([write(1, 0, 10), write(2, 1, 11)], ends(1, 11)),
    "concurrent writes, ordered against their starts": (
        [write(1, 1, 10, completed=5), write(2, 0, 11, completed=5)],
        ends(1, 10),
    ),
    "an unknown write that took effect last": ([write(1, 0, 10), write(2, None, 11)], ends(1, 11)),
    "an unknown write that took effect long after": (
        [write(1, None, 10), write(2, 0, 11), write(9, 1, 12)],
        ends(2, 10),
    ),
    "an unknown write that never took effect": ([write(1, 0, 10), write(2, None, 11)], ends(0, 10)),
    "an unknown delete": ([write(1, 0, 10), write(2, None, None, DELETE)], {}),
    "an unknown delete that left a tombstone": ([write(1, 0, 10), write(2, None, None, DELETE)], ends(1, None)),
    "a delete whose tombstone is purged": ([write(1, 0, 10), write(2, 1, None, DELETE)], {}),
    "a refused write": ([write(1, 0, 10), write(2, None, 11, outcome=Outcome.REFUSED)], ends(0, 10)),
    "compare-and-sets in a row": (
        [write(1, 0, 10), write(2, 1, 11, expected=(0, 1)), write(3, 2, 12, expected=(1, 1))],
        ends(2, 12),
    ),
    "a create after a delete": (
        [write(1, 0, 10), write(2, 1, None, DELETE), write(3, 2, 12, CREATE)],
        ends(2, 12),
    ),
    "a create after an unknown delete": (
        [write(1, 0, 10), write(2, None, None, DELETE), write(3, 2, 12, CREATE)],
        ends(2, 12),
    ),
    "a read of a write that is under way": (
        [write(1, 0, 10), write(2, 1, 11, completed=9), get(3, 1, 11)],
        ends(1, 11),
    ),
    "a read that misses what is under way": (
        [write(1, 0, 10), write(2, 1, 11, completed=9), get(3, 0, 10)],
        ends(1, 11),
    ),
    "a read before the first write": ([get(1, None, None), write(2, 0, 10)], ends(0, 10)),
    "a read after a delete": ([write(1, 0, 10), write(2, 1, None, DELETE), get(3, None, None)], {}),
    "a read after an unknown delete": ([write(1, 0, 10), write(2, None, None, DELETE), get(3, None, None)], {}),
    "an old hit of a search": ([write(1, 0, 10), write(2, 1, 11), get(3, 0, 10, kind=Kind.HIT)], ends(1, 11)),
    "two documents": ([write(1, 0, 10), write(1, 1, 11, id="b")], ends(0, 10) | {"b": Head(1, 1, 2, 11)}),
}

BAD = {
    "the document is gone": ([write(1, 0, 10)], {}, history.LOST),
    "an older operation came back": ([write(1, 0, 10), write(2, 1, 11)], ends(0, 10), history.LOST),
    "an acknowledged delete is gone": ([write(1, 0, 10), write(2, 1, None, DELETE)], ends(0, 10), history.LOST),
    "another write has its number": (
        [write(1, 0, 10), write(2, None, 11)],
        ends(0, 11),
        history.TWO_FOR_ONE,
    ),
    "another term at its number": ([write(1, 0, 10)], ends(0, 10, term=2), history.TWO_FOR_ONE),
    "two acknowledgements with one number": (
        [write(1, 0, 10, completed=5), write(2, 0, None, DELETE, id="b")],
        ends(0, 10),
        history.TWO_FOR_ONE,
    ),
    "two deletes with one number": (
        [write(1, 0, None, DELETE, completed=5), write(2, 0, None, DELETE)],
        {},
        history.TWO_FOR_ONE,
    ),
    "a read of an operation that was replaced": (
        [write(1, None, 10), get(2, 0, 10), write(3, 0, 11)],
        ends(0, 11),
        history.TWO_FOR_ONE,
    ),
    "two compare-and-sets on one operation": (
        [write(1, 0, 10), write(2, 1, 11, expected=(0, 1)), write(3, 2, 12, expected=(0, 1))],
        ends(2, 12),
        history.DOUBLE_CAS,
    ),
    "the same with a write between": (
        [write(1, 0, 9), write(2, 1, 10, expected=(0, 1)), write(3, 2, 11), write(4, 3, 12, expected=(0, 1))],
        ends(3, 12),
        history.DOUBLE_CAS,
    ),
    "a compare-and-set over a newer write": (
        [write(1, 0, 10), write(2, 1, 11), write(3, 2, 12, expected=(0, 1))],
        ends(2, 12),
        history.BLIND_CAS,
    ),
    "a create over a document": ([write(1, 0, 10), write(2, 1, 11, CREATE)], ends(1, 11), history.BLIND_CREATE),
    "two creates": ([write(1, 0, 10, CREATE), write(2, 1, 11, CREATE)], ends(1, 11), history.BLIND_CREATE),
    "a write applied again": (
        [write(1, 0, 10), write(2, 1, 11)],
        ends(2, 10),
        history.TWICE,
    ),
    "a refused write is there": (
        [write(1, 0, 10), write(2, None, 11, outcome=Outcome.REFUSED)],
        ends(1, 11),
        history.REFUSED_APPLIED,
    ),
    "a refused write is read": (
        [write(1, 0, 10), write(2, None, 11, outcome=Outcome.REFUSED), get(3, 1, 11)],
        ends(0, 10),
        history.REFUSED_APPLIED,
    ),
    "an invented value": ([write(1, 0, 10), get(2, 1, 77)], ends(0, 10), history.INVENTED),
    "another document's value": (
        [write(1, 0, 10), write(1, 1, 11, id="b"), get(2, 2, 11)],
        ends(0, 10) | {"b": Head(1, 1, 2, 11)},
        history.INVENTED,
    ),
    "an invented hit": ([write(1, 0, 10), get(2, 1, 77, kind=Kind.HIT)], ends(0, 10), history.INVENTED),
    "a value before its time": ([write(1, 0, 10), get(2, 1, 11), write(3, 1, 11)], ends(1, 11), history.FORETOLD),
    "a stale read": ([write(1, 0, 10), write(2, 1, 11), get(3, 0, 10)], ends(1, 11), history.STALE),
    "a read that finds nothing": ([write(1, 0, 10), get(3, None, None)], ends(0, 10), history.STALE),
    "a read of what was deleted": (
        [write(1, 0, 10), write(2, 1, None, DELETE), get(3, 0, 10)],
        {},
        history.STALE,
    ),
    "a read that goes back": (
        [write(1, 0, 10), write(2, 1, 11, completed=9), get(3, 1, 11), get(4, 0, 10)],
        ends(1, 11),
        history.WENT_BACK,
    ),
    "a write into the past": ([write(1, 1, 10), write(2, 0, 11)], ends(1, 10), history.PAST),
    "a term that falls": ([write(1, 0, 10, term=3), write(2, 1, 11, term=2)], ends(1, 11, term=2), history.TERM_FELL),
    "a version that stays": (
        [write(1, 0, 10), write(2, 1, 11, version=1)],
        ends(1, 11, version=1),
        history.VERSION_FELL,
    ),
    "a delete that nobody sent": ([write(1, 0, 10)], ends(1, None), history.UNASKED_DELETE),
}


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_found_in_a_good_history(name: str) -> None:
    events, final = GOOD[name]
    assert check(events, final) == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_found_out(name: str) -> None:
    events, final, expected = BAD[name]
    assert expected in phrases(events, final)


def test_shards_number_for_themselves() -> None:
    events = [write(1, 0, 10), write(2, 0, 11, id="b")]
    final = ends(0, 10) | {"b": Head(0, 1, 1, 11)}
    assert check(events, final, shard_of=lambda id: id) == []
    assert set(phrases(events, final)) == {history.TWO_FOR_ONE}


class Honest:
    """A store that does everything right, driven by chance: each operation takes effect while it is under way."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.heads: dict[str, Head] = {}
        self.events: list[Event] = []
        self.seq_no = 0

    def step(self, now: float) -> None:
        """One operation takes effect at `now`; when it began and was answered is up to chance."""
        chance = self.chance
        id, kind = chance.choice("abc"), chance.choice((INDEX, INDEX, CREATE, DELETE, GET))
        invoked, completed = now - chance.random() * 5, now + chance.random() * 5
        head = self.heads.get(id)
        if kind is GET:
            live = head is not None and head.value is not None
            self._tell(GET, id, invoked, completed, head if live else None, value=head.value if head and live else None)
            return
        number = len(self.events) + 1000
        expected = None
        if kind is not CREATE and head is not None and chance.random() < 0.5:
            expected = (head.seq_no - chance.choice((0, 0, 1)), head.term)
        conflict = (kind is CREATE and head is not None and head.value is not None) or (
            expected is not None and head is not None and expected[0] != head.seq_no
        )
        value = None if kind is DELETE else number
        if conflict:
            self._tell(kind, id, invoked, completed, None, value=value, expected=expected, outcome=Outcome.REFUSED)
            return
        if chance.random() < 0.2:
            self._tell(kind, id, invoked, completed, None, value=value, expected=expected, outcome=Outcome.UNKNOWN)
            if chance.random() < 0.5:
                self._apply(id, value)
            return
        self._tell(kind, id, invoked, completed, self._apply(id, value), value=value, expected=expected)

    def _apply(self, id: str, value: int | None) -> Head:
        before = self.heads.get(id)
        self.heads[id] = Head(self.seq_no, 1, (before.version if before else 0) + 1, value)
        self.seq_no += 1
        return self.heads[id]

    def _tell(self, kind: Kind, id: str, invoked: float, completed: float, head: Head | None, **more: Any) -> None:
        numbers = {} if head is None else {"seq_no": head.seq_no, "term": head.term, "version": head.version}
        event: dict[str, Any] = {
            "kind": kind,
            "id": id,
            "invoked": invoked,
            "completed": completed,
            "outcome": Outcome.OK,
        }
        self.events.append(Event(**event | numbers | more))


def honest(seed: int, steps: int) -> Honest:
    made = Honest(random.Random(seed))
    for at in range(steps):
        made.step(float(at))
    return made


@given(st.integers(0, 2**32), st.integers(0, 120))
def test_an_honest_store_is_never_accused(seed: int, steps: int) -> None:
    made = honest(seed, steps)
    assert check(made.events, made.heads) == []


@given(st.integers(0, 2**32), st.sampled_from("abc"))
def test_a_store_that_forgets_its_last_acknowledged_write_is_found_out(seed: int, id: str) -> None:
    made = honest(seed, 120)
    writes = [event for event in made.events if event.id == id and event.is_write and event.outcome is Outcome.OK]
    last = max(writes, key=lambda event: event.number)
    final = dict(made.heads)
    if last.kind is DELETE:
        return  # without its tombstone it looks the same
    if any(event.outcome is Outcome.UNKNOWN and event.id == id and event.kind is DELETE for event in made.events):
        final[id] = Head(last.number - 1, 1, 1, None)
    else:
        del final[id]
    assert history.LOST in phrases(made.events, final)


@given(st.integers(0, 2**32))
def test_a_read_of_an_overwritten_value_is_found_out(seed: int) -> None:
    made = honest(seed, 60)
    for at, id in enumerate("abc", 10):
        first, now = made.seq_no, 10 * at
        made.events += [
            write(now, first, 2 * at, id=id, version=1000),
            write(now + 1, first + 1, 2 * at + 1, id=id, version=1001),
            get(now + 2, first, 2 * at, id=id),
        ]
        made.heads[id] = Head(first + 1, 1, 1001, 2 * at + 1)
        made.seq_no += 2
    assert phrases(made.events, made.heads) == [history.STALE] * 3


def test_a_history_survives_being_written_down() -> None:
    events = honest(1, 50).events
    assert msgspec.json.decode(msgspec.json.encode(events), type=list[Event]) == events
    assert check([], {}) == []
    assert isinstance(check([write(1, 0, 10)], {})[0], Finding)
