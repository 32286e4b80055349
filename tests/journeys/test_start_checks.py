"""A node whose TLS or security cannot work does not start: exit status 78 and lines that name the setting."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hanse.cli.local_cluster import LocalNode
from hanse.tls.authority import CertificateAuthority

T = "xpack.security.transport.ssl"


def start(folder: Path, settings: dict[str, Any]) -> tuple[int, str]:
    node = LocalNode(folder, "unfit", CertificateAuthority.create(), settings=settings)
    command = [sys.executable, "-m", "hanse", "node", "--config", str(node.config), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_bootstrap_checks_are_counted_and_numbered(tmp_path: Path) -> None:
    settings = {"network.host": "0.0.0.0", "discovery.type": "multi-node", f"{T}.enabled": False}
    status, told = start(tmp_path, {**settings, "xpack.security.authc.realms.pki.pki1.order": 1})
    assert status == 78
    assert told.splitlines()[-3:] == [
        "ERROR: [2] bootstrap checks failed. You must address the points described in the following [2] lines before "
        "starting Elasticsearch.",
        "bootstrap check failure [1] of [2]: Transport SSL must be enabled if security is enabled. Please set "
        "[xpack.security.transport.ssl.enabled] to [true] or disable security by setting [xpack.security.enabled] to "
        "[false]",
        "bootstrap check failure [2] of [2]: a PKI realm is enabled but cannot be used as neither HTTP or Transport "
        "have SSL and client authentication enabled",
    ]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"remote_cluster_server.enabled": True}, "[remote_cluster_server.enabled] is [true], but the API-key model"),
        ({f"{T}.trust_restrictions.path": "no.yml"}, f"[{T}.trust_restrictions.path] because the file does not exist"),
        ({f"{T}.certificate": "../node.crt"}, "SSL resources should be placed in the ["),
        (
            {"xpack.security.remote_cluster_client.ssl.certificate_authorities": ["no.crt"]},
            "[xpack.security.remote_cluster_client.ssl.certificate_authorities] because the file does not exist",
        ),
    ],
)
def test_one_line_names_the_setting(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    status, told = start(tmp_path, settings)
    assert status == 78
    assert told.startswith("ERROR: ")
    assert words in told
    assert told.count("\n") == 1
