"""What the certificates API, the reload API, the health report and the log say about the same files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import structlog
from cryptography.hazmat.primitives.serialization import Encoding

from hanse.cluster.broadcast import Gathered
from hanse.errors import NodeNotConnectedError
from hanse.security.ssl_actions import SslActions
from hanse.settings.registry import Settings
from hanse.tls.authority import CertificateAuthority
from hanse.tls.contexts import Refused, TlsContexts
from hanse.tls.faults import Fault
from hanse.tls.identity import read_certificate
from hanse.tls.reload import Reloader
from hanse.tls.ssl_settings import HTTP, TRANSPORT
from hanse.transport.actions import Empty

CALL = cast(Any, None)
CA = CertificateAuthority.create("CN=ca")


def write(folder: Path, **issue: Any) -> None:
    certificate, key = CA.issue("berlin", **issue)
    (folder / "node.crt").write_bytes(certificate)
    (folder / "node.key").write_bytes(key)
    (folder / "ca.crt").write_bytes(CA.certificate_pem)


def actions(folder: Path, now: datetime | None = None, **more: Any) -> SslActions:
    names = {
        "enabled": "true",
        "key": "node.key",
        "certificate": "node.crt",
        "certificate_authorities": "ca.crt",
    }
    contexts = [
        TlsContexts.from_settings(Settings({f"{p}.{k}": v for k, v in names.items()}), p, folder)
        for p in (TRANSPORT, HTTP)
    ]
    reloader = Reloader(contexts, Settings({}))
    moment = now or datetime.now(UTC)
    return SslActions(
        reloader, config_dir=folder, node_name="berlin-1", node_id=lambda: "n1", now=lambda: moment, **more
    )


async def test_each_certificate_is_shown_once(tmp_path: Path) -> None:
    write(tmp_path, days=100)
    own, authority = (await actions(tmp_path).certificates(CALL, Empty())).certificates
    assert own == {
        "path": "node.crt",
        "format": "PEM",
        "alias": None,
        "subject_dn": "CN=berlin",
        "serial_number": own["serial_number"],
        "has_private_key": True,
        "expiry": own["expiry"],
        "issuer": "CN=ca",
        "days_to_expiry": 99,
    }
    assert own["expiry"].endswith(".000Z")
    assert (authority["path"], authority["has_private_key"]) == ("ca.crt", False)


async def test_what_several_nodes_use_alike_is_one_entry(tmp_path: Path) -> None:
    """Each node has a certificate of its own, and all trust the same authority."""
    there = [tmp_path / name for name in ("n1", "n2")]
    answers = {}
    for folder in there:
        folder.mkdir()
        write(folder, days=100)
        answers[folder.name] = await actions(folder).certificates(CALL, Empty())

    async def ask(*_: Any) -> Any:
        return Gathered(answers, {"n3": NodeNotConnectedError("gone")})

    ssl = actions(there[0], ask_nodes=ask)
    call = cast(Any, SimpleNamespace(warnings=[]))
    entries = (await ssl.all_certificates(call, Empty())).certificates
    assert call.warnings == ["the certificates of node [n3] are not shown, it did not answer: gone"]
    assert [(entry["path"], entry["nodes"]) for entry in entries] == [
        ("node.crt", ["n1"]),
        ("ca.crt", ["n1", "n2"]),
        ("node.crt", ["n2"]),
    ]
    assert [one["node_id"] for one in (await ssl.reload_all(CALL, Empty())).failures] == ["n3"]


async def test_the_only_node_that_answers_is_named_when_another_did_not(tmp_path: Path) -> None:
    write(tmp_path, days=100)
    own = await actions(tmp_path).certificates(CALL, Empty())

    async def ask(*_: Any) -> Any:
        return Gathered({"n1": own}, {"n2": NodeNotConnectedError("gone")})

    call = cast(Any, SimpleNamespace(warnings=[]))
    entries = (await actions(tmp_path, ask_nodes=ask).all_certificates(call, Empty())).certificates
    assert [entry["nodes"] for entry in entries] == [["n1"], ["n1"]]


async def test_a_reload_reports_by_context(tmp_path: Path) -> None:
    write(tmp_path)
    ssl = actions(tmp_path)
    assert ssl.indicator()["status"] == "green"
    report = await ssl.reload(CALL, Empty())
    assert (report.node_id, report.node_name) == ("n1", "berlin-1")
    assert report.contexts[HTTP] == {
        "reloaded": True,
        "files": ["node.key", "node.crt", "ca.crt"],
        "changed": [],
        "connections_cut": 0,
    }
    (tmp_path / "node.key").write_bytes(CA.issue("other")[1])
    report = await ssl.reload(CALL, Empty())
    refused = report.contexts[TRANSPORT]
    assert refused["reloaded"] is False
    assert "does not belong to the first certificate" in refused["error"]
    assert (await ssl.certificates(CALL, Empty())).certificates[0]["reload_error"] == refused["error"]
    indicator = ssl.indicator()
    assert indicator["status"] == "yellow"
    assert indicator["symptom"] == "the changed TLS files of 2 contexts cannot be used"
    assert indicator["details"]["refused_reloads"] == {name: one["error"] for name, one in report.contexts.items()}
    assert ssl.gauges()["refused_reloads"] == 2


def test_an_end_that_comes_near_is_yellow_and_one_that_came_red(tmp_path: Path) -> None:
    write(tmp_path, days=100)
    now = datetime.now(UTC)
    assert actions(tmp_path, now + timedelta(days=69)).indicator()["status"] == "green"
    near = actions(tmp_path, now + timedelta(days=80)).indicator()
    assert near["status"] == "yellow"
    assert near["diagnosis"][0]["affected_resources"]["files"] == ["node.crt"]
    past = actions(tmp_path, now + timedelta(days=101))
    assert past.indicator()["status"] == "red"
    assert past.gauges()["certificates"][0]["days_to_expiry"] < 0


def test_a_refused_client_is_shown_with_what_it_presented(tmp_path: Path) -> None:
    write(tmp_path, days=100)
    ssl = actions(tmp_path)
    (transport, _) = ssl._reloader.contexts
    presented = read_certificate(transport.identity[0].public_bytes(Encoding.DER))
    transport.note_refused(Refused("10.0.0.1:4711", Fault.UNKNOWN_AUTHORITY, "failed to establish trust", presented))
    transport.note_refused(Refused("10.0.0.2:4711", Fault.PLAINTEXT, "received plaintext traffic"))
    gauges = ssl.gauges()
    assert gauges["refused_handshakes"] == 2
    first, second = gauges["recent_refused_handshakes"]
    assert (first["peer"], first["fault"]) == ("10.0.0.1:4711", "unknown_authority")
    assert first["peer_certificate"]["subject_dn"] == "CN=berlin"
    assert first["peer_certificate"]["issuer"] == "CN=ca"
    assert "peer_certificate" not in second


async def test_the_log_warns(tmp_path: Path) -> None:
    write(tmp_path, days=100)
    for days, event in ((80, "a certificate expires soon"), (101, "a certificate has expired")):
        ssl = actions(tmp_path, datetime.now(UTC) + timedelta(days=days))
        with structlog.testing.capture_logs() as logs:
            warning = ssl.warn()
            warning.send(None)  # up to its first wait
            warning.close()
        assert [(line["event"], line["path"]) for line in logs] == [(event, "node.crt")]
