from __future__ import annotations

import msgspec
import pytest

from hanse.transport.actions import (
    FULL_ACCESS,
    Access,
    Action,
    ActionRegistry,
    Call,
    Empty,
    FieldRule,
    IndexRequest,
    IndicesOptions,
    Scope,
    Target,
    Targets,
)

PING = Action("cluster:monitor/ping", Empty, Empty, Scope.CLUSTER)


async def ping(call: Call, request: Empty) -> Empty:
    return request


def test_an_action_is_found_by_its_name() -> None:
    registry = ActionRegistry()
    registry.register(PING, ping)
    assert registry.action(PING.name) is PING
    assert registry.handler(PING) is ping
    assert registry.actions() == {PING.name: PING}
    assert registry.action("cluster:monitor/other") is None
    assert repr(PING) == "<Action cluster:monitor/ping>"


def test_a_name_is_registered_once() -> None:
    registry = ActionRegistry()
    registry.register(PING, ping)
    with pytest.raises(AssertionError, match=r"cluster:monitor/ping\] is registered twice"):
        registry.register(PING, ping)


def test_access_is_full_without_any_rule() -> None:
    assert FULL_ACCESS.is_full
    assert not Access(documents=(({"match_all": {}},),)).is_full
    assert not Access(fields=((FieldRule(("a",)),),)).is_full


def test_targets_name_their_indices() -> None:
    assert Targets((Target("a"), Target("b", name="alias"))).names == ("a", "b")


def test_a_struct_with_indices_and_options_is_an_index_request() -> None:
    class Request(msgspec.Struct):
        indices: tuple[str, ...] = ()
        options: IndicesOptions = IndicesOptions()

    assert isinstance(Request(), IndexRequest)
    assert not isinstance(Empty(), IndexRequest)
