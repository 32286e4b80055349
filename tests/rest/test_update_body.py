from __future__ import annotations

import pytest

from hanse.errors import HanseError
from hanse.index.writing import UpdateBody
from hanse.rest.update_body import parse_update


def test_documents_keep_their_bytes() -> None:
    parsed = parse_update(b'{"doc": { "a": 1.50 }, "upsert": {"n" : 10000000000000000000000}, "_source": ["a"]}')
    assert parsed.body == UpdateBody(b'{ "a": 1.50 }', b'{"n" : 10000000000000000000000}')
    assert parsed.source == ["a"]


def test_switches() -> None:
    parsed = parse_update(
        b'{"doc": {}, "doc_as_upsert": true, "detect_noop": false, "if_seq_no": 3, "if_primary_term": 1}'
    )
    assert parsed.body == UpdateBody(b"{}", None, True, False)
    assert (parsed.if_seq_no, parsed.if_primary_term) == (3, 1)
    assert parse_update(b'{"script": "x", "upsert": null}').body == UpdateBody(script=True)


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b"{", "x_content_parse_exception", "[1:"),
        (b"[]", "parsing_exception", "expecting token of type [START_OBJECT] but found [START_ARRAY]"),
        (b'{"dock": 1}', "x_content_parse_exception", "unknown field [dock] -> did you mean [doc]?"),
        (b'{"zzzzzzz": 1}', "x_content_parse_exception", "unknown field [zzzzzzz]"),
        (b'{"doc": [1]}', "x_content_parse_exception", "doc doesn't support values of type: START_ARRAY"),
        (b'{"doc": {}, "detect_noop": "x"}', "x_content_parse_exception", "detect_noop"),
    ],
)
def test_refusals(body: bytes, kind: str, text: str) -> None:
    with pytest.raises(HanseError) as error:
        parse_update(body)
    assert (error.value.name, error.value.status) == (kind, 400)
    assert text in error.value.reason
