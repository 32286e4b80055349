"""Every certificate a context's files hold is listed with its file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption, load_pem_private_key, pkcs12

from hanse.settings.registry import Settings
from hanse.tls.contexts import TlsContexts
from hanse.tls.ssl_settings import TRANSPORT

from .conftest import Place


def test_pem_files_in_order_and_what_was_accepted_beside_them(place: Place) -> None:
    contexts = place.node("berlin", "ca", "ca", "other")
    invited = place.authority("invited").certificate
    contexts.extra_trusted = lambda: (invited,)
    assert contexts.reload() is None
    shown = [
        (one.path and one.path.name, one.format, one.has_private_key, one.certificate.subject.rfc4514_string())
        for one in contexts.listed
    ]
    assert shown == [
        ("berlin.crt", "PEM", True, "CN=berlin"),
        ("ca.crt", "PEM", False, "CN=ca"),
        ("other.crt", "PEM", False, "CN=other"),
        (None, "DER", False, "CN=invited"),
    ]


def test_a_store_names_its_entries(place: Place, tmp_path: Path) -> None:
    certificate, key = place.authority("ca").issue("berlin")
    data = pkcs12.serialize_key_and_certificates(
        b"instance",
        load_pem_private_key(key, None),  # type: ignore[arg-type]
        x509.load_pem_x509_certificate(certificate),
        [pkcs12.PKCS12Certificate(place.authority("ca").certificate, b"ca")],
        NoEncryption(),
    )
    (tmp_path / "node.p12").write_bytes(data)
    changes = {"key": None, "certificate": None, "certificate_authorities": None, "keystore.path": "node.p12"}
    settings = {
        name: value
        for name, value in place.settings("berlin", "ca", **changes).items()
        if value is not None  # type: ignore[arg-type]
    }
    contexts = TlsContexts.from_settings(Settings(settings), TRANSPORT, tmp_path)
    assert [(one.alias, one.format, one.has_private_key) for one in contexts.listed] == [
        ("instance", "PKCS12", True),
        ("ca", "PKCS12", False),
    ]


def test_days_are_whole_and_negative_afterwards(place: Place) -> None:
    own = place.node("berlin", "ca", issue={"days": 10}).listed[0]
    end = own.certificate.not_valid_after_utc
    assert own.days_left(end - timedelta(days=3, hours=5)) == 3
    assert own.days_left(end + timedelta(seconds=1)) == -1
