"""The native realm: users made through the API, kept in the security store with a password hash.

Tests: tests/security/test_authentication.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hanse.security.builtin_roles import RESERVED_USERS
from hanse.security.store import SecurityStore
from hanse.transport.identity import Identity, RealmRef

TYPE = "native"
DEFAULT_NAME = "default_native"


@dataclass(frozen=True, slots=True)
class Account:
    """A user as a realm knows it. `password_hash` None: cannot log in."""

    identity: Identity
    password_hash: str | None

    def __repr__(self) -> str:
        return f"<Account {self.identity.username}>"  # never the hash: representations reach logs


class NativeRealm:
    """Looks up users in the security store; immutable accounts are kept until a stored user changes."""

    type = TYPE
    ends_chain = False

    def __init__(self, store: SecurityStore, name: str = DEFAULT_NAME, node_name: str = "") -> None:
        self.name = name
        self._store = store
        self._realm = RealmRef(name, TYPE, node_name)
        self._accounts: dict[str, Account] = {}
        self._version = -1

    def knows(self, username: str) -> bool:
        return username in self._store.users() and username not in RESERVED_USERS

    def find(self, username: str) -> Account | None:
        if self._version != self._store.user_version:
            self._accounts.clear()
            self._version = self._store.user_version
        account = self._accounts.get(username)
        if account is None:
            stored = self._store.users().get(username)
            if stored is None or username in RESERVED_USERS:
                return None
            account = native_account(username, stored, self._realm)
            self._accounts[username] = account
        return account


def native_account(username: str, stored: dict[str, Any], realm: RealmRef) -> Account:
    identity = Identity(
        username,
        tuple(stored.get("roles") or ()),
        realm,
        stored.get("full_name"),
        stored.get("email"),
        stored.get("metadata") or {},
        bool(stored.get("enabled", True)),
    )
    return Account(identity, stored.get("password"))
