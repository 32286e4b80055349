"""The role mappings of `role_mapping.yml`: `role: ["distinguished name", …]`, for users who are known by certificate.

Names are compared part by part and never by pattern. A file that cannot be used stops the start, and changes nothing in
a running node, nor does one that is gone: roles are neither given nor taken by an accident.
Tests: tests/security/test_role_mapping_file.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hanse.errors import SettingsError
from hanse.tls.identity import Rdns, structured_text

log = structlog.get_logger(__name__)

FILE_NAME = "role_mapping.yml"
FILE_BYTES_MAX = 1024 * 1024


class RoleMappingFile:
    """Roles by distinguished name, replaced as a whole by `reload`."""

    def __init__(self, path: Path, setting: str | None = None) -> None:
        """A file that a `setting` names has to exist. Raises SettingsError for one that cannot be used."""
        self.path = path
        self._setting = setting
        self.roles: Mapping[Rdns, tuple[str, ...]] = self._read()

    def reload(self) -> None:
        try:
            if self.roles and not self.path.exists():
                raise SettingsError(f"cannot use [{self.path}]: it is gone; leave an empty file to remove its mappings")
            roles = self._read()
        except SettingsError as error:
            log.error("the file of role mappings cannot be used, they stay as they were", why=error.reason)
            return
        if roles != self.roles:
            self.roles = roles
            log.info("the file of role mappings was read", file=str(self.path), names=len(roles))

    def _read(self) -> dict[Rdns, tuple[str, ...]]:
        content = _content(self.path, self._setting)
        if not isinstance(content, Mapping):
            raise SettingsError(f"cannot use [{self.path}]: it does not hold lines of the form [role: [names]]")
        found: dict[Rdns, dict[str, None]] = {}
        for role, names in content.items():
            for name in [names] if isinstance(names, str) else names if isinstance(names, list) else [None]:
                found.setdefault(self._structured(role, name), {})[str(role)] = None
        return {name: tuple(roles) for name, roles in found.items()}

    def _structured(self, role: Any, name: Any) -> Rdns:
        try:
            if isinstance(name, str):
                return structured_text(name)
        except ValueError:
            pass
        raise SettingsError(f"cannot use [{self.path}]: [{name}] of role [{role}] is not a distinguished name")


def roles_of_subject(roles: Mapping[Rdns, tuple[str, ...]], subject: str) -> tuple[str, ...]:
    """Of a subject in RFC 4514 text; none for one that cannot be read."""
    try:
        return roles.get(structured_text(subject), ())
    except ValueError:
        return ()


def _content(path: Path, setting: str | None) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        if setting is not None:
            raise SettingsError(f"Role mapping file [{path}] of [{setting}] does not exist") from error
        return {}
    except OSError as error:
        raise SettingsError(f"cannot read [{path}]: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise SettingsError(f"cannot use [{path}]: it is larger than {FILE_BYTES_MAX} bytes")
    try:
        content = YAML(typ="safe", pure=True).load(data.decode())
    except (YAMLError, RecursionError, ValueError) as error:
        raise SettingsError(f"cannot use [{path}]: {' '.join(str(error).split())}") from error
    return {} if content is None else content
