from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.log_setup import log_setup_kept

from hanse.cli.local_cluster import LocalNode
from hanse.cli.node import EXIT_CONFIGURATION, node
from hanse.tls.authority import CertificateAuthority


@pytest.fixture(autouse=True)
def afterwards() -> Iterator[None]:
    interval = sys.getswitchinterval()
    with log_setup_kept():
        yield
    sys.setswitchinterval(interval)


@pytest.mark.parametrize(
    ("yml", "arguments", "reason"),
    [
        ("no.such.setting: 1", [], "unknown setting [no.such.setting]"),
        ("", ["-E", "http.port=many"], "http.port"),
        ("a: 1\na: 2", [], "a"),
        ("", ["-E", "nothing"], "nothing"),
        (
            "network.host: 0.0.0.0",
            ["-E", "http.port=0", "-E", "transport.port=0"],
            "Transport SSL must be enabled if security is enabled",
        ),
    ],
)
def test_a_configuration_that_cannot_work(tmp_path: Path, yml: str, arguments: list[str], reason: str) -> None:
    (tmp_path / "elasticsearch.yml").write_text(f"path.data: {tmp_path}/data\n{yml}\n")
    pidfile = tmp_path / "pid"
    result = CliRunner().invoke(node, ["--config", str(tmp_path), "-q", "-p", str(pidfile), *arguments])
    assert result.exit_code == EXIT_CONFIGURATION
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("ERROR: ")]
    assert reason in result.stderr[result.stderr.index(line) :]
    assert not pidfile.exists()


def test_without_a_config_folder(tmp_path: Path) -> None:
    result = CliRunner().invoke(node, ["--config", str(tmp_path / "none")])
    assert result.exit_code == EXIT_CONFIGURATION
    assert "does not exist" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    running = LocalNode(tmp_path, "harbour", CertificateAuthority.create("CN=ca"), secure=False).start()
    assert running.process is not None
    running.process.send_signal(number)
    assert running.process.wait(20) == 0
    assert "closed" in running.log_file.read_text()
