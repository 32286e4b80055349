"""Values: ranges, coercion, rounding, addresses and points."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.errors import HanseError
from hanse.index.mapping.values import (
    INTEGER_RANGES,
    RawNumber,
    address_from_order,
    address_of,
    boolean_of,
    float_of,
    integer_of,
    plain_text,
    point_of,
    scaled_of,
)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("long", "12", 12),
        ("long", "-12.9", -12),
        ("long", 3.7, 3),
        ("long", "1e3", 1000),
        ("byte", -128, -128),
        ("long", "9223372036854775807", 2**63 - 1),
        ("unsigned_long", "42", 42),
        ("integer", "  7".strip(), 7),
    ],
)
def test_integers(kind: str, value: Any, expected: int) -> None:
    assert integer_of(kind, value) == expected


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("long", "abc", 'For input string: "abc"'),
        ("long", "", "empty String"),
        ("long", 2**63, f"Numeric value ({2**63}) out of range of long ({-(2**63)} - {2**63 - 1})"),
        ("long", "9223372036854775808", "Value [9223372036854775808] is out of range for a long"),
        ("integer", "2147483648", "Value [2147483648] is out of range for an integer"),
        ("integer", 2147483648, "Numeric value (2147483648) out of range of int (-2147483648 - 2147483647)"),
        ("byte", 128, "Value [128] is out of range for a byte"),
        ("long", True, "Current token (VALUE_TRUE) not numeric, can not use numeric value accessors"),
        ("long", {}, "Current token (START_OBJECT) not numeric, can not use numeric value accessors"),
        ("long", "1e999999999", "Value [1e999999999] is out of range for a long"),
        ("unsigned_long", -1, "Value [-1] is out of range for an unsigned long"),
    ],
)
def test_integers_refused(kind: str, value: Any, reason: str) -> None:
    with pytest.raises(HanseError) as refused:
        integer_of(kind, value)
    assert refused.value.reason == reason
    assert refused.value.status == 400


def test_without_coercion_texts_and_fractions_are_refused() -> None:
    for value in ("5", 5.5):
        with pytest.raises(HanseError):
            integer_of("integer", value, coerce=False)
    assert integer_of("integer", 5.0, coerce=False) == 5
    with pytest.raises(HanseError):
        float_of("double", "5", coerce=False)


@given(st.integers(), st.sampled_from(sorted(INTEGER_RANGES)))
def test_an_integer_is_kept_or_refused_never_changed(number: int, kind: str) -> None:
    low, high = INTEGER_RANGES[kind]
    for value in (number, str(number)):
        if low <= number <= high:
            assert integer_of(kind, value) == number
        else:
            with pytest.raises(HanseError):
                integer_of(kind, value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_are_kept_floats_rounded_as_ieee_does(number: float) -> None:
    assert float_of("double", number) == number
    assert float_of("double", repr(number)) == number
    if abs(number) < 3e38:
        assert float_of("float", number) == struct.unpack("f", struct.pack("f", number))[0]


@pytest.mark.parametrize(("kind", "value"), [("float", 1e60), ("half_float", 70000), ("double", "Infinity")])
def test_numbers_too_large_for_their_field_are_refused(kind: str, value: Any) -> None:
    with pytest.raises(HanseError, match=rf"\[{kind}\] supports only finite values, but got \[Infinity\]"):
        float_of(kind, value)


def test_scaled_floats_are_rounded_to_their_factor() -> None:
    assert scaled_of(1.006, 100) == 1.01
    assert scaled_of("2.5", 1) == 3.0
    assert scaled_of(-2.5, 1) == -2.0


def test_booleans() -> None:
    assert [boolean_of(value) for value in (True, "true", False, "false", "")] == [1, 1, 0, 0, 0]
    for value in ("yes", 1, {}, "True"):
        with pytest.raises(HanseError):
            boolean_of(value)


def test_plain_text_keeps_a_numbers_own_form() -> None:
    assert [plain_text(value) for value in (1, True, "x", RawNumber("1.10"))] == ["1", "true", "x", "1.10"]


@given(st.ip_addresses(), st.ip_addresses())
def test_addresses_sort_as_numbers(one: Any, other: Any) -> None:
    def number(address: Any) -> int:
        return int(address) if address.version == 6 else int(ipaddress.IPv6Address(f"::ffff:{address}"))

    first, second = address_of(str(one))[1], address_of(str(other))[1]
    assert (first < second) == (number(one) < number(other))
    mapped = getattr(one, "ipv4_mapped", None)
    assert ipaddress.ip_address(address_from_order(first)) == (mapped or one)


@pytest.mark.parametrize("value", ["1.2.3", "1.2.3.4.5", "1.2.3.4/8", "localhost", "::g", "", 5])
def test_what_is_no_address_is_refused(value: Any) -> None:
    with pytest.raises(HanseError, match="is not an IP string literal"):
        address_of(value)


@pytest.mark.parametrize(
    "value",
    [
        {"lat": 53.87, "lon": 10.69},
        [10.69, 53.87],
        "53.87,10.69",
        "POINT (10.69 53.87)",
        {"type": "Point", "coordinates": [10.69, 53.87]},
    ],
)
def test_points_in_all_their_forms(value: Any) -> None:
    assert point_of(value) == (53.87, 10.69)


def test_geohashes_and_wrong_points() -> None:
    latitude, longitude = point_of("u1x0esy")
    assert abs(latitude - 53.5) < 1
    assert abs(longitude - 10) < 2
    for value in ({"lat": 91, "lon": 0}, {"lat": 1}, [1], "x,y", "a!"):
        with pytest.raises(HanseError):
            point_of(value)
