from __future__ import annotations

import os
from pathlib import Path

import pytest

from hanse.cli.local_cluster import LocalNode, trust_each_other
from hanse.settings.elasticsearch_yml import load
from hanse.tls.authority import CertificateAuthority


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority.create("CN=ca")


def test_it_is_configured_as_an_operator_would(tmp_path: Path, authority: CertificateAuthority) -> None:
    made = LocalNode(tmp_path, "harbour", authority, settings={"node.attr.zone": "a"}, http_port=9201)
    settings = load(made.config)
    assert (settings["cluster.name"], settings["node.name"], settings["http.port"]) == ("harbour", "harbour-1", "9201")
    assert settings["xpack.security.transport.ssl.certificate_authorities"] == ["trusted.crt"]
    assert settings["node.attr.zone"] == "a"
    assert (made.config / "node.key").stat().st_mode & 0o777 == 0o600


def test_each_trusts_the_others_authority_too(tmp_path: Path, authority: CertificateAuthority) -> None:
    other = CertificateAuthority.create("CN=other")
    first, second = LocalNode(tmp_path / "a", "a", authority), LocalNode(tmp_path / "b", "b", other)
    trust_each_other(first, second)
    for node in (first, second):
        assert node.trust_file.read_bytes().count(b"BEGIN CERTIFICATE") == 2
        assert node.ca_file.read_bytes().count(b"BEGIN CERTIFICATE") == 1


def test_start_ask_kill_and_start_again(tmp_path: Path, authority: CertificateAuthority) -> None:
    with LocalNode(tmp_path, "harbour", authority) as node:
        assert node.request("PUT", "/books/_doc/1", {"n": 1})[0] == 201
        assert node.request("GET", "/", user=("elastic", "wrong"))[0] == 401
        process = node.process
        assert process is not None
        node.kill()
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)
        node.start()
        assert node.request("GET", "/books/_doc/1")[1]["_source"] == {"n": 1}
        assert node.stop() == 0
        assert node.stop() is None


def test_a_node_that_does_not_start_says_why(tmp_path: Path, authority: CertificateAuthority) -> None:
    node = LocalNode(tmp_path, "harbour", authority, settings={"no.such.setting": 1})
    with pytest.raises(RuntimeError, match=r"node \[harbour-1\] did not start: .*no\.such\.setting"):
        node.start()
