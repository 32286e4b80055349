"""Elasticsearch's own command names lead to our tools, and each explains itself."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

SCRIPTS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]


def test_every_tool_is_there_under_its_own_name() -> None:
    assert {name.removeprefix("elasticsearch-") for name in SCRIPTS if name.startswith("elasticsearch-")} >= {
        "certutil", "keystore", "users", "reset-password", "setup-passwords", "create-enrollment-token",
        "reconfigure-node", "syskeygen",
    }  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_name_leads_to_a_command_that_explains_itself(name: str) -> None:
    module, _, attribute = SCRIPTS[name].partition(":")
    command = getattr(import_module(module), attribute)
    assert isinstance(command, click.Command)
    result = CliRunner().invoke(command, ["--help"])
    assert (result.exit_code, "Usage:" in result.output) == (0, True)
