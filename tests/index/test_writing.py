"""The parts of a write that need no shard: merging partial documents, made ids, what travels."""

from __future__ import annotations

import msgspec
import pytest

from hanse.index.writing import UpdateBody, WriteOp, WriteResult, merged, new_id


@pytest.mark.parametrize(
    ("source", "changes", "after"),
    [
        (b'{"a":1}', b'{"b":2}', b'{"a":1,"b":2}'),
        (b'{"a":{"x":1,"y":2}}', b'{"a":{"y":3}}', b'{"a":{"x":1,"y":3}}'),
        (b'{"a":{"x":1}}', b'{"a":5}', b'{"a":5}'),
        (b'{"a":[1,2]}', b'{"a":[1]}', b'{"a":[1]}'),
        (b'{"a":1}', b'{"a":null}', b'{"a":null}'),
        (b'{"a":1}', b'{"a":1.0}', b'{"a":1.0}'),
        (b'{"a":1}', b'{"a":true}', b'{"a":true}'),
        (b'{"z":1,"a":2}', b'{"z":3}', b'{"z":3,"a":2}'),
        (b'{"n":123456789012345678901234567890}', b'{"a":1}', b'{"n":123456789012345678901234567890,"a":1}'),
    ],
)
def test_a_partial_document_is_laid_over(source: bytes, changes: bytes, after: bytes) -> None:
    assert merged(source, changes, detect_noop=True) == after


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        (b'{"a":1}', b'{"a":1}'),
        (b'{"a":1}', b"{}"),
        (b'{"a":{"x":[{"p":1,"q":2}]}}', b'{"a":{"x":[{"q":2,"p":1}]}}'),
    ],
)
def test_what_changes_nothing_is_noticed(source: bytes, changes: bytes) -> None:
    assert merged(source, changes, detect_noop=True) is None
    assert merged(source, changes, detect_noop=False) is not None


def test_made_ids_lie_close_together() -> None:
    ids = [new_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert {len(id) for id in ids} == {20}
    assert len({id[:6] for id in ids}) <= 2


def test_operations_travel() -> None:
    op = WriteOp("update", "1", routing="r", update=UpdateBody(doc=b'{"a":1}'))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(op), type=WriteOp) == op
    result = WriteResult("1", 4, 1, 2, "updated", source=b"{}")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(result), type=WriteResult) == result
