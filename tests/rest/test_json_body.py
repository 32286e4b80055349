from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.errors import ParsingError, XContentParseError
from hanse.rest.json_body import parse_object

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_what_was_written_is_read(value: dict[str, object]) -> None:
    try:
        body = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    assert parse_object(body) == value


def test_integers_beyond_64_bits_stay_exact() -> None:
    assert parse_object(b'{"n": 123456789012345678901234567890}') == {"n": 123456789012345678901234567890}


def test_a_key_given_twice_is_refused_with_its_place() -> None:
    with pytest.raises(XContentParseError) as error:
        parse_object(b'{"a": 1,\n "a": 2}')
    assert error.value.reason == "[2:2] Duplicate field 'a'"
    with pytest.raises(XContentParseError, match="Duplicate field 'x'"):
        parse_object(b'{"deep": [{"x": 1, "x": 1}]}')


@pytest.mark.parametrize("body", [b"{", b'{"a" 1}', b'{"a": NaN}', b'{"a": "\xff"}', b'{"a": 1} x', b"[" * 5000])
def test_malformed_json_is_a_clients_error(body: bytes) -> None:
    with pytest.raises(XContentParseError) as error:
        parse_object(body)
    assert error.value.status == 400
    assert error.value.caused_by is not None
    assert error.value.caused_by.name == "json_parse_exception"


@pytest.mark.parametrize(("body", "token"), [(b"[1]", "START_ARRAY"), (b'"a"', "VALUE_STRING"), (b"7", "VALUE_NUMBER")])
def test_only_an_object_will_do(body: bytes, token: str) -> None:
    with pytest.raises(ParsingError, match=f"found \\[{token}\\]"):
        parse_object(body)
