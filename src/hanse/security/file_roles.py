"""The roles of `roles.yml`: read at start and when the file changes; they come before stored roles of the same name.

A role that cannot be read is left out with a sentence in the log, the others of the file count. Built-in names are not
taken from it. Tests: tests/security/test_file_roles.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hanse.errors import HanseError
from hanse.security.builtin_roles import BUILTIN_ROLES
from hanse.security.roles import RoleDescriptor, check_name, parse_role
from hanse.security.user_files import FILE_BYTES_MAX, ROLES

log = structlog.get_logger(__name__)


class FileRoles:
    """Roles by name, replaced as a whole by `reload`. `version` rises when they change."""

    def __init__(self, config_dir: Path) -> None:
        self.path = config_dir / ROLES
        self.version = 0
        self._roles: Mapping[str, RoleDescriptor] = {}
        self.reload()

    def find(self, name: str) -> RoleDescriptor | None:
        return self._roles.get(name)

    def names(self) -> tuple[str, ...]:
        return tuple(self._roles)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def reload(self) -> None:
        """Reads the file; one that cannot be read at all changes nothing."""
        try:
            roles, problems = read_roles(self.path)
        except ValueError as error:
            log.error("the roles file cannot be read, the roles from it stay as they were", file=str(self.path),
                      why=str(error))  # fmt: skip
            return
        for problem in problems:
            log.warning("a role of the roles file is left out", file=str(self.path), why=problem)
        if roles != self._roles:
            self._roles = roles
            self.version += 1


def read_roles(path: Path) -> tuple[dict[str, RoleDescriptor], list[str]]:
    """The roles of a file and what is wrong with the others. Raises ValueError when it is no file of roles at all."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        raise ValueError(str(error.strerror)) from error
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"it is larger than {FILE_BYTES_MAX} bytes")
    try:
        content = YAML(typ="safe", pure=True).load(data.decode())
    except (YAMLError, RecursionError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    if content is None:
        return {}, []
    if not isinstance(content, Mapping):
        raise ValueError("it does not hold roles of the form [name: definition]")
    found: dict[str, RoleDescriptor] = {}
    problems: list[str] = []
    for name, body in content.items():
        try:
            found[str(name)] = _role(str(name), body)
        except HanseError as error:
            problems.append(f"[{name}]: {error.reason}")
        except (AttributeError, TypeError, RecursionError):
            problems.append(f"[{name}]: it is not a role definition")
    return found, problems


def _role(name: str, body: Any) -> RoleDescriptor:
    from hanse.errors import IllegalArgumentError

    problem = check_name(name, "Role")
    if name in BUILTIN_ROLES:
        problem = f"role [{name}] is reserved; the definition in this file is ignored"
    if problem is not None:
        raise IllegalArgumentError(problem)
    return parse_role(name, _with_lists(body if body is not None else {}))


def _with_lists(body: Any) -> Any:
    """In a file, one privilege or pattern may stand without brackets, several with commas between them."""
    if not isinstance(body, Mapping):
        return body
    shaped = {key: _listed(value) if key in ("cluster", "run_as") else value for key, value in body.items()}
    for key in ("indices", "remote_indices", "applications"):
        entries = shaped.get(key)
        if isinstance(entries, list):
            shaped[key] = [_entry(entry) for entry in entries]
    return shaped


def _entry(entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    single = ("names", "privileges", "resources", "clusters")
    return {key: _listed(value) if key in single else value for key, value in entry.items()}


def _listed(value: Any) -> Any:
    if isinstance(value, str) and not value.startswith("/"):  # a regular expression may hold commas
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, str) else value
