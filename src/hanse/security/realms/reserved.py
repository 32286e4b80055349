"""The reserved realm: Elasticsearch's built-in users. A wrong password for one ends the chain.

A built-in user without a password cannot log in; `elastic` gets its first one from the bootstrap (see bootstrap.py).
Tests: tests/security/test_authentication.py.
"""

from __future__ import annotations

from typing import Any

from hanse.security.builtin_roles import RESERVED_USERS
from hanse.security.realms.native import Account
from hanse.security.store import SecurityStore
from hanse.transport.identity import Identity, RealmRef

TYPE = "reserved"


class ReservedRealm:
    """Looks up built-in users in the security store."""

    name = TYPE
    type = TYPE
    ends_chain = True

    def __init__(self, store: SecurityStore, node_name: str = "", *, enabled: bool = True) -> None:
        self._store = store
        self._realm = RealmRef(TYPE, TYPE, node_name)
        self._enabled = enabled
        self._accounts: dict[str, tuple[dict[str, Any] | None, Account]] = {}
        """By name, each with the stored entry it was made of; entries never change, they are replaced."""

    def knows(self, username: str) -> bool:
        return username in RESERVED_USERS

    def find(self, username: str) -> Account | None:
        if not self._enabled or username not in RESERVED_USERS:
            return None
        stored = self._store.users().get(username)
        kept = self._accounts.get(username)
        if kept is None or kept[0] is not stored:
            kept = self._accounts[username] = (stored, reserved_account(username, stored, self._realm))
        return kept[1]


def reserved_account(username: str, stored: dict[str, Any] | None, realm: RealmRef) -> Account:
    stored = stored or {}
    enabled = bool(stored.get("enabled", True))
    metadata: dict[str, Any] = {"_reserved": True}
    if username == "kibana":
        metadata.update(_deprecated=True, _deprecated_reason="Please use the [kibana_system] user instead.")
    identity = Identity(username, RESERVED_USERS[username], realm, metadata=metadata, enabled=enabled)
    return Account(identity, stored.get("password"))
