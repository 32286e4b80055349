"""The files of the file realm: `users` (`name:hash` a line) and `users_roles` (`role:name,name` a line).

Read by the realm and by the tools, written by the tools: a write is atomic, keeps mode and owner, and gives a new file
mode 0600. Lines that cannot be read are told to the caller and left out. Tests: tests/security/test_user_files.py.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hanse.errors import SettingsError
from hanse.security.builtin_roles import INTERNAL_USERS, RESERVED_USERS
from hanse.security.passwords import is_supported_hash

USERS, USERS_ROLES, ROLES = "users", "users_roles", "roles.yml"
NAME_CHARS_MAX = 1024
FILE_BYTES_MAX = 16 * 1024 * 1024
NEW_FILE_MODE = 0o600

_NAME = re.compile(r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")


@dataclass(slots=True)
class UserFiles:
    """Hashes by name and roles by name. `problems` are the lines that were left out, a sentence each."""

    hashes: dict[str, str] = field(default_factory=dict)
    roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def forget(self, name: str) -> None:
        self.hashes.pop(name, None)
        self.roles.pop(name, None)


def name_problem(name: str, kind: str) -> str | None:
    """The sentence against a name, None when a file may hold it. `kind` is User or Role."""
    if len(name) > NAME_CHARS_MAX or not _NAME.match(name) or name.startswith("#") or set(name) & set(":,"):
        return (
            f"{kind} names must be at least 1 and no more than {NAME_CHARS_MAX} characters. They can contain "
            f"alphanumeric characters (a-z, A-Z, 0-9), spaces, punctuation, and printable symbols in the Basic Latin "
            f"(ASCII) block, but neither [:] nor [,]. Leading or trailing whitespace is not allowed."
        )
    if kind == "User" and (name in RESERVED_USERS or name in INTERNAL_USERS):
        return f"Username [{name}] is reserved and may not be used."
    return None


def read_user_files(config_dir: Path) -> UserFiles:
    """Both files; a missing one is empty. Raises SettingsError when one cannot be read at all."""
    found = UserFiles()
    path = config_dir / USERS
    for number, line in _lines(path):
        name, colon, hashed = line.partition(":")
        if not colon or name_problem(name, "User") is not None:
            found.problems.append(f"invalid entry in users file [{path}], line [{number}]")
        elif not is_supported_hash(hashed):
            found.problems.append(f"unknown password hash in users file [{path}], line [{number}], user [{name}]")
        else:
            found.hashes[name] = hashed
    _read_roles(config_dir / USERS_ROLES, found)
    return found


def _read_roles(path: Path, found: UserFiles) -> None:
    roles: dict[str, list[str]] = {}
    for number, line in _lines(path):
        role, colon, names = line.partition(":")
        role = role.strip()
        if not colon or name_problem(role, "Role") is not None:
            found.problems.append(f"invalid entry in users_roles file [{path}], line [{number}]")
            continue
        for name in names.split(","):
            if name := name.strip():
                roles.setdefault(name, []).append(role)
    found.roles = {name: tuple(dict.fromkeys(listed)) for name, listed in roles.items()}


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise SettingsError(f"the file [{path}] is larger than {FILE_BYTES_MAX} bytes")
        text = data.decode()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the file [{path}]: {error}") from error
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if line.strip() and not line.startswith("#"):
            yield number, line


@contextmanager
def edited_user_files(config_dir: Path) -> Iterator[UserFiles]:
    """Both files to be changed; written when the block ends well. Two tools at once wait for each other."""
    try:
        folder = os.open(config_dir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise SettingsError(f"cannot open the config directory [{config_dir}]: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        files = read_user_files(config_dir)
        if files.problems:
            raise SettingsError(f"{files.problems[0]}; mend or remove it first, nothing has been changed")
        hashes, roles = dict(files.hashes), dict(files.roles)
        yield files
        # Roles first: a user that can log in already has what it may do, and never more.
        if files.roles != roles:
            _write(config_dir / USERS_ROLES, _by_role(files.roles))
        if files.hashes != hashes:
            _write(config_dir / USERS, files.hashes)
    finally:
        os.close(folder)


def _by_role(roles: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    members: dict[str, list[str]] = {}
    for name, listed in roles.items():
        for role in listed:
            members.setdefault(role, []).append(name)
    return {role: ",".join(names) for role, names in members.items()}


def _write(path: Path, entries: Mapping[str, str]) -> None:
    content = "".join(f"{key}:{value}\n" for key, value in entries.items()).encode()
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        before = path.stat() if path.exists() else None
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, NEW_FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if before is not None:
                _keep_owner(file.fileno(), before)
                os.fchmod(file.fileno(), before.st_mode & 0o7777)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise SettingsError(f"cannot write [{path}]: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)


def _keep_owner(descriptor: int, before: os.stat_result) -> None:
    try:
        os.fchown(descriptor, before.st_uid, before.st_gid)
    except OSError:
        return  # only root may give a file away; the tool warns of the new owner


def owner_of(path: Path) -> str | None:
    """The name of a file's owner, None when there is no such file."""
    try:
        number = path.stat().st_uid
    except OSError:
        return None
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
