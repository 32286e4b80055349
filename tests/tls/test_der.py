"""What is written reads back; what is no DER is refused, whatever the bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.tls import der


@given(st.binary(max_size=70_000))
def test_octets_come_back(content: bytes) -> None:
    read = der.read_one(der.octets(content))
    assert (read.tag, read.content) == (der.OCTET_STRING, content)


@given(st.integers(min_value=0, max_value=2**64))
def test_numbers_come_back(value: int) -> None:
    assert der.read_one(der.integer(value)).number == value


@pytest.mark.parametrize(
    ("dotted", "encoded"),
    [("1.2.840.113549.1.7.1", "06092a864886f70d010701"), ("2.5.29.37.0", "0604551d2500"), ("2.999", "0602 8837")],
)
def test_object_identifiers(dotted: str, encoded: str) -> None:
    assert der.oid(dotted) == bytes.fromhex(encoded)


def test_parts_of_a_sequence() -> None:
    whole = der.sequence(der.integer(3), der.null(), der.explicit(0, der.bmp("ä")))
    number, null, inner = der.read_one(whole).children()
    assert (number.number, null.tag, inner.children(1)[0].content) == (3, der.NULL, b"\x00\xe4")
    with pytest.raises(ValueError, match="3 parts, but 4"):
        der.read_one(whole).children(4)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert b"".join(element.raw for element in der.read_all(data)) == data


@pytest.mark.parametrize("data", ["30", "3080", "1f0100", "0405ff", "0485ffffffffff", "04820005ff"])
def test_what_is_cut_short_or_too_long_is_refused(data: str) -> None:
    with pytest.raises(ValueError):
        der.read_one(bytes.fromhex(data))
