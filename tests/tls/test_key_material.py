"""Keys and certificates as operators' files hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from hanse.errors import SettingsError
from hanse.settings.registry import Settings
from hanse.tls import key_material
from hanse.tls.authority import CertificateAuthority, Names
from hanse.tls.contexts import TlsContexts
from hanse.tls.key_material import FILE_BYTES_MAX, Stores, read_certificates, read_identity
from hanse.tls.pkcs12 import KeyEntry, TrustedEntry, write_pkcs12
from hanse.tls.ssl_settings import TRANSPORT, SslSettings, read_ssl_settings

from .conftest import Place


def settings_of(place: Place, node: str = "berlin") -> SslSettings:
    return read_ssl_settings(place.settings(node, "ca"), TRANSPORT, place.folder)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_pkcs8_and_traditional_keys(place: Place, form: PrivateFormat) -> None:
    place.write("berlin", "ca", key_bits=2048)
    path = place.folder / "berlin.key"
    key = load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    identity = read_identity(settings_of(place), Stores())
    assert identity is not None
    assert identity.chain[0].subject.rfc4514_string() == "CN=berlin"


def test_a_chain_in_one_file_keeps_its_order(place: Place) -> None:
    place.write("berlin", "ca")
    path = place.folder / "berlin.crt"
    path.write_bytes(path.read_bytes() + place.authority("ca").certificate_pem)
    identity = read_identity(settings_of(place), Stores())
    assert identity is not None
    assert [certificate.subject.rfc4514_string() for certificate in identity.chain] == ["CN=berlin", "CN=ca"]


def test_a_pkcs12_chain_is_sorted_and_strangers_are_kept_apart(place: Place) -> None:
    authority, stranger = place.authority("ca"), CertificateAuthority.create("CN=stranger")
    cert_pem, key_pem = authority.issue("berlin")
    data = pkcs12.serialize_key_and_certificates(
        b"berlin",
        load_pem_private_key(key_pem, None),  # type: ignore[arg-type]
        x509.load_pem_x509_certificate(cert_pem),
        [stranger.certificate, authority.certificate],
        serialization.NoEncryption(),
    )
    (place.folder / "node.p12").write_bytes(data)
    values = {f"{TRANSPORT}.enabled": "true", f"{TRANSPORT}.keystore.path": "node.p12"}
    settings = read_ssl_settings(
        place.settings("x").merged({f"{TRANSPORT}.*": None, **values}), TRANSPORT, place.folder
    )
    identity = read_identity(settings, Stores())
    assert identity is not None
    assert [certificate.subject.rfc4514_string() for certificate in identity.chain] == ["CN=berlin", "CN=ca"]
    assert identity.others == (stranger.certificate,)


def test_a_key_that_tls_cannot_use(place: Place) -> None:
    place.write("berlin", "ca")
    key = x25519.X25519PrivateKey.generate()
    (place.folder / "berlin.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SettingsError, match="use an EC or RSA key"):
        read_identity(settings_of(place), Stores())


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    path.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    with pytest.raises(SettingsError, match=r"in \[the.setting\] because it is larger than"):
        read_certificates(path, "the.setting", "PEM certificate")


def test_a_store_is_opened_once_in_a_reading(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deriving its key takes a tenth of a second and more."""
    opened: list[int] = []
    load = key_material.pkcs12.load_pkcs12

    def counting(data: bytes, password: bytes | None) -> Any:
        opened.append(len(data))
        return load(data, password)

    monkeypatch.setattr(key_material.pkcs12, "load_pkcs12", counting)
    authority = CertificateAuthority.create("CN=ca")
    issued = authority.issue_for(Names("node", ("localhost",)))
    entries = [KeyEntry("node", issued.key, (issued.certificate,))]
    content = write_pkcs12(entries, [TrustedEntry("ca", authority.certificate)], "secret")
    (place.folder / "both.p12").write_bytes(content)
    stores = {f"{name}.{key}": value for name in ("keystore", "truststore") for key, value in
              (("path", "both.p12"), ("password", "secret"))}  # fmt: skip
    values = {f"{TRANSPORT}.{key}": value for key, value in {"enabled": "true", **stores}.items()}
    contexts = TlsContexts.from_settings(Settings(values), TRANSPORT, place.folder)
    assert len(contexts.listed) == 4
    assert len(opened) == 1
    assert contexts.reload() is None
    assert len(opened) == 2
