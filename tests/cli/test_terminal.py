"""Options in Elasticsearch's forms, questions answered from a pipe, failures with a status."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hanse.cli.terminal import Failure, Tool, ask, confirm, failing, new_secret, option, secret, tool_options
from hanse.errors import IllegalArgumentError


@click.command()
@option("--out")
@option("-r", "--remove")
@option("--flag", is_flag=True)
def options(out: str | None, remove: str | None, flag: bool) -> None:
    click.echo(f"{out} {remove} {flag}")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--out", "x"], "x None False"),
        (["-out", "x", "-flag"], "x None True"),
        (["-r", "a", "-out=x"], "x a False"),
        (["-remove", "a"], "None a False"),
    ],
)
def test_a_long_option_is_understood_with_one_dash(arguments: list[str], shown: str) -> None:
    result = CliRunner().invoke(options, arguments)
    assert result.output.strip() == shown
    assert "-out," not in CliRunner().invoke(options, ["--help"]).output


@click.command()
@tool_options()
def where(tool: Tool) -> None:
    tool.say("said")
    click.echo(f"{tool.config_dir} {tool.overrides}")
    click.echo(tool.settings().get("cluster.name"))


def test_a_tool_knows_its_folder_and_settings(tmp_path: Path) -> None:
    (tmp_path / "elasticsearch.yml").write_text("cluster.name: berlin\n")
    result = CliRunner().invoke(where, ["-s"], env={"ES_PATH_CONF": str(tmp_path)})
    assert result.output.splitlines() == [f"{tmp_path} ()", "berlin"]
    result = CliRunner().invoke(where, ["--config", str(tmp_path), "-E", "cluster.name=munich"])
    assert result.output.splitlines() == ["said", f"{tmp_path} ('cluster.name=munich',)", "munich"]
    (tmp_path / "elasticsearch.yml").write_text("a: [")
    result = CliRunner().invoke(where, ["--config", str(tmp_path)])
    assert result.exit_code == 78
    assert "ERROR: failed to load settings" in result.output


@click.command()
def questions() -> None:
    click.echo(ask("name? ", "nobody"))
    click.echo(confirm("sure?"))
    click.echo(secret("word? "))
    click.echo(new_secret("new? ", "again? ", "they differ"))


def test_answers_come_from_a_pipe_and_questions_go_to_stderr() -> None:
    result = CliRunner().invoke(questions, input="\nperhaps\nyes\n  kept as is \r\nfresh\nfresh\n")
    assert result.stdout.splitlines() == ["nobody", "True", "  kept as is ", "fresh"]
    assert "Did not understand answer 'perhaps'" in result.stderr
    assert "sure? [y/N]" in result.stderr


def test_secrets_that_differ_and_answers_that_lack() -> None:
    differing = CliRunner().invoke(questions, input="a\ny\nb\nfresh\nstale\n")
    assert (differing.exit_code, "ERROR: they differ" in differing.stderr) == (64, True)
    silent = CliRunner().invoke(questions, input="")
    assert (silent.exit_code, "the input has ended" in silent.stderr) == (64, True)


def test_what_a_room_refuses_becomes_a_failure() -> None:
    with pytest.raises(Failure, match="not so") as raised, failing(78):
        raise IllegalArgumentError("not so")
    assert raised.value.exit_code == 78
