"""Role names to what they mean on this cluster: built-in roles first, then those of roles.yml, then the stored ones.

Compiled permissions are kept per set of role names and forgotten when a stored role changes, so a change acts on the
next request. Names that this cluster does not define contribute nothing. Tests: tests/security/test_role_store.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from hanse.errors import HanseError
from hanse.security.builtin_roles import BUILTIN_ROLES
from hanse.security.file_roles import FileRoles
from hanse.security.permission import Permission
from hanse.security.roles import RoleDescriptor, parse_role, role_from_stored
from hanse.security.store import SecurityStore
from hanse.transport.identity import Identity

log = structlog.get_logger(__name__)

PERMISSIONS_MAX = 5000


class RoleStore:
    """Looks up roles and compiles what identities may do."""

    def __init__(self, store: SecurityStore, file_roles: FileRoles | None = None) -> None:
        self.entries = store
        self._file_roles = file_roles
        self._permissions: dict[Any, Permission] = {}
        self._compiled_version = -1

    @property
    def version(self) -> int:
        """Rises whenever a stored role or one of roles.yml changes."""
        return self.entries.role_version + (self._file_roles.version if self._file_roles is not None else 0)

    def find(self, name: str) -> RoleDescriptor | None:
        builtin = BUILTIN_ROLES.get(name)
        if builtin is not None:
            return builtin
        of_file = self._file_roles.find(name) if self._file_roles is not None else None
        if of_file is not None:
            return of_file
        stored = self.entries.roles().get(name)
        return None if stored is None else role_from_stored(name, stored)

    def all(self) -> dict[str, RoleDescriptor]:
        stored = {name: role_from_stored(name, role) for name, role in self.entries.roles().items()}
        return {**stored, **BUILTIN_ROLES}

    def permission(self, identity: Identity, ceiling: Permission | None = None) -> Permission:
        """What this identity may do here. API keys carry their own descriptors; everybody else is role names.

        `ceiling` is a remote peer's: it has to allow everything as well.
        """
        if self._compiled_version != self.version:
            self.clear()
        cached_under: Any = identity.roles if identity.api_key is None else _api_key_content(identity.api_key)
        if ceiling is not None:
            cached_under = (ceiling.key, cached_under)
        found = self._permissions.get(cached_under)
        if found is None:
            if identity.api_key is None:
                found = self._of_roles(identity.roles, ceiling)
            else:
                found = _of_api_key(identity.api_key, ceiling)
            if len(self._permissions) >= PERMISSIONS_MAX:
                self._permissions.clear()
            self._permissions[cached_under] = found
        return found

    def clear(self) -> None:
        self._permissions.clear()
        self._compiled_version = self.version

    def _of_roles(self, names: tuple[str, ...], ceiling: Permission | None) -> Permission:
        descriptors, missing = [], []
        for name in dict.fromkeys(names):
            descriptor = self.find(name)
            if descriptor is None:
                missing.append(name)
            else:
                descriptors.append(descriptor)
        return Permission(descriptors, missing, ceiling)


def _api_key_content(api_key: Mapping[str, Any]) -> bytes:
    # The descriptors are part of the key: a peer may send the same id with other descriptors after an update.
    return msgspec.msgpack.encode((api_key.get("id"), api_key.get("role_descriptors"), api_key.get("limited_by")))


def _of_api_key(api_key: Mapping[str, Any], ceiling: Permission | None) -> Permission:
    """A key's own descriptors under its owner's; without own ones, the owner's. Unreadable ones grant nothing."""
    limit = Permission(_descriptors(api_key.get("limited_by")), ceiling=ceiling)
    own = api_key.get("role_descriptors")
    return limit if not own else Permission(_descriptors(own), ceiling=limit)


def _descriptors(value: Any) -> list[RoleDescriptor]:
    if not isinstance(value, Mapping):
        return []
    found = []
    for name, body in value.items():
        try:
            # Metadata plays no part in a decision, and a built-in role's snapshot has reserved keys in it.
            found.append(parse_role(name, {key: part for key, part in body.items() if key != "metadata"}))
        except (HanseError, AttributeError):
            log.warning("a role descriptor of an api key cannot be read and grants nothing", role=name)
    return found
