"""The digits depend on everything that both sides rely on, and a commitment cannot be taken back."""

from __future__ import annotations

import re

import msgspec
import pytest

from hanse.security.trust.authentication_string import (
    Card,
    authentication_string,
    binding_of,
    commitment,
    is_nonce,
    is_same,
    new_nonce,
    opens,
)

BERLIN = Card("berlin", "uuid-b", "QkVSTElO", ("b:9300",))
MUNICH = Card("munich", "uuid-m", "TVVOSUNI", ("m:9300",))
SECRET = binding_of("id:secret")
B, M = "b" * 64, "a" * 64


def test_twelve_digits_in_three_groups() -> None:
    digits = authentication_string(SECRET, (BERLIN, B), (MUNICH, M))
    assert re.fullmatch(r"\d{4}-\d{4}-\d{4}", digits)
    assert digits == authentication_string(SECRET, (BERLIN, B), (MUNICH, M))


OTHERS = {
    "another secret": (binding_of("id:other"), (BERLIN, B), (MUNICH, M)),
    "another authority of the inviter": (
        SECRET,
        (msgspec.structs.replace(BERLIN, authority="RVZJTA=="), B),
        (MUNICH, M),
    ),
    "another authority of the acceptor": (
        SECRET,
        (BERLIN, B),
        (msgspec.structs.replace(MUNICH, authority="RVZJTA=="), M),
    ),
    "another name": (SECRET, (msgspec.structs.replace(BERLIN, cluster_name="evil"), B), (MUNICH, M)),
    "another uuid": (SECRET, (msgspec.structs.replace(BERLIN, cluster_uuid="evil"), B), (MUNICH, M)),
    "other seeds": (SECRET, (BERLIN, B), (msgspec.structs.replace(MUNICH, seeds=("evil:9300",)), M)),
    "a proxy": (SECRET, (BERLIN, B), (msgspec.structs.replace(MUNICH, proxy_address="evil:9400"), M)),
    "another server name": (SECRET, (BERLIN, B), (msgspec.structs.replace(MUNICH, server_name="evil"), M)),
    "another nonce of the inviter": (SECRET, (BERLIN, M), (MUNICH, M)),
    "another nonce of the acceptor": (SECRET, (BERLIN, B), (MUNICH, B)),
    "the sides changed": (SECRET, (MUNICH, M), (BERLIN, B)),
}


@pytest.mark.parametrize("parts", OTHERS.values(), ids=OTHERS)
def test_whatever_differs_gives_other_digits(parts: tuple[str, tuple[Card, str], tuple[Card, str]]) -> None:
    assert authentication_string(*parts) != authentication_string(SECRET, (BERLIN, B), (MUNICH, M))


def test_a_card_without_a_proxy_is_the_one_that_older_nodes_read() -> None:
    assert msgspec.json.decode(msgspec.json.encode(MUNICH)).keys() == {
        "cluster_name", "cluster_uuid", "authority", "seeds",
    }  # fmt: skip


def test_a_commitment_opens_with_what_it_was_made_of_and_nothing_else() -> None:
    made = commitment(SECRET, MUNICH, M)
    assert opens(made, SECRET, MUNICH, M)
    assert not opens(made, SECRET, MUNICH, B)
    assert not opens(made, SECRET, BERLIN, M)
    assert not opens(made, binding_of("id:other"), MUNICH, M)
    for nonsense in ("", "zz", "é" * 64, M[:-2]):
        assert not opens(made, SECRET, MUNICH, nonsense)
        assert not opens(nonsense, SECRET, MUNICH, M)


def test_nonces() -> None:
    first, second = new_nonce(), new_nonce()
    assert is_nonce(first)
    assert first != second
    assert not any(map(is_nonce, ("", "A" * 64, "a" * 63, "a" * 64 + "\n", "g" * 64)))


def test_how_digits_are_typed_does_not_count() -> None:
    assert is_same(" 1234 5678-9012", "1234-5678-9012")
    assert not is_same("1234-5678-9013", "1234-5678-9012")
    assert not is_same("", "1234-5678-9012")
    assert not is_same("１234-5678-9012", "1234-5678-9012")
