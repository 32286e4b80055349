"""The PKI realm: users who show a client certificate over HTTPS, with roles from role mappings.

The certificate was verified by the handshake; only one that was, by the trust of the HTTP port, gets here. A
certificate of the authority of this cluster's own nodes is a node's until a role mapping says what it may do as a user:
without one it is nobody here. Role mappings are those of the API and those of role_mapping.yml. The user's name is what
`username_pattern` finds in the subject, and nothing when there is any doubt (subjects.py).
Tests: tests/security/test_pki_realm.py, tests/journeys/test_pki.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import re2
import structlog
from cryptography import x509

from hanse.errors import SettingsError
from hanse.security import settings as declared
from hanse.security.role_mapping_actions import KIND
from hanse.security.role_mapping_file import FILE_NAME, RoleMappingFile, roles_of_subject
from hanse.security.role_mappings import MappedUser, mapped_roles
from hanse.security.store import SecurityStore
from hanse.security.subjects import username_of
from hanse.settings.registry import Settings
from hanse.tls.identity import PeerCertificate, Rdns, fingerprint
from hanse.tls.key_material import Stores, read_certificates, read_trusted_store
from hanse.tls.ssl_settings import StoreSettings, file_below
from hanse.transport.identity import Identity, RealmRef

log = structlog.get_logger(__name__)

_re2: Any = re2  # the module has no types
TYPE = "pki"
REMEMBERED_MAX = 1000
_NO_MAPPINGS: Mapping[str, dict[str, Any]] = {}
"""Always the same, so that what was judged without mappings is remembered too."""

IsOwn = Callable[[PeerCertificate], bool]


class _Judges(NamedTuple):
    """What decides who a certificate is."""

    mappings: Mapping[str, dict[str, Any]]
    of_file: Mapping[Rdns, tuple[str, ...]] | None
    authorities: frozenset[str] | None


class PkiRealm:
    """Knows users by certificate, never by password or name."""

    def __init__(
        self,
        name: str,
        store: SecurityStore,
        *,
        pattern: Any,
        authorities: Callable[[], frozenset[str] | None] = lambda: None,
        files: tuple[Path, ...] = (),
        mapping_file: RoleMappingFile | None = None,
        node_name: str = "",
        is_own: IsOwn = lambda certificate: False,
    ) -> None:
        """`authorities` reads the SHA-256 fingerprints, one of which has to stand above a certificate; None: any."""
        self.name = name
        self._store = store
        self._pattern = pattern
        self._read_authorities = authorities
        self._authorities = authorities()
        self._mapping_file = mapping_file
        self.files = files if mapping_file is None else (*files, mapping_file.path)
        self._realm = RealmRef(name, TYPE, node_name)
        self._is_own = is_own
        self._remembered: dict[PeerCertificate, tuple[_Judges, Identity | None]] = {}

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        name: str,
        store: SecurityStore,
        *,
        config_dir: Path,
        secure: Mapping[str, str],
        node_name: str,
        is_own: IsOwn,
    ) -> PkiRealm:
        """Raises SettingsError naming the setting."""
        delegation = declared.PKI_DELEGATION.at(name)
        if settings.read(delegation):
            raise SettingsError(
                f"[{delegation.key}] is [true], but delegated PKI authentication is not supported: it hands out tokens "
                f"of a token service, which this node does not have"
            )
        others = declared.PKI_AUTHORIZATION_REALMS.at(name)
        if settings.read(others):
            raise SettingsError(
                f"[{others.key}] is set, but roles of users who are known by certificate come from role mappings only"
            )
        return cls(
            name,
            store,
            pattern=_pattern(settings, name),
            authorities=lambda: _authorities(settings, name, config_dir, secure),
            files=_files(settings, name, config_dir),
            mapping_file=_mapping_file(settings, name, config_dir),
            node_name=node_name,
            is_own=is_own,
        )

    def reload(self) -> None:
        """Reads the realm's authorities and mappings anew; files that cannot be used change nothing."""
        if self._mapping_file is not None:
            self._mapping_file.reload()
        try:
            found = self._read_authorities()
        except SettingsError as error:
            log.error(
                "the authorities of a PKI realm cannot be read, they stay as they were",
                realm=self.name,
                why=error.reason,
            )
            return
        if found != self._authorities:
            self._authorities = found
            log.info("the authorities of a PKI realm were read", realm=self.name)

    def user(self, certificate: PeerCertificate) -> Identity | None:
        """The user this certificate stands for, None when it stands for none."""
        if not certificate.proven_fingerprints or certificate.not_after < datetime.now(UTC):
            return None
        judges = self._judges()
        known = self._remembered.get(certificate)
        # Each is replaced as a whole when it changes, some by another thread: what was judged by others does not count.
        if known is None or any(one is not other for one, other in zip(known[0], judges, strict=True)):
            if len(self._remembered) >= REMEMBERED_MAX:
                self._remembered.clear()
            known = self._remembered[certificate] = (judges, self._judge(certificate, judges))
        return known[1]

    def _judges(self) -> _Judges:
        of_file = self._mapping_file.roles if self._mapping_file is not None else None
        return _Judges(self._store.entries(KIND) or _NO_MAPPINGS, of_file, self._authorities)

    def user_of_subject(self, subject: str) -> Identity:
        """Whom a certificate with this subject (RFC 4514) would stand for if it were verified: for explanations only.

        Raises ValueError where it would be nobody.
        """
        return self._of_subject(subject, self._judges())

    def _of_subject(self, subject: str, judges: _Judges) -> Identity:
        username = username_of(subject, self._pattern)
        metadata = {"pki_dn": subject}
        mapped = mapped_roles(judges.mappings, MappedUser(username, self.name, subject, metadata=metadata))
        of_file = roles_of_subject(judges.of_file, subject) if judges.of_file else ()
        return Identity(username, tuple(dict.fromkeys((*mapped, *of_file))), self._realm, metadata=metadata)

    def _judge(self, certificate: PeerCertificate, judges: _Judges) -> Identity | None:
        subject, why = certificate.subject, ""
        try:
            if judges.authorities is not None and judges.authorities.isdisjoint(certificate.proven_fingerprints):
                raise ValueError("none of the realm's certificate authorities stands above it")
            identity = self._of_subject(subject, judges)
            if not identity.roles and self._is_own(certificate):
                raise ValueError("it is of the authority of this cluster's nodes and no role mapping names it")
            return identity
        except ValueError as error:
            why = str(error)
        log.warning("a client certificate is not a user of the realm", realm=self.name, subject=subject, why=why)
        return None


def pki_realm_names(settings: Settings) -> list[str]:
    """The enabled realms of this type, in order."""
    prefix = "xpack.security.authc.realms.pki."
    names = {key.removeprefix(prefix).partition(".")[0] for key in settings if key.startswith(prefix)}
    enabled = [name for name in names if settings.read(declared.PKI_ENABLED.at(name))]
    return sorted(enabled, key=lambda name: (settings.read(declared.PKI_ORDER.at(name)), name))


def _mapping_file(settings: Settings, name: str, config_dir: Path) -> RoleMappingFile:
    setting = declared.PKI_ROLE_MAPPING.at(name)
    value = settings.read(setting)
    if value is None:
        return RoleMappingFile(config_dir / FILE_NAME)
    return RoleMappingFile(file_below(config_dir, value, setting.key, "role mapping file"), setting.key)


def _pattern(settings: Settings, name: str) -> Any:
    setting = declared.PKI_USERNAME_PATTERN.at(name)
    text = settings.read(setting)
    try:
        compiled = _re2.compile(text)
    except re2.error as error:
        raise SettingsError(f"[{text}] in [{setting.key}] is not a regular expression") from error
    if compiled.groups < 1:
        raise SettingsError(f"[{text}] in [{setting.key}] has no group that says what the name is")
    return compiled


def _authorities(settings: Settings, name: str, config_dir: Path, secure: Mapping[str, str]) -> frozenset[str] | None:
    listed = declared.PKI_AUTHORITIES.at(name)
    store = _store(settings, name, config_dir, secure)
    if listed.key in settings and store is not None:
        raise SettingsError(f"cannot specify both [{listed.key}] and [{store.setting}]")
    if store is not None:
        return _fingerprints(read_trusted_store(store, Stores()))
    if listed.key not in settings:
        return None
    what = "PEM certificate_authorities"
    paths = [file_below(config_dir, value, listed.key, what) for value in settings.read(listed)]
    return _fingerprints(one for path in paths for one in read_certificates(path, listed.key, what))


def _files(settings: Settings, name: str, config_dir: Path) -> tuple[Path, ...]:
    store = settings.read(declared.PKI_TRUSTSTORE.at(name))
    named = [*settings.read(declared.PKI_AUTHORITIES.at(name)), *([] if store is None else [store])]
    return tuple(config_dir / value for value in named)


def _store(settings: Settings, name: str, config_dir: Path, secure: Mapping[str, str]) -> StoreSettings | None:
    setting = declared.PKI_TRUSTSTORE.at(name)
    value = settings.read(setting)
    if value is None:
        return None
    path = file_below(config_dir, value, setting.key, "PKCS12 truststore")
    hidden = secure.get(declared.PKI_TRUSTSTORE_SECURE_PASSWORD.at(name).key)
    plain = settings.read(declared.PKI_TRUSTSTORE_PASSWORD.at(name))
    return StoreSettings(setting.key, path, "PKCS12", plain if hidden is None else hidden)


def _fingerprints(certificates: Iterable[x509.Certificate]) -> frozenset[str]:
    return frozenset(fingerprint(one) for one in certificates)
