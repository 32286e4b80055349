from __future__ import annotations

import pytest

from hanse.errors import IllegalArgumentError
from hanse.transport.identities import REMEMBERED_MAX, decode_identity, encode_identity
from hanse.transport.identity import SYSTEM, Identity, RealmRef

ALICE = Identity("alice", ("reader",), RealmRef("native1", "native", "node-1"), metadata={"team": ["a", 1]})


def test_an_identity_survives_the_wire() -> None:
    admin = Identity("admin", ("superuser",), run_by=ALICE, api_key={"id": "k1"})
    for identity in (ALICE, SYSTEM, admin):
        assert decode_identity(encode_identity(identity)) == identity


def test_the_same_bytes_give_the_same_object() -> None:
    encoded = bytes(bytearray(encode_identity(ALICE)))
    assert decode_identity(encoded) is decode_identity(encode_identity(ALICE))


def test_many_identities_are_not_mixed_up_when_memory_of_them_is_full() -> None:
    for number in range(3 * REMEMBERED_MAX):
        name = f"user-{number}"
        assert decode_identity(encode_identity(Identity(name))).username == name


def test_what_is_no_identity_is_refused() -> None:
    with pytest.raises(IllegalArgumentError, match="failed to read the identity"):
        decode_identity(b"\xc1 nonsense")


def test_an_identity_too_large_to_send_is_refused() -> None:
    with pytest.raises(IllegalArgumentError, match=r"user \[bob\] has \[.*\] bytes of roles and metadata"):
        encode_identity(Identity("bob", metadata={"note": "x" * 70_000}))
