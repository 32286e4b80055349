"""The seams to what security needs from the cluster: entries (users, roles, ...) and the names of indices and aliases.

`cluster/security_entries.py` and `cluster/names.py` satisfy them without either room importing the other.
Tests: tests/security/test_role_store.py, tests/cluster/test_names.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

Entries = Mapping[str, dict[str, Any]]
Changes = Mapping[str, dict[str, Any] | None]
Change = Callable[[Entries], Changes]


class SecurityStore(Protocol):
    """Durable security entries. Mappings are snapshots that never change; writes are durable when they return.

    `entries` has the kinds `user`, `role`, `role_mapping`, `api_key` and `application_privilege`. `role_version` and
    `user_version` rise when such an entry changes, whoever changed it.
    """

    @property
    def role_version(self) -> int: ...

    @property
    def user_version(self) -> int: ...

    def users(self) -> Mapping[str, dict[str, Any]]: ...

    def roles(self) -> Mapping[str, dict[str, Any]]: ...

    def entries(self, kind: str) -> Mapping[str, dict[str, Any]]: ...

    async def put_user(self, name: str, user: dict[str, Any]) -> bool:
        """Returns whether it was new."""
        ...

    async def delete_user(self, name: str) -> bool:
        """Returns whether it was there."""
        ...

    async def put_role(self, name: str, role: dict[str, Any]) -> bool: ...

    async def delete_role(self, name: str) -> bool: ...

    async def change(self, kind: str, change: Change) -> None:
        """Puts and (None) deletes several entries of one kind, all or none.

        `change` is given the entries in force at that moment, so that what it derives from them is never stale; when
        it raises, nothing happens.
        """
        ...


class IndexName(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def uuid(self) -> str: ...

    @property
    def is_open(self) -> bool: ...

    @property
    def is_hidden(self) -> bool: ...

    @property
    def data_stream(self) -> str:
        """Empty for an index that is behind none."""
        ...


class AliasName(Protocol):
    """One alias on one index."""

    @property
    def index(self) -> str: ...

    @property
    def filter(self) -> dict[str, Any] | None: ...

    @property
    def search_routing(self) -> str | None: ...

    @property
    def index_routing(self) -> str | None: ...

    @property
    def is_hidden(self) -> bool: ...

    @property
    def is_write_index(self) -> bool | None: ...


class NameCatalogue(Protocol):
    """What names there are. `version` changes whenever the answer of one of the other two does."""

    @property
    def version(self) -> int: ...

    def concrete(self) -> Mapping[str, IndexName]: ...

    def aliases(self) -> Mapping[str, tuple[AliasName, ...]]: ...
