"""The realm chain: who a user name and password belong to. First success wins; the reserved realm ends the chain.

A name that nobody knows costs the same time as a wrong password (a check against a dummy hash), so that log-in times
do not tell which users exist. Tests: tests/security/test_authentication.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from hanse.security import settings as security_settings
from hanse.security.passwords import PasswordHasher, dummy_hash
from hanse.security.realms import file, native
from hanse.security.realms.file import FileRealm
from hanse.security.realms.native import Account, NativeRealm
from hanse.security.realms.pki import IsOwn, PkiRealm, pki_realm_names
from hanse.security.realms.reserved import ReservedRealm
from hanse.security.store import SecurityStore
from hanse.security.verified import VerifiedCredentials
from hanse.settings.registry import Setting, Settings
from hanse.tls.identity import PeerCertificate
from hanse.transport.identity import Identity

REALMS = "xpack.security.authc.realms."
"""What the settings of realms begin with."""


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
        certificate_realms: Sequence[PkiRealm] = (),
    ) -> None:
        self.realms = tuple(realms)
        self.certificate_realms = tuple(certificate_realms)
        self.verified = verified
        self.store = store
        self.api_keys_enabled = api_keys_enabled
        self.run_as_enabled = run_as_enabled
        self._dummy = dummy_hash(verified.hasher.algorithm)

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        store: SecurityStore,
        node_name: str = "",
        *,
        config_dir: Path | None = None,
        secure: Mapping[str, str] | None = None,
        is_own: IsOwn = lambda certificate: False,
    ) -> RealmChain:
        """The chain as configured; reserved, file and native are there without configuration, in that order.

        Without a `config_dir` there is neither a file realm nor a PKI realm.
        """
        name = _configured_name(settings, native.TYPE) or native.DEFAULT_NAME
        ordered: list[tuple[int, Realm]] = []
        if config_dir is not None:
            file_name = _configured_name(settings, file.TYPE) or file.DEFAULT_NAME
            if settings.read(security_settings.FILE_ENABLED.at(file_name)):
                place = _place(settings, security_settings.FILE_ORDER.at(file_name), unset=-2)
                ordered.append((place, FileRealm(config_dir, file_name, node_name)))
        if settings.read(security_settings.NATIVE_ENABLED.at(name)):
            place = _place(settings, security_settings.NATIVE_ORDER.at(name), unset=-1)
            ordered.append((place, NativeRealm(store, name, node_name)))
        reserved = ReservedRealm(store, node_name, enabled=settings.read(security_settings.RESERVED_REALM_ENABLED))
        realms: list[Realm] = [reserved, *(realm for _, realm in sorted(ordered, key=lambda entry: entry[0]))]
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
            certificate_realms=[
                PkiRealm.from_settings(
                    settings,
                    pki,
                    store,
                    config_dir=config_dir,
                    secure=secure or {},
                    node_name=node_name,
                    is_own=is_own,
                )
                for pki in (pki_realm_names(settings) if config_dir is not None else ())
                if config_dir is not None
            ],
        )

    async def authenticate(self, username: str, password: str) -> Identity | None:
        """The user with this password, None when there is none, or it is disabled."""
        checked = False
        for realm in self.realms:
            account = realm.find(username)
            if account is not None and account.password_hash is not None:
                checked = True
                if await self.verified.check(username, password, account.password_hash):
                    return account.identity if account.identity.enabled else None
            if realm.ends_chain and realm.knows(username):
                break
        if not checked:
            await self.verified.check(username, password, self._dummy)
        return None

    def of_certificate(self, certificate: PeerCertificate) -> Identity | None:
        """The user of a client certificate that a handshake has verified; the first PKI realm that knows one."""
        found = (realm.user(certificate) for realm in self.certificate_realms)
        return next((identity for identity in found if identity is not None), None)

    def find(self, username: str) -> Identity | None:
        """The user by name, for run-as; disabled users are not found."""
        for realm in self.realms:
            account = realm.find(username)
            if account is not None:
                return account.identity if account.identity.enabled else None
        return None

    def close(self) -> None:
        self.verified.hasher.close()


def _configured_name(settings: Settings, type: str) -> str | None:
    """The name that elasticsearch.yml gives the realm of a type."""
    prefix = f"{REALMS}{type}."
    return next((key[len(prefix) :].split(".")[0] for key in settings if key.startswith(prefix)), None)


def _place(settings: Settings, order: Setting[int], *, unset: int) -> int:
    """Realms without an `order` stand before those that have one."""
    return settings.read(order) if order.key in settings else unset
