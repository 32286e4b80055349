"""What the command line tools share: options in Elasticsearch's forms, questions, and failures with their statuses.

Questions go to stderr, so that stdout holds results only. On a terminal a secret is read without echo; otherwise
answers are lines of stdin, so that scripts can pipe them. Tests: tests/cli/test_terminal.py.
"""

from __future__ import annotations

import functools
import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from hanse.errors import HanseError, SettingsError
from hanse.settings.keystore import Keystore, has_password
from hanse.settings.registry import Settings

USAGE, DATA_ERROR, NO_USER, UNAVAILABLE, CODE_ERROR, IO_ERROR, CONFIG = 64, 65, 67, 69, 70, 74, 78
HELP = {"help_option_names": ["-h", "--help"]}
OWNER_ONLY = 0o600


class Failure(click.ClickException):
    """Ends a tool with one line and an exit status of sysexits.h, as Elasticsearch's tools do."""

    def __init__(self, message: str, exit_code: int = CODE_ERROR) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: Any = None) -> None:
        click.echo(f"ERROR: {self.format_message()}", err=True)


@contextmanager
def failing(exit_code: int) -> Iterator[None]:
    """What a room refuses becomes a Failure."""
    try:
        yield
    except HanseError as error:
        raise Failure(error.reason, exit_code) from error


class Option(click.Option):
    """An option whose long form may also be written with one dash (`-out`), as runbooks for Elasticsearch do."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        shown = self.opts
        self.opts = [*shown, *(name[1:] for name in shown if name.startswith("--") and len(name) > 3)]
        try:
            super().add_to_parser(parser, ctx)
        finally:
            self.opts = shown


def option(*names: str, **attributes: Any) -> Callable[[Any], Any]:
    return click.option(*names, cls=Option, **attributes)


@dataclass(frozen=True, slots=True)
class Tool:
    """Where a tool runs and how much it says."""

    config_dir: Path
    overrides: tuple[str, ...] = ()
    silent: bool = False
    verbose: bool = False

    def say(self, text: str = "") -> None:
        if not self.silent:
            click.echo(text)

    def settings(self) -> Settings:
        """elasticsearch.yml with `-E` on top."""
        from hanse.settings.elasticsearch_yml import load, parse_overrides

        with failing(CONFIG):
            return load(self.config_dir, parse_overrides(self.overrides))

    def open_keystore(self, password: str | None = None) -> Keystore | None:
        """The keystore, None when there is none. Asks for the password when it needs one that is not given."""
        try:
            if password is None:
                locked = has_password(self.config_dir)
                password = secret("Enter password for the elasticsearch keystore : ") if locked else ""
            return Keystore.load(self.config_dir, password)
        except SettingsError as error:
            raise Failure(error.reason, DATA_ERROR) from error

    def secure_settings(self) -> dict[str, str]:
        return dict(self.open_keystore() or {})


def tool_options(*, silent: tuple[str, ...] = ("-s", "--silent"), overrides: bool = True) -> Callable[[Any], Any]:
    """Adds the options every tool has; the command gets them as one Tool, its first argument."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(
            config_dir: Path, settings: tuple[str, ...] = (), silent: bool = False, verbose: bool = False, **rest: Any
        ) -> Any:
            return command(Tool(config_dir, settings, silent, verbose), **rest)

        added = [
            option(
                "--config",
                "config_dir",
                type=click.Path(path_type=Path, file_okay=False),
                envvar="ES_PATH_CONF",
                default=Path("config"),
                help="Folder that holds elasticsearch.yml, here and in ES_PATH_CONF.  [default: config]",
            ),
            option(*silent, "silent", is_flag=True, help="Say nothing but errors and results."),
            option("-v", "--verbose", is_flag=True, help="Say more."),
        ]
        if overrides:
            added.append(option("-E", "settings", multiple=True, metavar="KEY=VALUE", help="A setting."))
        for add in reversed(added):
            run = add(run)
        return run

    return decorate


def ask(prompt: str, default: str = "") -> str:
    """The answer to a question, without the blanks around it."""
    return _line(prompt).strip() or default


def confirm(prompt: str, *, default: bool = False) -> bool:
    """`[y/N]` or, when yes is the default, `[Y/n]`; asks again until the answer is one of the two."""
    while True:
        answer = ask(f"{prompt} [{'Y/n' if default else 'y/N'}]").lower()
        if answer in ("", "y", "yes", "n", "no"):
            return default if not answer else answer.startswith("y")
        click.echo(f"Did not understand answer '{answer}'", err=True)


def secret(prompt: str) -> str:
    if sys.stdin.isatty():
        try:
            return getpass.getpass(prompt)
        except EOFError:
            _no_answer()
    return _line(prompt)


def new_secret(prompt: str, again: str, mismatch: str, exit_code: int = USAGE) -> str:
    """A secret that was typed twice alike."""
    first = secret(prompt)
    if secret(again) != first:
        raise Failure(mismatch, exit_code)
    return first


def _line(prompt: str) -> str:
    click.echo(prompt, nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        _no_answer()
    return line.rstrip("\r\n")


def _no_answer() -> NoReturn:
    click.echo(err=True)
    raise Failure("an answer is needed, but the input has ended", USAGE)
