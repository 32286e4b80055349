from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.errors import HanseError, IllegalArgumentError
from hanse.index.document_requests import BulkItem
from hanse.index.writing import UpdateBody, WriteOp
from hanse.rest.bulk_lines import BulkDefaults, ParsedItem, parse_bulk
from hanse.search.field_selection import SourceFilter

DEFAULTS = BulkDefaults("books")


def items(body: bytes, defaults: BulkDefaults = DEFAULTS) -> list[BulkItem]:
    return [parsed.item for parsed in parse_bulk(body, defaults)]


def test_the_four_actions() -> None:
    body = (
        b'{"index":{"_id":"1","_index":"other","routing":"r"}}\n{"a": 1 }\n'
        b'{"create":{}}\r\n{"b":2}\r\n'
        b'\n{"delete":{"_id":7,"if_seq_no":3,"if_primary_term":1}}\n'
        b'{"update":{"_id":"1","retry_on_conflict":3}}\n{"doc":{"a":2}}\n'
    )
    assert items(body) == [
        BulkItem("other", WriteOp("index", "1", b'{"a": 1 }', "r")),
        BulkItem("books", WriteOp("create", None, b'{"b":2}')),
        BulkItem("books", WriteOp("delete", "7", if_seq_no=3, if_primary_term=1)),
        BulkItem("books", WriteOp("update", "1", update=UpdateBody(b'{"a":2}'))),
    ]


def test_what_the_uri_says_counts_where_the_line_says_nothing() -> None:
    defaults = BulkDefaults("books", "here", True, SourceFilter(True, ("a",)))
    body = (
        b'{"index":{}}\n{}\n{"index":{"routing":"there","require_alias":false}}\n{}\n'
        b'{"update":{"_id":"1"}}\n{"doc":{}}\n{"update":{"_id":"1","_source":true}}\n{"doc":{}}\n'
    )
    first, second, third, fourth = parse_bulk(body, defaults)
    assert (first.item.op.routing, first.item.require_alias) == ("here", True)
    assert (second.item.op.routing, second.item.require_alias) == ("there", False)
    assert third.source == defaults.source
    assert fourth.source == SourceFilter()


def test_op_type_in_an_index_line() -> None:
    assert items(b'{"index":{"op_type":"create"}}\n{}\n')[0].op.op == "create"


documents = st.dictionaries(st.text(), st.integers() | st.text(), max_size=3)


@given(st.lists(st.tuples(st.sampled_from(["index", "create", "delete"]), st.text(min_size=1), documents)))
def test_lines_come_out_as_they_went_in(given_items: list[tuple[str, str, dict[str, object]]]) -> None:
    lines, wanted = [], []
    for kind, id, document in given_items:
        lines.append(json.dumps({kind: {"_id": id}}))
        source = b"" if kind == "delete" else json.dumps(document).encode()
        if kind != "delete":
            lines.append(source.decode())
        wanted.append((kind, id, source))
    body = "".join(line + "\n" for line in lines).encode() or b"\n"
    try:
        parsed = items(body)
    except IllegalArgumentError:
        assert any("\ud800" <= character <= "\udfff" for _, id, _ in given_items for character in id)
        return
    assert [(item.op.op, item.op.id, item.op.source) for item in parsed] == wanted


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'"x"', "Malformed action/metadata line [1], expected START_OBJECT but found [VALUE_STRING]"),
        (b"[]", "Malformed action/metadata line [1], expected START_OBJECT but found [START_ARRAY]"),
        (b"{}", "Malformed action/metadata line [1], expected FIELD_NAME but found [END_OBJECT]"),
        (
            b'{"x":{}}',
            "Malformed action/metadata line [1], expected one of [create, delete, index, update] but found [x]",
        ),
        (
            b'{"index":"x"}',
            "Malformed action/metadata line [1], expected START_OBJECT or END_OBJECT but found [VALUE_STRING]",
        ),
        (b'{"index":{"_type":"x"}}', "Action/metadata line [1] contains an unknown parameter [_type]"),
        (
            b'{"index":{"_id":{}}}',
            "Malformed action/metadata line [1], expected a simple value for field [_id] but found [START_OBJECT]",
        ),
        (
            b'{"index":{},"delete":{}}',
            "Malformed action/metadata line [1], expected END_OBJECT but found [FIELD_NAME]",
        ),
        (b'{"delete":{}}', "Validation Failed: 1: id is missing;"),
        (b'{"update":{}}', "Validation Failed: 1: id is missing;"),
        (
            b'{"create":{"version":1}}',
            "Validation Failed: 1: create operations do not support explicit versions. use index instead;",
        ),
    ],
)
def test_lines_that_end_the_whole_request(line: bytes, reason: str) -> None:
    with pytest.raises(HanseError) as error:
        items(line + b'\n{"doc":{}}\n')
    assert (error.value.status, error.value.reason) == (400, reason)


def test_the_line_is_named() -> None:
    with pytest.raises(IllegalArgumentError, match=r"line \[4\]"):
        items(b'{"index":{}}\n{}\n\n{"x":{}}\n')


def test_broken_json_in_an_action_line() -> None:
    with pytest.raises(IllegalArgumentError, match=r"Malformed action/metadata line \[1\]"):
        items(b'{"index":\n')


def test_the_last_line_ends_with_a_newline() -> None:
    with pytest.raises(IllegalArgumentError) as error:
        items(b'{"delete":{"_id":"1"}}')
    assert error.value.reason == "The bulk request must be terminated by a newline [\\n]"
    with pytest.raises(IllegalArgumentError, match="expected a line with the document behind it"):
        items(b'{"index":{}}\n')


def test_an_index_must_come_from_somewhere() -> None:
    with pytest.raises(HanseError, match="Validation Failed: 1: index is missing;"):
        items(b'{"index":{}}\n{}\n', BulkDefaults())


def problem(parsed: ParsedItem) -> str:
    assert parsed.item.problem is not None
    return parsed.item.problem.reason


def test_what_is_wrong_with_one_item_stays_with_it() -> None:
    body = b'{"index":{"_id":""}}\n{}\n{"index":{"pipeline":"p"}}\n{}\n{"index":{"pipeline":"_none"}}\n{}\n'
    first, second, third = parse_bulk(body, DEFAULTS)
    assert problem(first) == "if _id is specified it must not be empty"
    assert problem(second) == "pipeline with id [p] does not exist"
    assert third.item.problem is None
