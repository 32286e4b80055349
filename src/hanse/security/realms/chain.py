"""The realm chain: who a user name and password belong to. First success wins; the reserved realm ends the chain.

A name that nobody knows costs the same time as a wrong password (a check against a dummy hash), so that log-in times
do not tell which users exist. Tests: tests/security/test_authentication.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hanse.security import settings as security_settings
from hanse.security.passwords import PasswordHasher, dummy_hash
from hanse.security.realms.native import DEFAULT_NAME, Account, NativeRealm
from hanse.security.realms.reserved import ReservedRealm
from hanse.security.store import SecurityStore
from hanse.security.verified import VerifiedCredentials
from hanse.settings.registry import Settings
from hanse.transport.identity import Identity

_NATIVE_PREFIX = "xpack.security.authc.realms.native."


class Realm(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def ends_chain(self) -> bool:
        """Whether a name this realm knows is asked of no later realm."""
        ...

    def knows(self, username: str) -> bool: ...

    def find(self, username: str) -> Account | None: ...


class RealmChain:
    """Realms in order."""

    def __init__(
        self,
        realms: Sequence[Realm],
        verified: VerifiedCredentials,
        *,
        store: SecurityStore | None = None,
        api_keys_enabled: bool = True,
        run_as_enabled: bool = True,
    ) -> None:
        self.realms = tuple(realms)
        self.verified = verified
        self.store = store
        self.api_keys_enabled = api_keys_enabled
        self.run_as_enabled = run_as_enabled
        self._dummy = dummy_hash(verified.hasher.algorithm)

    @classmethod
    def from_settings(cls, settings: Settings, store: SecurityStore, node_name: str = "") -> RealmChain:
        """The chain as configured; reserved and native are there without configuration."""
        names = dict.fromkeys(
            key[len(_NATIVE_PREFIX) :].split(".")[0] for key in settings if key.startswith(_NATIVE_PREFIX)
        )
        name = next(iter(names), DEFAULT_NAME)
        realms: list[Realm] = [
            ReservedRealm(store, node_name, enabled=settings.read(security_settings.RESERVED_REALM_ENABLED))
        ]
        if settings.read(security_settings.NATIVE_ENABLED.at(name)):
            realms.append(NativeRealm(store, name, node_name))
        verified = VerifiedCredentials(
            PasswordHasher(settings.read(security_settings.PASSWORD_HASHING)),
            ttl_s=settings.read(security_settings.CACHE_TTL_S.at(name)),
            entries_max=settings.read(security_settings.CACHE_MAX_USERS.at(name)),
        )
        return cls(
            realms,
            verified,
            store=store,
            api_keys_enabled=settings.read(security_settings.API_KEY_ENABLED),
            run_as_enabled=settings.read(security_settings.RUN_AS_ENABLED),
        )

    async def authenticate(self, username: str, password: str) -> Identity | None:
        """The user with this password, None when there is none, or it is disabled."""
        for realm in self.realms:
            account = realm.find(username)
            if account is not None and account.password_hash is not None:
                if await self.verified.check(username, password, account.password_hash):
                    return account.identity if account.identity.enabled else None
                return None
            if realm.ends_chain and realm.knows(username):
                break
        await self.verified.check(username, password, self._dummy)
        return None

    def find(self, username: str) -> Identity | None:
        """The user by name, for run-as; disabled users are not found."""
        for realm in self.realms:
            account = realm.find(username)
            if account is not None:
                return account.identity if account.identity.enabled else None
        return None

    def close(self) -> None:
        self.verified.hasher.close()
