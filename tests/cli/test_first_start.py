"""The first start: what it writes, that the node can read it, and everything that keeps it away."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hanse.cli.auto_configuration import BEGIN, without_block
from hanse.cli.first_start import configure_first_start, why_not
from hanse.node import read_settings
from hanse.settings.keystore import Keystore
from hanse.tls.contexts import TlsContexts
from hanse.tls.pkcs12 import read_pkcs12


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "elasticsearch.yml").write_text(f"# mine\nnode.name: n1\npath.data: {tmp_path}/data\n")
    return folder


def test_security_is_configured_and_the_node_can_read_it(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert configure_first_start(config, read_settings(config))
    assert "HTTP CA certificate SHA-256 fingerprint:" in capsys.readouterr().out
    settings = read_settings(config)
    assert settings["http.host"] == "0.0.0.0"
    assert settings["cluster.initial_master_nodes"] == ["n1"]
    assert (config / "elasticsearch.yml").read_text().startswith("# mine\nnode.name: n1\n")
    secure = dict(Keystore.load(config) or {})
    for layer in ("http", "transport"):
        contexts = TlsContexts.from_settings(settings, f"xpack.security.{layer}.ssl", config, secure)
        assert contexts.enabled
        contexts.server()
    http = read_pkcs12(
        (config / "certs/http.p12").read_bytes(), secure["xpack.security.http.ssl.keystore.secure_password"]
    )
    assert [entry.alias for entry in http.keys] == ["http", "http_ca"]
    assert sorted(path.name for path in (config / "certs").iterdir()) == ["http.p12", "http_ca.crt", "transport.p12"]
    for path in (config / "certs").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((config / "certs").stat().st_mode) == 0o700
    assert not configure_first_start(config, settings)  # a second start finds it done


def test_the_lines_are_taken_out_again(config: Path) -> None:
    before = (config / "elasticsearch.yml").read_text()
    configure_first_start(config, read_settings(config))
    written = (config / "elasticsearch.yml").read_text()
    assert BEGIN in written
    assert without_block(written) == before


def test_hosts_that_are_set_are_kept(config: Path) -> None:
    with (config / "elasticsearch.yml").open("a") as file:
        file.write("network.host: 127.0.0.1\n")
    configure_first_start(config, read_settings(config))
    assert "http.host" not in read_settings(config)


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("xpack.security.autoconfiguration.enabled: false", "automatic configuration is switched off"),
        ("xpack.security.enabled: false", "[xpack.security.enabled] is set"),
        ("xpack.security.http.ssl.enabled: false", "[xpack.security.http.ssl.enabled] is set"),
        ("discovery.seed_hosts: [a]", "the node is told where other nodes are"),
        ("cluster.initial_master_nodes: [n1, n2]", "the cluster is to have other nodes"),
        ("node.roles: [ingest]", "a node of these roles does not begin a cluster"),
        ("cluster.initial_master_nodes: [n1]", None),
    ],
)
def test_what_keeps_it_away(config: Path, setting: str, why: str | None) -> None:
    with (config / "elasticsearch.yml").open("a") as file:
        file.write(setting + "\n")
    assert why_not(config, read_settings(config)) == why


def test_a_node_with_data_or_a_locked_keystore_starts_as_it_is(config: Path, tmp_path: Path) -> None:
    settings = read_settings(config)
    keystore = Keystore.create(config)
    keystore.set("xpack.security.http.ssl.keystore.secure_password", "x")
    keystore.save()
    assert why_not(config, settings) == "[xpack.security.http.ssl.keystore.secure_password] is in the keystore"
    Keystore.create(config, "locked").save()
    assert why_not(config, settings) == "the keystore has a password"
    (tmp_path / "data").mkdir()
    assert why_not(config, settings) == "the keystore has a password"
    (tmp_path / "data" / "state").touch()
    assert why_not(config, settings) == "the node has data already"
    (config / "elasticsearch.yml").unlink()
    assert why_not(config, read_settings(config)) is not None
