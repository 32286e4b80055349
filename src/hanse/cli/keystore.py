"""`hanse keystore` and `elasticsearch-keystore`: the secure settings of a node, edited on the machine it runs on.

A change is saved whole or not at all. A running node reads the file at its next start.
Tests: tests/cli/test_keystore.py.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from hanse.cli.certutil_output import write_private
from hanse.cli.terminal import (
    CONFIG,
    DATA_ERROR,
    HELP,
    IO_ERROR,
    USAGE,
    Failure,
    Tool,
    confirm,
    failing,
    new_secret,
    option,
    secret,
    tool_options,
)
from hanse.settings.keystore import FILE_NAME, SEED, Keystore, has_password

NOT_PROTECTED = 1
_NEW_PASSWORD = "Enter new password for the elasticsearch keystore (empty for no password): "  # noqa: S105, a question
_AGAIN = "Enter same password again: "
_MISMATCH = "Passwords are not equal, exiting."
_FORCE = "Overwrite without asking, and make the keystore when there is none."


@click.group(context_settings=HELP)
def keystore() -> None:
    """Keep the secure settings of a node."""


@keystore.command()
@tool_options()
@option("-p", "--password", is_flag=True, help="Ask for a password to protect it with.")
def create(tool: Tool, password: bool) -> None:
    """Make a new keystore."""
    path = tool.config_dir / FILE_NAME
    if path.exists() and not confirm("An elasticsearch keystore already exists. Overwrite?"):
        tool.say("Exiting without creating keystore.")
        return
    protection = new_secret(_NEW_PASSWORD, _AGAIN, _MISMATCH, DATA_ERROR) if password else ""
    _save(Keystore.create(tool.config_dir, protection))
    tool.say(f"Created elasticsearch keystore in {path}")


@keystore.command("list")
@tool_options()
def list_names(tool: Tool) -> None:
    """List the names of the settings in the keystore."""
    for name in _opened(tool):
        click.echo(name)


@keystore.command()
@tool_options()
@option("-f", "--force", is_flag=True, help=_FORCE)
@option("-x", "--stdin", "from_stdin", is_flag=True, help="Read values from standard input, one a line.")
@click.argument("names", nargs=-1)
def add(tool: Tool, force: bool, from_stdin: bool, names: Sequence[str]) -> None:
    """Add settings; their values are asked for."""
    if not names:
        raise Failure("the setting names can not be empty", USAGE)
    opened = _opened_or_made(tool, force=force)
    if opened is None:
        return
    for name in names:
        if not _may_set(tool, opened, name, force=force):
            return
        value = _line_of_stdin(name) if from_stdin else secret(f"Enter value for {name}: ")
        _set(opened, name, value)
    _save(opened)


@keystore.command("add-file")
@tool_options()
@option("-f", "--force", is_flag=True, help=_FORCE)
@click.argument("pairs", nargs=-1, metavar="NAME PATH [NAME PATH]...")
def add_file(tool: Tool, force: bool, pairs: Sequence[str]) -> None:
    """Add the contents of text files as settings."""
    if len(pairs) < 2:
        raise Failure("Missing setting name" if not pairs else "Missing file name", USAGE)
    if len(pairs) % 2:
        raise Failure("settings and filenames must come in pairs", USAGE)
    opened = _opened_or_made(tool, force=force)
    if opened is None:
        return
    for name, file in zip(pairs[::2], pairs[1::2], strict=True):
        if not _may_set(tool, opened, name, force=force):
            return
        _set(opened, name, _text_of(Path(file)))
    _save(opened)


@keystore.command()
@tool_options()
@click.argument("names", nargs=-1)
def remove(tool: Tool, names: Sequence[str]) -> None:
    """Remove settings."""
    if not names:
        raise Failure("Must supply at least one setting to remove", USAGE)
    opened = _opened(tool)
    for name in names:
        with failing(CONFIG):
            opened.remove(name)
    _save(opened)


@keystore.command()
@tool_options()
def passwd(tool: Tool) -> None:
    """Change the password of the keystore."""
    opened = _opened(tool)
    opened.change_password(new_secret(_NEW_PASSWORD, _AGAIN, _MISMATCH, DATA_ERROR))
    _save(opened)
    tool.say("Elasticsearch keystore password changed successfully.")


@keystore.command("has-passwd")
@tool_options()
def has_passwd(tool: Tool) -> None:
    """Tell by the exit status whether the keystore has a password."""
    _check_exists(tool)
    with failing(DATA_ERROR):
        protected = has_password(tool.config_dir)
    if not protected:
        raise Failure("Keystore is not password-protected", NOT_PROTECTED)
    tool.say("Keystore is password-protected")


@keystore.command()
@tool_options()
@option("-o", "--output", type=click.Path(path_type=Path), help="Write the value to this new file.")
@click.argument("name", required=False)
def show(tool: Tool, output: Path | None, name: str | None) -> None:
    """Show the value of a setting."""
    if name is None:
        raise Failure("Must provide a single setting name to show", USAGE)
    opened = _opened(tool)
    if name not in opened:
        raise Failure(f"Setting [{name}] does not exist in the keystore.", CONFIG)
    if output is None:
        click.echo(opened[name])
    else:
        write_private(output.absolute(), opened[name].encode())


@keystore.command()
@tool_options()
def upgrade(tool: Tool) -> None:
    """Write the keystore in the present format, with a seed when it has none."""
    opened = _opened(tool)
    if SEED not in opened:
        opened.set(SEED, Keystore.create(tool.config_dir)[SEED])
    _save(opened)


def _check_exists(tool: Tool) -> None:
    path = tool.config_dir / FILE_NAME
    if not path.exists():
        raise Failure(f"Elasticsearch keystore not found at [{path}]. Use 'create' command to create one.", DATA_ERROR)


def _opened(tool: Tool) -> Keystore:
    _check_exists(tool)
    opened = tool.open_keystore()
    assert opened is not None
    return opened


def _opened_or_made(tool: Tool, *, force: bool) -> Keystore | None:
    """The keystore; a new one when there is none and that is wanted."""
    opened = tool.open_keystore()
    if opened is not None:
        return opened
    if not force and not confirm("The elasticsearch keystore does not exist. Do you want to create it?"):
        tool.say("Exiting without creating keystore.")
        return None
    opened = Keystore.create(tool.config_dir)
    _save(opened)
    tool.say(f"Created elasticsearch keystore in {opened.path}")
    return opened


def _may_set(tool: Tool, opened: Keystore, name: str, *, force: bool) -> bool:
    if name not in opened or force or confirm(f"Setting {name} already exists. Overwrite?"):
        return True
    tool.say("Exiting without modifying keystore.")
    return False


def _set(opened: Keystore, name: str, value: str) -> None:
    if not value:
        raise Failure(f"setting [{name}] must not be empty", DATA_ERROR)
    with failing(USAGE):
        opened.set(name, value)


def _line_of_stdin(name: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise Failure(f"no value for [{name}] on standard input", USAGE)
    return line.rstrip("\r\n")


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError as error:
        raise Failure(f"File [{path}] does not exist", IO_ERROR) from error
    except OSError as error:
        raise Failure(f"cannot read [{path}]: {error.strerror}", IO_ERROR) from error
    except UnicodeDecodeError as error:
        raise Failure(f"[{path}] is not UTF-8 text; only text files can be kept", DATA_ERROR) from error


def _save(opened: Keystore) -> None:
    before = _owner(opened.path)
    with failing(CONFIG):
        opened.save()
    after = _owner(opened.path)
    if before is not None and before != after:
        try:
            os.chown(opened.path, *before)
        except OSError:
            click.echo(f"WARNING: Owner of file [{opened.path}] has changed from {before} to {after}", err=True)


def _owner(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_uid, found.st_gid
