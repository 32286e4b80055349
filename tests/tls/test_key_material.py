"""Keys and certificates as operators' files hold them."""

from __future__ import annotations

from pathlib import Path

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
from hanse.tls.authority import CertificateAuthority
from hanse.tls.key_material import FILE_BYTES_MAX, Stores, read_certificates, read_identity
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
