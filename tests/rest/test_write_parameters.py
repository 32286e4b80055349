from __future__ import annotations

from typing import Any

import pytest

from hanse.errors import IllegalArgumentError
from hanse.index.writing import UpdateBody, WriteOp
from hanse.rest.write_parameters import check_pipeline, version_type, write_problems


def op(kind: Any = "index", id: str | None = "1", **members: Any) -> WriteOp:
    return WriteOp(kind, id, **members)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (op("create", version=1), "create operations do not support explicit versions. use index instead"),
        (
            op("create", version=1, version_type="external"),
            "create operations only support internal versioning. use index instead",
        ),
        (op("create", if_seq_no=1, if_primary_term=1), "create operations do not support compare and set"),
        (op(id=None, version=1, version_type="external"), "an id must be provided if version type or value are set"),
        (op(version=1), "internal versioning can not be used for optimistic concurrency control"),
        (op(version_type="external"), "illegal version value [-3] for version type [EXTERNAL]"),
        (op(if_seq_no=1), "ifSeqNo is set to [1], but primary term is [0]"),
        (op(if_primary_term=1), "ifSeqNo is unassigned, but primary term is [1]"),
        (
            op(if_seq_no=1, if_primary_term=1, version=1, version_type="external"),
            "compare and write operations can not use versioning",
        ),
        (op("update", update=UpdateBody()), "script or doc is missing"),
        (op("update", update=UpdateBody(doc=b"{}", script=True)), "can't provide both script and doc"),
        (
            op("update", update=UpdateBody(script=True, doc_as_upsert=True)),
            "doc must be specified if doc_as_upsert is enabled",
        ),
        (
            op("update", if_seq_no=1, if_primary_term=1, update=UpdateBody(doc=b"{}", upsert=b"{}")),
            "upsert requests don't support `if_seq_no` and `if_primary_term`",
        ),
    ],
)
def test_problems(asked: WriteOp, problem: str) -> None:
    assert any(found.startswith(problem) for found in write_problems(asked))


@pytest.mark.parametrize(
    "asked",
    [
        op(),
        op(id=None),
        op("create", id=None),
        op("delete"),
        op(if_seq_no=0, if_primary_term=1),
        op(version=1, version_type="external_gte"),
        op("update", update=UpdateBody(doc=b"{}", doc_as_upsert=True)),
    ],
)
def test_no_problems(asked: WriteOp) -> None:
    assert write_problems(asked) == []


def test_version_types() -> None:
    assert [version_type(text) for text in (None, "internal", "external_gt", "EXTERNAL_GTE")] == [
        "internal",
        "internal",
        "external",
        "external_gte",
    ]
    with pytest.raises(IllegalArgumentError):
        version_type("force")


def test_pipelines() -> None:
    check_pipeline(None)
    check_pipeline("_none")
    with pytest.raises(IllegalArgumentError):
        check_pipeline("mine")
