"""The TLS contexts of one prefix: built from the settings and files, rebuilt by `reload`, handed out per connection.

Promises: what `server()` and `client()` return was built from files that were read together and fit each other
(building.py); a failed `reload` changes nothing. Connections keep the context they began with. A changed trust needs a
new context, since `load_cert_chain` on a live one changes only the leaf. Tests: tests/tls/test_contexts.py.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

import structlog
from cryptography import x509

from hanse.errors import SettingsError
from hanse.settings.registry import Settings
from hanse.tls.building import Built, build, needs_identity
from hanse.tls.certificate_words import Trust
from hanse.tls.faults import Fault
from hanse.tls.identity import PeerCertificate
from hanse.tls.key_material import KeyMaterial
from hanse.tls.listing import ListedCertificate
from hanse.tls.ssl_settings import TLS_SETTINGS, SslSettings, read_ssl_settings
from hanse.tls.trust_restrictions import TrustRestrictions

log = structlog.get_logger(__name__)

REFUSED_KEPT_MAX = 20


@dataclass(frozen=True, slots=True)
class Refused:
    """A handshake that this side did not end well: who dialled, which check failed, and the sentence of the log.

    `presented` is what the client claimed to be; nobody verified it.
    """

    peer: str
    fault: Fault
    sentence: str
    presented: PeerCertificate | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class HeldConnection(Protocol):
    """A connection whose peer was verified in the handshake."""

    @property
    def peer_certificate(self) -> PeerCertificate | None: ...

    def cut(self, sentence: str) -> None: ...


class TlsContexts:
    """The contexts for one prefix, such as `xpack.security.transport.ssl`."""

    def __init__(self, settings: SslSettings) -> None:
        self._settings = settings
        self.prefix = settings.prefix
        self.enabled = settings.enabled
        self.verification_mode = settings.verification_mode
        self.client_authentication = settings.client_authentication
        self.diagnoses_trust = settings.diagnoses_trust
        self.reload_problem: str | None = None
        """Why the files as they are now are not in use; None when they are."""
        self.refused_handshakes = 0
        self.refused: deque[Refused] = deque(maxlen=REFUSED_KEPT_MAX)
        self._held: WeakSet[HeldConnection] = WeakSet()
        self.extra_trusted: Callable[[], Iterable[x509.Certificate]] = tuple
        """Authorities trusted beside those of the files, asked for at every `reload`."""
        self._followers: list[Callable[[], None]] = []
        self._built: Built | None = build(settings) if settings.enabled else None
        if self._built is not None:
            _warn(settings, self._built.identity)

    @classmethod
    def from_settings(
        cls, settings: Settings, prefix: str, config_dir: Path, secure: Mapping[str, str] | None = None
    ) -> TlsContexts:
        """Reads the settings below `prefix` and the files they name. Raises SettingsError naming the setting.

        `secure` is the content of the keystore. When `enabled` is false no file is read.
        """
        return cls(read_ssl_settings(settings, prefix, config_dir, secure))

    def server(self) -> ssl.SSLContext:
        """The current context for the side that accepts."""
        built = self._require()
        if built.server is None:
            raise SettingsError(needs_identity(self.prefix))
        return built.server

    def client(self, *, check_name: bool | None = None) -> ssl.SSLContext:
        """The current context for the side that dials; by default `verification_mode` says if the name is checked."""
        built = self._require()
        wanted = self.verification_mode == "full" if check_name is None else check_name
        return built.client if wanted and self.verification_mode != "none" else built.client_any_name

    def reload(self) -> str | None:
        """Reads the files anew. None on success; else the sentence that says why the old contexts stay in use.

        Blocks while it reads. Connections that are no longer vouched for stay until `cut_untrusted`.
        """
        if not self.enabled:
            return None
        try:
            built = build(self._settings, self.extra_trusted())
            if built.identity is not None and built.chain != self.identity:
                _refuse_out_of_date(self.prefix, built.identity)
        except SettingsError as error:
            if error.reason != self.reload_problem:  # once, not at every look at the same files
                log.error(
                    "tls files could not be reloaded, the old ones stay in use", prefix=self.prefix, why=error.reason
                )
            self.reload_problem = error.reason
            return error.reason
        self.reload_problem = None
        is_new = (built.chain, built.trusted, built.restrictions) != (self.identity, self.trusted, self.restrictions)
        self._built = built
        if is_new:
            log.info("tls files reloaded", prefix=self.prefix)
            for tell in self._followers:
                tell()
        return None

    def follow(self, tell: Callable[[], None]) -> None:
        """From now on `tell` is called after every `reload` that changed something, in the thread that reloads."""
        self._followers.append(tell)

    def hold(self, connection: HeldConnection) -> None:
        """From now on until it ends the connection is cut when its peer's certificate is no longer trusted.

        That may be now: a handshake that began before a reload was judged by the old trust.
        """
        if connection.peer_certificate is not None and self.verification_mode != "none":
            self._held.add(connection)
            self._cut_if_untrusted(connection)

    def note_refused(self, refused: Refused) -> None:
        """Keeps what the log says of a refused handshake, for those who ask over the APIs."""
        self.refused_handshakes += 1
        self.refused.append(refused)

    def cut_untrusted(self) -> int:
        """Cuts the connections to peers whose trust anchor, or name, is not trusted any more; how many.

        On the event loop.
        """
        return sum(self._cut_if_untrusted(connection) for connection in tuple(self._held))

    def _cut_if_untrusted(self, connection: HeldConnection) -> bool:
        certificate, built = connection.peer_certificate, self._built
        if certificate is None or built is None:
            return False
        is_vouched_for = certificate.anchor_sha256 in built.anchors
        if is_vouched_for and (built.restrictions is None or built.restrictions.allows_peer(certificate)):
            return False
        self._held.discard(connection)
        connection.cut(
            f"the {'name in' if is_vouched_for else 'authority that vouched for'} the certificate "
            f"[{certificate.subject}] is no longer trusted in [{self.prefix}]"
        )
        return True

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file the settings name: what a watcher has to look at."""
        settings = self._settings
        stores = [store.path for store in (settings.keystore, settings.truststore) if store is not None]
        single = [path for path in (settings.key, settings.certificate) if path is not None]
        restrictions = [settings.restrictions.path] if settings.restrictions is not None else []
        return (*single, *(settings.authorities or ()), *stores, *restrictions)

    @property
    def trust(self) -> Trust:
        """What peers are judged by now, for the words that explain a refusal."""
        settings, setting = self._settings, f"{self.prefix}.certificate_authorities"
        if settings.truststore is not None:
            return Trust(settings.truststore.setting, (settings.truststore.path.name,), self.trusted)
        if settings.authorities is not None:
            return Trust(setting, tuple(path.name for path in settings.authorities), self.trusted)
        own = settings.keystore.path if settings.keystore is not None else settings.certificate
        return Trust(setting, (own.name,) if own is not None else (), self.trusted)

    @property
    def restrictions(self) -> TrustRestrictions | None:
        """The current restrictions of the peers whose chain is trusted; without verification there are none."""
        return self._built.restrictions if self._built is not None else None

    @property
    def listed(self) -> tuple[ListedCertificate, ...]:
        """Every certificate in use, with the file it came from."""
        return self._built.listed if self._built is not None else ()

    @property
    def identity(self) -> tuple[x509.Certificate, ...]:
        """The chain this node shows, its own certificate first; empty without an identity."""
        return self._built.chain if self._built is not None else ()

    @property
    def key_material(self) -> KeyMaterial | None:
        """This node's own key with its chain, for pem_files.py."""
        return self._built.identity if self._built is not None else None

    @property
    def trusted(self) -> tuple[x509.Certificate, ...]:
        return self._built.trusted if self._built is not None else ()

    def _require(self) -> Built:
        if self._built is None:
            raise SettingsError(f"TLS is not enabled: [{self.prefix}.enabled] is [false]")
        return self._built


def _warn(settings: SslSettings, identity: KeyMaterial | None) -> None:
    """At the start; afterwards ssl_actions.py warns once a day."""
    if settings.verification_mode == "none":
        _warn_of_no_verification(settings)
    if identity is not None:
        _warn_of_expiry(settings.prefix, identity)


def _warn_of_no_verification(settings: SslSettings) -> None:
    setting = f"{settings.prefix}.verification_mode"
    log.warning("certificates of peers are not verified at all", setting=setting)
    if settings.restrictions is not None:
        log.warning("trust restrictions have no effect where nothing is verified", setting=setting)


def _refuse_out_of_date(prefix: str, identity: KeyMaterial) -> None:
    """A start with such a certificate only warns; a node that has a good one in use keeps it."""
    own, now = identity.chain[0], datetime.now(UTC)
    for moment, is_wrong, what in (
        (own.not_valid_after_utc, own.not_valid_after_utc < now, "has expired on"),
        (own.not_valid_before_utc, own.not_valid_before_utc > now, "is not valid before"),
    ):
        if is_wrong:
            raise SettingsError(
                f"the new certificate [{own.subject.rfc4514_string()}] of [{prefix}] {what} [{moment.isoformat()}]; "
                f"put one there that is valid now"
            )


def _warn_of_expiry(prefix: str, identity: KeyMaterial) -> None:
    own, now = identity.chain[0], datetime.now(UTC)
    if own.not_valid_after_utc < now:
        log.warning(
            "this node's own certificate has expired, peers will refuse it",
            prefix=prefix,
            subject=own.subject.rfc4514_string(),
            expired=own.not_valid_after_utc.isoformat(),
        )


__all__ = ["TLS_SETTINGS", "TlsContexts"]
