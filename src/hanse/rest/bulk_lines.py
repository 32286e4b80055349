"""The lines of a bulk request: action lines are read, document lines are only cut out.

Malformed action lines end the whole request with Elasticsearch's sentences, which name the line; what is wrong with
one item only (an empty id, an unknown pipeline) becomes that item's error. Tests: tests/rest/test_bulk_lines.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from hanse.errors import ActionRequestValidationError, HanseError, IllegalArgumentError
from hanse.index.document_requests import BulkItem
from hanse.index.writing import WriteOp
from hanse.rest.json_body import token_of
from hanse.rest.source_filter import source_member
from hanse.rest.update_body import parse_update
from hanse.rest.write_parameters import check_pipeline, version_type, write_problems
from hanse.search.field_selection import SourceFilter

ACTIONS = ("create", "delete", "index", "update")


@dataclass(frozen=True, slots=True)
class BulkDefaults:
    """What the URI says for items that say nothing themselves."""

    index: str | None = None
    routing: str | None = None
    require_alias: bool = False
    source: SourceFilter | None = None


class ParsedItem(NamedTuple):
    """`source` is which part of an updated document its answer shall hold."""

    item: BulkItem
    source: SourceFilter | None


class _Meta(msgspec.Struct, forbid_unknown_fields=True):
    index: str | None = msgspec.field(name="_index", default=None)
    id: str | int | float | bool | None = msgspec.field(name="_id", default=None)
    routing: str | int | None = None
    old_routing: str | int | None = msgspec.field(name="_routing", default=None)
    version: int | None = None
    version_type: str | None = None
    if_seq_no: int | None = None
    if_primary_term: int | None = None
    retry_on_conflict: int | None = None
    pipeline: str | None = None
    require_alias: bool | None = None
    require_data_stream: bool | None = None
    op_type: str | None = None
    source: Any = msgspec.field(name="_source", default=None)
    dynamic_templates: dict[str, Any] | None = None
    list_executed_pipelines: bool | None = None


class _ActionLine(msgspec.Struct, forbid_unknown_fields=True):
    index: _Meta | msgspec.UnsetType = msgspec.UNSET
    create: _Meta | msgspec.UnsetType = msgspec.UNSET
    update: _Meta | msgspec.UnsetType = msgspec.UNSET
    delete: _Meta | msgspec.UnsetType = msgspec.UNSET


_DECODER = msgspec.json.Decoder(_ActionLine)


def parse_bulk(body: bytes, defaults: BulkDefaults) -> Iterator[ParsedItem]:
    """The items in order. Raises IllegalArgumentError or ActionRequestValidationError for the whole request."""
    if not body.endswith(b"\n"):
        raise IllegalArgumentError("The bulk request must be terminated by a newline [\\n]")
    at, line_number, size = 0, 0, len(body)
    while at < size:
        end = body.find(b"\n", at)
        line, at = body[at:end], end + 1
        line_number += 1
        if not line or line.isspace():
            continue
        kind, meta = _action(line, line_number)
        source = b""
        if kind != "delete":
            end = body.find(b"\n", at)
            if end < 0:
                raise IllegalArgumentError(
                    f"Malformed action/metadata line [{line_number}], expected a line with the document behind it"
                )
            source = body[at : end - 1 if body[end - 1] == 13 and end > at else end]
            at = end + 1
            line_number += 1
        yield _item(kind, meta, source, defaults)


def _action(line: bytes, number: int) -> tuple[str, _Meta]:
    try:
        action = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(line, number, error) from error
    meta = action.index
    if meta is not msgspec.UNSET:
        kind = "index"
    elif (meta := action.create) is not msgspec.UNSET:
        kind = "create"
    elif (meta := action.update) is not msgspec.UNSET:
        kind = "update"
    elif (meta := action.delete) is not msgspec.UNSET:
        kind = "delete"
    else:
        raise _malformed(line, number, None)
    if line.count(b"{") > 2 and _has_two_actions(action):
        raise IllegalArgumentError(
            f"Malformed action/metadata line [{number}], expected END_OBJECT but found [FIELD_NAME]"
        )
    return kind, meta


def _has_two_actions(action: _ActionLine) -> bool:
    return sum(getattr(action, name) is not msgspec.UNSET for name in ACTIONS) > 1


def _item(kind: str, meta: _Meta, source: bytes, defaults: BulkDefaults) -> ParsedItem:
    index = meta.index or defaults.index
    if not index:
        raise ActionRequestValidationError.of("index is missing")
    if meta.op_type is not None and kind == "index":
        kind = "create" if meta.op_type == "create" else "index"
    routing = meta.routing if meta.routing is not None else meta.old_routing
    op = WriteOp(
        kind,  # type: ignore[arg-type]
        None if meta.id is None else meta.id if isinstance(meta.id, str) else json.dumps(meta.id),
        source,
        defaults.routing if routing is None else str(routing),
        meta.if_seq_no,
        meta.if_primary_term,
        meta.version,
        "internal" if meta.version_type is None else version_type(meta.version_type),
    )
    shown: SourceFilter | None = None
    problem: HanseError | None = None
    if kind == "update":
        shown = defaults.source if meta.source is None else source_member(meta.source)
        parsed = parse_update(source)
        op.update, op.source = parsed.body, b""
        if parsed.source is not None:
            shown = source_member(parsed.source)
    problem = _problem(kind, op, meta)
    require_alias = defaults.require_alias if meta.require_alias is None else meta.require_alias
    return ParsedItem(BulkItem(index, op, require_alias, problem), shown)


def _problem(kind: str, op: WriteOp, meta: _Meta) -> HanseError | None:
    """What makes this item fail alone; what makes the whole request invalid is raised."""
    if kind in ("delete", "update") and op.id is None:
        raise ActionRequestValidationError.of("id is missing")
    if op.version is not None or op.if_seq_no is not None or op.if_primary_term is not None or kind == "update":
        problems = write_problems(op)
        if problems:
            raise ActionRequestValidationError.of(*problems)
    if op.id == "":
        return IllegalArgumentError("if _id is specified it must not be empty")
    if meta.pipeline is not None:
        try:
            check_pipeline(meta.pipeline)
        except HanseError as error:
            return error
    return None


def _malformed(line: bytes, number: int, error: Exception | None) -> IllegalArgumentError:
    """The sentence for an action line that the fast reader refused."""
    prefix = f"Malformed action/metadata line [{number}], "
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as broken:
        return IllegalArgumentError(f"{prefix}it is not JSON: {broken}")
    if not isinstance(value, dict):
        return IllegalArgumentError(f"{prefix}expected START_OBJECT but found [{token_of(value)}]")
    if not value:
        return IllegalArgumentError(f"{prefix}expected FIELD_NAME but found [END_OBJECT]")
    kind, meta = next(iter(value.items()))
    if kind not in ACTIONS:
        return IllegalArgumentError(f"{prefix}expected one of [{', '.join(ACTIONS)}] but found [{kind}]")
    if not isinstance(meta, dict):
        return IllegalArgumentError(f"{prefix}expected START_OBJECT or END_OBJECT but found [{token_of(meta)}]")
    known = {field.encode_name for field in msgspec.structs.fields(_Meta)}
    for key, member in meta.items():
        if key not in known:
            return IllegalArgumentError(f"Action/metadata line [{number}] contains an unknown parameter [{key}]")
        if isinstance(member, dict | list) and key not in ("_source", "dynamic_templates"):
            return IllegalArgumentError(
                f"{prefix}expected a simple value for field [{key}] but found [{token_of(member)}]"
            )
    if len(value) > 1:
        return IllegalArgumentError(f"{prefix}expected END_OBJECT but found [FIELD_NAME]")
    return IllegalArgumentError(f"{prefix}{error}")
