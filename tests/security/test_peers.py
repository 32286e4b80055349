"""Definitions of remote peers: what is taken, and what is wrong with the others."""

from __future__ import annotations

from typing import Any

import pytest

from hanse.errors import HanseError
from hanse.security.peers import parse_peer

MATCH = {"any": [{"issuer": "CN=ca-munich"}]}


def test_the_definition_of_the_issue() -> None:
    limits = {
        "roles": ["reader", "ops-*"],
        "search": [{"names": ["logs-*"], "query": {"term": {"n": 1}}, "field_security": {"grant": ["*"]}}],
        "replication": [{"names": ["logs-*"]}],
        "max_concurrent_requests": 64,
    }
    peer = parse_peer("munich", {"match": MATCH, "limits": limits})
    assert peer.body == {"match": MATCH, "enabled": True, "limits": limits}
    assert peer.max_concurrent_requests == 64
    assert peer.roles is not None
    assert [peer.roles.matches(role) for role in ("reader", "ops-1", "superuser")] == [True, True, False]


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("", {}, "its name must have"),
        ("a/b", {}, "its name must have"),
        ("p", [], "expected an object"),
        ("p", {"match": MATCH, "limit": {}}, "unexpected field [limit]"),
        ("p", {"match": MATCH, "enabled": "no"}, "[enabled] must be"),
        ("p", {"match": MATCH, "limits": {"write": []}}, "unexpected field [limits.write]"),
        ("p", {"match": MATCH, "limits": {"search": {}}}, "[limits.search] must be an array"),
        ("p", {"match": MATCH, "limits": {"search": [{}]}}, "[limits.search.names]"),
        ("p", {"match": MATCH, "limits": {"replication": [{"names": ["a"], "query": {}}]}}, "unexpected field"),
        ("p", {"match": MATCH, "limits": {"max_concurrent_requests": 0}}, "must be a whole number from 1"),
        ("p", {"match": MATCH, "limits": {"max_concurrent_requests": True}}, "must be a whole number from 1"),
        ("p", {"match": MATCH, "limits": {"roles": "x"}}, "[limits.roles] must be an array of strings"),
    ],
)
def test_what_is_wrong_is_said(name: str, body: Any, says: str) -> None:
    with pytest.raises(HanseError) as caught:
        parse_peer(name, body)
    assert caught.value.status == 400
    assert says in caught.value.reason
