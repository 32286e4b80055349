from __future__ import annotations

import base64
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hanse.errors import SecurityError, SettingsError
from hanse.security import requests
from hanse.security.audit import OFF, Audit
from hanse.security.authentication import HttpCredentials
from hanse.settings.registry import Settings
from hanse.transport.actions import Origin
from hanse.transport.identity import SYSTEM

from .conftest import NODES, PEER, REST, SEARCH, Cluster, index, user

Make = Callable[..., Cluster]
NOW = datetime(2026, 11, 23, 22, 30, 6, 949000, tzinfo=UTC)


def audit_to(path: Path, *include: str) -> Audit:
    return Audit(path, cluster_name="harbour", node_id=lambda: "n1", include=include or ("_all",), now=lambda: NOW)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_granted_and_denied(make_cluster: Make, tmp_path: Path) -> None:
    audit = audit_to(tmp_path / "a.json")
    cluster = make_cluster(index("logs"), index("secret"), audit=audit)
    await cluster.add_reader("reader", "logs")
    joe = user("joe", "reader")
    await cluster.gate.run(SEARCH, type("R", (), {"indices": ("logs",), "options": _options()})(), joe, REST)
    with pytest.raises(SecurityError):
        await cluster.run(SEARCH, joe, "secret", origin=Origin("transport", "10.0.0.9:9300", None, "opaque"))
    audit.close()
    granted, denied = lines(tmp_path / "a.json")
    assert granted == {
        "type": "audit",
        "timestamp": "2026-11-23T22:30:06,949+0000",
        "cluster.name": "harbour",
        "node.id": "n1",
        "event.type": "transport",
        "event.action": "access_granted",
        "action": "indices:data/read/search",
        "user.name": "joe",
        "user.realm": "default_native",
        "user.roles": ["reader"],
        "authentication.type": "REALM",
        "origin.type": "rest",
        "origin.address": "127.0.0.1:5000",
        "indices": ["logs"],
    }
    assert (denied["event.action"], denied["indices"], denied["opaque_id"]) == ("access_denied", ["secret"], "opaque")
    assert denied["origin.type"] == "transport"


def _options() -> Any:
    from hanse.transport.actions import IndicesOptions

    return IndicesOptions()


async def test_logins_without_their_passwords(make_cluster: Make, tmp_path: Path) -> None:
    audit = audit_to(tmp_path / "a.json")
    cluster = make_cluster(audit=audit)
    await cluster.add_user("joe", "s3krit-password")
    header = "Basic " + base64.b64encode(b"joe:s3krit-password").decode()
    await cluster.gate.authenticate(HttpCredentials(header, uri="/x?q=1", address="127.0.0.1:7"))
    for bad in ("Basic " + base64.b64encode(b"joe:wr0ng-password").decode(), None):
        with pytest.raises(SecurityError):
            await cluster.gate.authenticate(HttpCredentials(bad, uri="/x?q=1"))
    put = requests.PutUser("mary", {"password": "anoth3r-password", "roles": []})
    await cluster.gate.run(requests.PUT_USER, put, user("boss", "superuser"), REST)
    audit.close()
    events = lines(tmp_path / "a.json")
    assert [event["event.action"] for event in events] == [
        "authentication_success",
        "authentication_failed",
        "anonymous_access_denied",
        "access_granted",
        "put_user",
    ]
    assert (events[0]["url.path"], events[0]["url.query"]) == ("/x", "q=1")
    assert "password" not in (tmp_path / "a.json").read_text().replace("/password", "")


async def test_system_work_is_not_audited_when_granted(make_cluster: Make, tmp_path: Path) -> None:
    audit = audit_to(tmp_path / "a.json")
    cluster = make_cluster(audit=audit)
    await cluster.run(NODES, SYSTEM, origin=PEER)
    with pytest.raises(SecurityError):
        await cluster.run(SEARCH, SYSTEM, origin=PEER)
    audit.close()
    (denied,) = lines(tmp_path / "a.json")
    assert denied["authentication.type"] == "INTERNAL"


async def test_only_wanted_events(make_cluster: Make, tmp_path: Path) -> None:
    audit = audit_to(tmp_path / "a.json", "access_denied")
    cluster = make_cluster(index("logs"), audit=audit)
    await cluster.run(SEARCH, user("boss", "superuser"))
    audit.close()
    assert lines(tmp_path / "a.json") == []


def test_the_file_is_the_owners_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "a.json"
    for _ in range(2):
        audit = audit_to(path)
        audit.access_denied("a", user("joe"), REST, ())
        audit.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(lines(path)) == 2


def test_from_settings(tmp_path: Path) -> None:
    assert Audit.from_settings(Settings(), tmp_path, "harbour", lambda: "n") is OFF
    settings = Settings({"xpack.security.audit.enabled": "true"})
    audit = Audit.from_settings(settings, tmp_path, "harbour", lambda: "n")
    audit.access_denied("a", user("joe"), REST, ())
    audit.authentication_success(user("joe"), "/", "")
    audit.close()
    assert [line["event.action"] for line in lines(tmp_path / "harbour_audit.json")] == ["access_denied"]


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("")
    with pytest.raises(SettingsError, match="cannot write the audit file"):
        audit_to(tmp_path / "logs" / "a.json")
