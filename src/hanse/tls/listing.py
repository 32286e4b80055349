"""Every certificate that a TLS context's files hold, with the file: for `_ssl/certificates` and warnings of expiry.

Tests: tests/tls/test_listing.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from hanse.tls.key_material import Stores, read_certificates
from hanse.tls.ssl_settings import SslSettings, StoreSettings

WARN_DAYS = 30
"""How long before its end a certificate is warned about."""
_SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class ListedCertificate:
    """`path` is None for an authority that was accepted by invitation; `alias` a name within a PKCS#12 file."""

    path: Path | None
    format: str
    alias: str | None
    has_private_key: bool
    certificate: x509.Certificate

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires; negative afterwards."""
        return int((self.certificate.not_valid_after_utc - now).total_seconds() // _SECONDS_A_DAY)


def read_listed(settings: SslSettings, stores: Stores) -> tuple[ListedCertificate, ...]:
    """The node's own chain, then what is trusted, in the order of the files. Raises SettingsError."""
    return tuple(_listed(settings, stores))


def _listed(settings: SslSettings, stores: Stores) -> Iterator[ListedCertificate]:
    if settings.certificate is not None:
        setting = f"{settings.prefix}.certificate"
        for number, one in enumerate(read_certificates(settings.certificate, setting, "PEM certificate")):
            yield ListedCertificate(settings.certificate, "PEM", None, number == 0, one)
    for path in settings.authorities or ():
        setting = f"{settings.prefix}.certificate_authorities"
        for one in read_certificates(path, setting, "PEM certificate_authorities"):
            yield ListedCertificate(path, "PEM", None, False, one)
    for store in (settings.keystore, settings.truststore):
        if store is not None:
            yield from _of_store(store, stores)


def _of_store(store: StoreSettings, stores: Stores) -> Iterator[ListedCertificate]:
    found = stores.open(store)
    if found.cert is not None:
        has_key = found.key is not None
        yield ListedCertificate(
            store.path, store.type, _text(found.cert.friendly_name), has_key, found.cert.certificate
        )
    for entry in found.additional_certs:
        yield ListedCertificate(store.path, store.type, _text(entry.friendly_name), False, entry.certificate)


def _text(name: bytes | None) -> str | None:
    return None if name is None else name.decode(errors="replace")
