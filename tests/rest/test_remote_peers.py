"""Only what the HTTP layer adds: paths, parameters and statuses of remote peers and explanations."""

from __future__ import annotations

import pytest

from .conftest import Client

BODY = {"match": {"any": [{"issuer": "CN=ca-munich"}]}, "limits": {"search": [{"names": ["logs-*"]}]}}


def test_a_peer_comes_and_goes(client: Client) -> None:
    for method in ("PUT", "POST"):
        answer = client.call(method, "/_security/remote_peer/munich", BODY)
        assert (answer.status, answer.json) == (200, {"remote_peer": {"created": method == "PUT"}})
    assert set(client.call("GET", "/_security/remote_peer").json) == {"munich"}
    assert client.call("GET", "/_security/remote_peer/munich").json["munich"]["limits"] == BODY["limits"]
    assert client.call("GET", "/_security/remote_peer/berlin").status == 404
    assert client.call("DELETE", "/_security/remote_peer/munich").json == {"found": True}
    assert client.call("DELETE", "/_security/remote_peer/munich").status == 404


def test_what_is_wrong_is_a_400(client: Client) -> None:
    assert client.call("PUT", "/_security/remote_peer/munich").reason == "request body is required"
    assert client.call("PUT", "/_security/remote_peer/munich", {"match": {}}).status == 400
    assert client.call("PUT", "/_security/remote_peer/munich", [1]).status == 400
    assert client.call("PUT", "/_security/remote_peer/munich?x=1", BODY).status == 400


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("index=a", "either [user] or [dn]"),
        ("user=elastic&dn=CN%3Djoe&index=a", "either [user] or [dn]"),
        ("user=elastic", "[index] is missing"),
        ("user=elastic&index=a&action=indices:none", "unknown action [indices:none]"),
        ("user=elastic&index=a&action=cluster:monitor/health", "is a cluster action and has no [index]"),
        ("user=elastic&index=a&wrong=1", "unrecognized parameter: [wrong]"),
    ],
)
def test_questions_that_cannot_be_answered(client: Client, query: str, says: str) -> None:
    answer = client.call("GET", f"/_security/_explain?{query}")
    assert answer.status == 400
    assert says in answer.reason
    assert client.call("GET", f"/_security/_explain?{query}", user=None).status == 401


def test_explanations_of_users_roles_and_peers(client: Client) -> None:
    assert client.call("PUT", "/_security/remote_peer/munich", BODY).status == 200
    assert client.call("PUT", "/logs-1").status == 200
    ask = "/_security/_explain?"
    mine = client.call("GET", ask + "user=elastic&index=*").json
    assert mine["user"]["roles"] == ["superuser"]
    assert "logs-1" in mine["local"]["reaches"]
    limited = client.call("GET", ask + "user=elastic&index=logs-1,other&peer=munich").json["local"]
    assert [row["allowed"] for row in limited["names"]] == [True, False]
    assert limited["peer"]["name"] == "munich"
    assert client.call("GET", ask + "user=elastic&index=a&peer=berlin").status == 404
    made_up = client.call("GET", ask + "user=x&roles=nobody,%20superuser&index=logs-1&action=replication").json
    assert made_up["user"]["roles"] == ["nobody", "superuser"]
    assert made_up["local"]["roles"] == {"found": ["superuser"], "missing": ["nobody"]}
    assert made_up["allowed"] is True
    assert made_up["granted_by"]["cluster"][0] == "read_ccr"
    unknown = client.call("GET", ask + "user=nobody&index=a").json
    assert (unknown["allowed"], unknown["user"]["found"]) == (False, False)
    no_realm = client.call("GET", ask + "dn=CN%3Djoe&index=a").json
    assert "no realm of this cluster knows users by certificate" in no_realm["local"]["why"]
    health = client.call("GET", ask + "user=elastic&action=cluster:monitor/health").json
    assert health["allowed"] is True
    assert client.call("DELETE", "/logs-1").status == 200
    assert client.call("DELETE", "/_security/remote_peer/munich").status == 200
