"""`hanse users` and `elasticsearch-users`: the users of the file realm, kept in the node's config folder.

A running node takes a change up within seconds. Tests: tests/cli/test_users.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from hanse.cli.terminal import (
    CODE_ERROR,
    CONFIG,
    DATA_ERROR,
    HELP,
    NO_USER,
    USAGE,
    Failure,
    Tool,
    failing,
    new_secret,
    option,
    tool_options,
)
from hanse.security.builtin_roles import BUILTIN_ROLES
from hanse.security.passwords import hash_now, problem_with
from hanse.security.settings import PASSWORD_HASHING
from hanse.security.user_files import (
    ROLES,
    USERS,
    USERS_ROLES,
    UserFiles,
    edited_user_files,
    name_problem,
    owner_of,
    read_user_files,
)

NAME_COLUMN = 15


@click.group(context_settings=HELP)
def users() -> None:
    """Keep the users of the file realm."""


@users.command()
@tool_options()
@option("-p", "--password", help="The password; asked for when it is not given.")
@option("-r", "--roles", default="", help="Roles, comma separated.")
@click.argument("username", required=False)
def useradd(tool: Tool, password: str | None, roles: str, username: str | None) -> None:
    """Add a user."""
    name = _given(username)
    problem = name_problem(name, "User")
    if problem is not None:
        raise Failure(f"Invalid username [{name}]... {problem}", DATA_ERROR)
    listed = _roles(tool, roles)
    if name in _read(tool).hashes:
        raise Failure(f"User [{name}] already exists", CODE_ERROR)
    hashed = _hash(tool, password)
    with _edited(tool) as files:
        if name in files.hashes:
            raise Failure(f"User [{name}] already exists", CODE_ERROR)
        files.hashes[name] = hashed
        files.roles.pop(name, None)  # of a user long gone, whose rights nobody means to give to this one
        if listed:
            files.roles[name] = listed


@users.command()
@tool_options()
@click.argument("username", required=False)
def userdel(tool: Tool, username: str | None) -> None:
    """Remove a user."""
    with _edited(tool) as files:
        files.forget(_existing(files, username))


@users.command()
@tool_options()
@option("-p", "--password", help="The password; asked for when it is not given.")
@click.argument("username", required=False)
def passwd(tool: Tool, password: str | None, username: str | None) -> None:
    """Change the password of a user."""
    name = _existing(_read(tool), username)
    hashed = _hash(tool, password)
    with _edited(tool) as files:
        files.hashes[_existing(files, name)] = hashed


@users.command()
@tool_options()
@option("-a", "--add", default="", help="Roles to add, comma separated.")
@option("-r", "--remove", default="", help="Roles to take away, comma separated.")
@click.argument("username", required=False)
def roles(tool: Tool, add: str, remove: str, username: str | None) -> None:
    """Change the roles of a user, or show them."""
    if not add and not remove:
        _show(tool, [_existing(_read(tool), username)])
        return
    taken, given = _checked_names(remove), _roles(tool, add)
    with _edited(tool) as files:
        name = _existing(files, username)
        kept = [role for role in files.roles.get(name, ()) if role not in taken]
        files.roles[name] = tuple(dict.fromkeys([*kept, *given]))
        if not files.roles[name]:
            del files.roles[name]


@users.command("list")
@tool_options()
@click.argument("username", required=False)
def list_users(tool: Tool, username: str | None) -> None:
    """List users and their roles."""
    files = _read(tool)
    names = [_existing(files, username)] if username is not None else sorted(files.hashes)
    if not names:
        tool.say("No users found")
    else:
        _show(tool, names)


def _show(tool: Tool, names: Iterable[str]) -> None:
    files, known = _read(tool), _known_roles(tool)
    unknown = False
    for name in names:
        shown = [role if role in known else f"{role}*" for role in files.roles.get(name, ())]
        unknown = unknown or any(role.endswith("*") for role in shown)
        click.echo(f"{name:<{NAME_COLUMN}}: {','.join(shown) or '-'}")
    if unknown:
        tool.say(f"\n [*]   Neither a built-in role nor one of [{(tool.config_dir / ROLES).absolute()}]")


def _given(username: str | None) -> str:
    if not username:
        raise Failure("Missing username argument", USAGE)
    return username


def _existing(files: UserFiles, username: str | None) -> str:
    name = _given(username)
    if name not in files.hashes:
        raise Failure(f"User [{name}] doesn't exist", NO_USER)
    return name


def _hash(tool: Tool, password: str | None) -> str:
    if password is None:
        password = new_secret("Enter new password: ", "Retype new password: ", "Password mismatch")
    problem = problem_with(password)
    if problem is not None:
        raise Failure(f"Invalid password...{problem}", DATA_ERROR)
    with failing(CONFIG):
        return hash_now(password, tool.settings().read(PASSWORD_HASHING))


def _roles(tool: Tool, text: str) -> tuple[str, ...]:
    """The roles to give; those that this node does not define are warned of, since they may be made later."""
    listed = _checked_names(text)
    known = _known_roles(tool)
    unknown = [role for role in listed if role not in known]
    if unknown:
        click.echo(
            f"Warning: The following roles [{','.join(unknown)}] are not in the "
            f"[{(tool.config_dir / ROLES).absolute()}] file. That is right for roles made with the API; otherwise "
            f"check the names. The user is given them in any case.",
            err=True,
        )
    return listed


def _checked_names(text: str) -> tuple[str, ...]:
    listed = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for role in listed:
        problem = name_problem(role, "Role")
        if problem is not None:
            raise Failure(f"Invalid role [{role}]... {problem}", DATA_ERROR)
    return listed


def _known_roles(tool: Tool) -> set[str]:
    from hanse.security.file_roles import read_roles

    try:
        of_file, _ = read_roles(tool.config_dir / ROLES)
    except ValueError:
        of_file = {}
    return {*BUILTIN_ROLES, *of_file}


def _read(tool: Tool) -> UserFiles:
    with failing(CONFIG):
        return read_user_files(tool.config_dir)


@contextmanager
def _edited(tool: Tool) -> Iterator[UserFiles]:
    """The files to be changed; warns when a write has made somebody else their owner."""
    paths = [tool.config_dir / name for name in (USERS, USERS_ROLES)]
    before = [owner_of(path) for path in paths]
    with failing(CONFIG), edited_user_files(tool.config_dir) as files:
        yield files
    for path, old in zip(paths, before, strict=True):
        _warn_of_owner(path, old)


def _warn_of_owner(path: Path, old: str | None) -> None:
    new = owner_of(path)
    if old is not None and new != old:
        click.echo(f"WARNING: Owner of file [{path}] used to be [{old}], but now is [{new}]", err=True)
