from __future__ import annotations

import msgspec
import pytest

from hanse.transport.identity import SYSTEM, UNSECURED, Identity


def test_only_the_nodes_own_identity_is_internal() -> None:
    assert SYSTEM.is_internal
    assert not UNSECURED.is_internal
    assert not Identity("_system").is_internal


def test_the_names_of_roles_travel_and_nothing_else_of_them() -> None:
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(Identity("alice", ("reader",))))
    assert sent == {"username": "alice", "roles": ["reader"]}


def test_an_identity_does_not_change() -> None:
    with pytest.raises(AttributeError):
        SYSTEM.username = "root"  # type: ignore[misc]
