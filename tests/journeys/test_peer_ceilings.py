"""Two real clusters: what a ceiling leaves of a superuser, and a certificate revoked in both directions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.world import Pair, ok, until


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder: Path = tmp_path_factory.mktemp("ceilings")
    pair = Pair(folder, **{"xpack.security.audit.enabled": "true"})
    try:
        pair.start()
        ok(pair.remote, "PUT", "/logs-1/_doc/1?refresh=true", {"n": 1, "secret": "x"})
        ok(pair.remote, "PUT", "/logs-1/_doc/2?refresh=true", {"n": 2, "secret": "y"})
        ok(pair.remote, "PUT", "/private/_doc/1?refresh=true", {"n": 1})
        pair.connect()
        yield pair
    finally:
        pair.stop()


def test_a_ceiling_holds_the_superuser_at_once(guarded: Pair) -> None:
    assert ok(guarded.local, "GET", "/remote:private/_search")["hits"]["total"]["value"] == 1
    entry = {"names": ["logs-*"], "query": {"term": {"n": 1}}, "field_security": {"grant": ["*"], "except": ["secret"]}}
    peer = {"match": {"any": [{"issuer": "CN=ca-home"}]}, "limits": {"search": [entry]}}
    assert ok(guarded.remote, "PUT", "/_security/remote_peer/home", peer) == {"remote_peer": {"created": True}}
    assert ok(guarded.remote, "GET", "/_security/remote_peer/home")["home"]["enabled"] is True
    asked = ok(guarded.local, "GET", "/_security/_explain?user=elastic&index=remote:*")["remotes"]["remote"]
    assert asked["answer"]["local"]["reaches"] == ["logs-1"], asked
    assert "private" not in json.dumps(asked), "names outside the ceiling are not told"
    assert "document_level_security" not in json.dumps(asked)
    hits = ok(guarded.local, "GET", "/remote:*/_search")["hits"]["hits"]
    assert [hit["_source"] for hit in hits] == [{"n": 1}]
    fields = ok(guarded.local, "GET", "/remote:logs-1/_field_caps?fields=*")["fields"]
    assert "n" in fields
    assert "secret" not in fields
    status, answer = guarded.local.request("GET", "/remote:private/_search")
    assert status == 403
    assert "the ceiling of peer [home] decided" in answer["error"]["reason"]
    follow = {"remote_cluster": "remote", "leader_index": "logs-1"}
    status, answer = guarded.local.request("PUT", "/copy/_ccr/follow", follow)
    assert status == 403
    assert "the ceiling of peer [home] decided" in json.dumps(answer)


def test_a_disabled_peer_is_cut_in_both_directions(guarded: Pair) -> None:
    match = {"any": [{"issuer": "CN=ca-home"}]}
    ok(guarded.remote, "PUT", "/_security/remote_peer/home", {"match": match, "enabled": False})
    status, answer = guarded.local.request("GET", "/remote:logs-1/_search")
    assert status == 403
    assert "the ceiling of peer [home] decided: the peer is disabled" in answer["error"]["reason"]
    assert ok(guarded.remote, "DELETE", "/_security/remote_peer/home") == {"found": True}
    assert guarded.remote.request("DELETE", "/_security/remote_peer/home") == (404, {"found": False})
    assert guarded.local.request("GET", "/remote:logs-1/_search")[0] == 200
    outgoing = {"match": {"any": [{"issuer": "CN=ca-abroad"}]}, "enabled": False}
    ok(guarded.local, "PUT", "/_security/remote_peer/abroad", outgoing)
    status, answer = guarded.local.request("GET", "/remote:logs-1/_search")
    assert status >= 400
    assert "the remote peer [abroad] is disabled here" in json.dumps(answer)
    ok(guarded.local, "DELETE", "/_security/remote_peer/abroad")
    until(lambda: guarded.local.request("GET", "/remote:logs-1/_search")[0], lambda status: status == 200, "a call")


def test_explain_says_who_decides_and_refuses_what_it_does_not_know(guarded: Pair) -> None:
    answer = ok(guarded.local, "GET", "/_security/_explain?user=elastic&index=remote:logs-1")
    assert answer["allowed"] is True
    assert answer["remotes"]["remote"]["sends"]["roles"] == ["superuser"]
    status, answer = guarded.local.request("GET", "/_security/_explain?user=elastic&index=a&action=indices:nothing")
    assert (status, answer["error"]["reason"]) == (400, "unknown action [indices:nothing]")
    ok(guarded.local, "PUT", "/_security/user/plain", {"password": "secret-plain", "roles": []})
    path = "/_security/_explain?user=elastic&index=a"
    assert guarded.local.request("GET", path, user=("plain", "secret-plain"))[0] == 403


def test_the_audit_names_peer_and_serial(guarded: Pair) -> None:
    def events() -> list[dict[str, object]]:
        files = list(guarded.remote.folder.rglob("*_audit.json"))
        return [json.loads(line) for path in files for line in path.read_text().splitlines() if line]

    found = until(
        lambda: [e for e in events() if e.get("peer.name") == "home" and e["event.action"] == "access_denied"],
        bool,
        "the audit",
    )
    assert found[0]["peer.certificate.serial_number"]
