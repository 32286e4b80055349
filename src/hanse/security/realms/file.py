"""The file realm: users of one node, in `users` and `users_roles` of its config folder.

Works when nothing else does: no cluster state is needed, so tools and operators get in with it. A change of the files
acts within seconds (see watched_files.py). Tests: tests/security/test_file_realm.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import structlog

from hanse.errors import SettingsError
from hanse.security.realms.native import Account
from hanse.security.user_files import USERS, USERS_ROLES, read_user_files
from hanse.transport.identity import Identity, RealmRef

log = structlog.get_logger(__name__)

TYPE = "file"
DEFAULT_NAME = "default_file"


class FileRealm:
    """Looks up users in what was read last; `reload` replaces all of it at once."""

    type = TYPE
    ends_chain = False

    def __init__(self, config_dir: Path, name: str = DEFAULT_NAME, node_name: str = "") -> None:
        self.name = name
        self._config_dir = config_dir
        self._realm = RealmRef(name, TYPE, node_name)
        self._accounts: Mapping[str, Account] = {}
        self.reload()

    @property
    def files(self) -> tuple[Path, ...]:
        return (self._config_dir / USERS, self._config_dir / USERS_ROLES)

    def knows(self, username: str) -> bool:
        return username in self._accounts

    def find(self, username: str) -> Account | None:
        return self._accounts.get(username)

    def reload(self) -> None:
        """Reads the files; those that cannot be read at all leave the users as they were."""
        try:
            found = read_user_files(self._config_dir)
        except SettingsError as error:
            log.error("the files of the file realm cannot be read, its users stay as they were", why=error.reason)
            return
        for problem in found.problems:
            log.warning("an entry of the file realm is left out", why=problem)
        self._accounts = {
            name: Account(Identity(name, found.roles.get(name, ()), self._realm), hashed)
            for name, hashed in found.hashes.items()
        }
