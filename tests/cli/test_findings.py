from __future__ import annotations

import json

import pytest

from hanse.cli.findings import Findings


def some() -> Findings:
    findings = Findings()
    findings.holds("here", "tls files", "can be read")
    findings.unknown("oslo", "rights", "not looked at")
    return findings


def test_only_what_fails_counts_against_it() -> None:
    findings = some()
    assert findings.is_sound
    findings.fails("oslo", "tcp", "[oslo:9300] refused", "start the node")
    assert not findings.is_sound


def test_as_json() -> None:
    findings = some()
    findings.fails("oslo", "tcp", "[oslo:9300] refused", "start the node")
    assert json.loads(findings.as_json()) == {
        "holds": False,
        "findings": [
            {"where": "here", "check": "tls files", "status": "holds", "detail": "can be read"},
            {"where": "oslo", "check": "rights", "status": "unknown", "detail": "not looked at"},
            {
                "where": "oslo",
                "check": "tcp",
                "status": "fails",
                "detail": "[oslo:9300] refused",
                "mend": "start the node",
            },
        ],
    }


def test_settings_in_brackets_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    findings = Findings()
    findings.fails("oslo", "tls", "see [xpack.security.transport.ssl.key]", "look at [red]")
    findings.print_table()
    printed = " ".join(capsys.readouterr().out.split())
    assert "see [xpack.security.transport.ssl.key] -> look at [red]" in printed
