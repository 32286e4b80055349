"""What is refused before anything of the node is changed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hanse.cli.enrollment_token import EnrollmentToken
from hanse.cli.reconfigure_node import reconfigure_node

YML = "node.name: n1\n"


def run(config: Path, token: str, answers: str = "y\n") -> Result:
    arguments = ["--enrollment-token", token]
    return CliRunner().invoke(reconfigure_node, arguments, input=answers, env={"ES_PATH_CONF": str(config)})


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "elasticsearch.yml").write_text(YML)
    return tmp_path


@pytest.fixture
def token() -> str:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    return EnrollmentToken("9.2.0", (f"127.0.0.1:{port}", "nonsense"), "ab" * 32, "id:secret").encode()


def unchanged(config: Path, yml: str = YML) -> bool:
    return [(path.name, path.read_text()) for path in config.iterdir()] == [("elasticsearch.yml", yml)]


def test_nobody_who_answers(config: Path, token: str) -> None:
    result = run(config, token)
    assert result.exit_code == 69
    assert "Could not communicate with any of its nodes: cannot connect to [127.0.0.1:" in result.stderr
    assert unchanged(config)


def test_an_operator_who_does_not_want_it(config: Path, token: str) -> None:
    result = run(config, token, "n\n")
    assert (result.exit_code, result.stderr.splitlines()[-1].endswith("ERROR: User cancelled operation")) == (64, True)
    assert unchanged(config)


def test_settings_written_by_hand_are_not_overwritten(config: Path, token: str) -> None:
    yml = "xpack.security.transport.ssl.enabled: true\n"
    (config / "elasticsearch.yml").write_text(yml)
    result = run(config, token)
    assert (result.exit_code, "[xpack.security.transport.ssl.enabled]. Remove them first" in result.stderr) == (
        64,
        True,
    )
    assert unchanged(config, yml)


def test_a_damaged_token(config: Path) -> None:
    result = run(config, "nonsense")
    assert (result.exit_code, "Failed to parse enrollment token" in result.stderr) == (65, True)
