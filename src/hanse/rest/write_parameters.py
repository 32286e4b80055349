"""What writes have in common, as URI parameters and as members of a bulk action line: versions, conditions, ids.

Tests: tests/rest/test_write_parameters.py.
"""

from __future__ import annotations

from typing import Literal, cast

from hanse.errors import IllegalArgumentError
from hanse.index.document_requests import Refresh
from hanse.index.writing import WriteOp
from hanse.rest.request import RestRequest

VersionType = Literal["internal", "external", "external_gte"]
_VERSION_TYPES: dict[str, VersionType] = {
    "internal": "internal",
    "external": "external",
    "external_gt": "external",
    "external_gte": "external_gte",
}


def version_type(text: str | None) -> VersionType:
    if text is None:
        return "internal"
    found = _VERSION_TYPES.get(text.lower())
    if found is None:
        raise IllegalArgumentError(f"No version type match [{text}]")
    return found


def refresh_policy(request: RestRequest) -> Refresh:
    """`refresh`, `refresh=true|false|wait_for`."""
    text = request.text("refresh")
    if text is None:
        return "false"
    if text not in ("", "true", "false", "wait_for"):
        raise IllegalArgumentError(f"Unknown value for refresh: [{text}].")
    return cast(Refresh, text or "true")


def active_shards(request: RestRequest) -> str | None:
    """`wait_for_active_shards`: a number of copies, or `all`; None when the request does not say."""
    text = request.text("wait_for_active_shards")
    if text is not None and text != "all" and not text.isdecimal():
        raise IllegalArgumentError(f"cannot parse ActiveShardCount[{text}]")
    return text


def check_pipeline(name: str | None) -> None:
    """There are no ingest pipelines; `_none` says that none is wanted."""
    if name is not None and name != "_none":
        raise IllegalArgumentError(f"pipeline with id [{name}] does not exist")


def write_problems(op: WriteOp) -> list[str]:
    """What Elasticsearch's validation finds wrong with a write, as sentences."""
    problems = []
    if op.op == "create":
        if op.version_type != "internal":
            problems.append("create operations only support internal versioning. use index instead")
        if op.version is not None:
            problems.append("create operations do not support explicit versions. use index instead")
        if op.if_seq_no is not None or op.if_primary_term is not None:
            problems.append("create operations do not support compare and set. use index instead")
    elif op.id is None and (op.version_type != "internal" or op.version is not None):
        problems.append("an id must be provided if version type or value are set")
    if op.op == "index" and op.id is None and op.if_seq_no is not None:
        problems.append("id is required for a CAS operation")
    return problems + _condition_problems(op) + _update_problems(op)


def _condition_problems(op: WriteOp) -> list[str]:
    problems = []
    if op.version is not None and op.version_type == "internal" and op.op != "create":
        problems.append(
            "internal versioning can not be used for optimistic concurrency control. Please use `if_seq_no` and "
            "`if_primary_term` instead"
        )
    if op.version is None and op.version_type != "internal":
        problems.append(f"illegal version value [-3] for version type [{op.version_type.upper()}]")
    if op.if_seq_no is not None and op.version is not None:
        problems.append("compare and write operations can not use versioning")
    if op.if_seq_no is not None and op.if_primary_term is None:
        problems.append(f"ifSeqNo is set to [{op.if_seq_no}], but primary term is [0]")
    if op.if_primary_term is not None and op.if_seq_no is None:
        problems.append(f"ifSeqNo is unassigned, but primary term is [{op.if_primary_term}]")
    return problems


def _update_problems(op: WriteOp) -> list[str]:
    body = op.update
    if body is None:
        return []
    problems = []
    if body.script and body.doc is not None:
        problems.append("can't provide both script and doc")
    if not body.script and body.doc is None:
        problems.append("script or doc is missing")
    if body.doc_as_upsert and body.doc is None:
        problems.append("doc must be specified if doc_as_upsert is enabled")
    if op.if_seq_no is not None and (body.upsert is not None or body.doc_as_upsert):
        problems.append("upsert requests don't support `if_seq_no` and `if_primary_term`")
    return problems
