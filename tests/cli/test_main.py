from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from hanse import __version__
from hanse.cli.main import main


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in ("node", "certutil", "demo"):
        assert f"  {name}" in result.output


@pytest.mark.parametrize("name", ["node", "certutil", "demo"])
def test_every_command_has_help(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert (result.exit_code, "Usage:" in result.output) == (0, True)


def test_version_and_what_is_no_command() -> None:
    assert __version__ in CliRunner().invoke(main, ["--version"]).output
    result = CliRunner().invoke(main, ["nodes"])
    assert (result.exit_code, "No such command" in result.output) == (2, True)


def test_help_loads_no_room() -> None:
    code = (
        "import sys; from hanse.cli.main import main; main(['--help'], standalone_mode=False);"
        "print([name for name in sys.modules if name in ('hanse.node', 'tantivy', 'cryptography', 'apsw')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "[]"
