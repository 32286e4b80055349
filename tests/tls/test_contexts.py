"""Contexts from settings and files: what is built, and the line that stops a node when something does not fit."""

from __future__ import annotations

import ssl

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    NoEncryption,
    load_pem_private_key,
    pkcs12,
)

from hanse.errors import SettingsError
from hanse.settings.registry import RawValue, Settings
from hanse.tls.authority import Names
from hanse.tls.contexts import TlsContexts
from hanse.tls.pkcs12 import KeyEntry, TrustedEntry, write_pkcs12
from hanse.tls.ssl_settings import HTTP, TRANSPORT

from .conftest import LONG_AGO, Place


def refusal(place: Place, settings: Settings, secure: dict[str, str] | None = None, prefix: str = TRANSPORT) -> str:
    with pytest.raises(SettingsError) as raised:
        TlsContexts.from_settings(settings, prefix, place.folder, secure)
    assert "\n" not in raised.value.reason
    return raised.value.reason


def test_the_transport_demands_a_certificate_and_http_does_not(place: Place) -> None:
    transport = place.node("berlin", "ca")
    assert transport.server().verify_mode is ssl.CERT_REQUIRED
    assert transport.verification_mode == "full"
    assert transport.client().check_hostname
    assert not transport.client(check_name=False).check_hostname
    http = place.node("berlin", "ca", prefix=HTTP)
    assert http.server().verify_mode is ssl.CERT_NONE
    assert http.client_authentication == "none"


def test_certificate_mode_leaves_out_the_name_and_none_the_rest(place: Place) -> None:
    lenient = place.node("berlin", "ca", verification_mode="certificate")
    assert not lenient.client().check_hostname
    assert lenient.client().verify_mode is ssl.CERT_REQUIRED
    blind = place.node("berlin", "ca", verification_mode="none")
    assert blind.client().verify_mode is ssl.CERT_NONE
    assert not blind.client(check_name=True).check_hostname
    optional = place.node("berlin", "ca", client_authentication="optional")
    assert optional.server().verify_mode is ssl.CERT_OPTIONAL


def test_when_tls_is_off_no_file_is_read(place: Place) -> None:
    settings = place.settings("missing", "ca", enabled="false")
    contexts = TlsContexts.from_settings(settings, TRANSPORT, place.folder)
    assert not contexts.enabled
    with pytest.raises(SettingsError, match="TLS is not enabled"):
        contexts.server()


def test_files_without_enabled_are_refused(place: Place) -> None:
    settings = Settings({f"{TRANSPORT}.key": "a", f"{TRANSPORT}.certificate": "b"})
    assert refusal(place, settings) == (
        f"invalid configuration for {TRANSPORT} - [{TRANSPORT}.enabled] is not set, but the following settings have "
        f"been configured in elasticsearch.yml : [{TRANSPORT}.certificate,{TRANSPORT}.key]"
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"truststore.path": "t.p12"},
            f"cannot specify both [{TRANSPORT}.certificate_authorities] and [{TRANSPORT}.truststore.path]",
        ),
        ({"keystore.path": "k.p12"}, f"cannot specify both [{TRANSPORT}.certificate] and [{TRANSPORT}.keystore.path]"),
        ({"key": None}, f"cannot specify [{TRANSPORT}.certificate] without also setting [{TRANSPORT}.key]"),
        ({"certificate": None}, f"cannot specify [{TRANSPORT}.key] without also setting [{TRANSPORT}.certificate]"),
        ({"certificate": None, "key": None}, "server ssl configuration requires a key and certificate"),
        ({"supported_protocols": "TLSv1.1"}, f"no protocols configured in [{TRANSPORT}.supported_protocols]"),
        ({"supported_protocols": "TLSv9"}, f"unsupported value [TLSv9] for setting [{TRANSPORT}.supported_protocols]"),
        ({"cipher_suites": []}, f"no cipher suites configured in [{TRANSPORT}.cipher_suites]"),
        ({"cipher_suites": ["NONSENSE"]}, f"none of the suites in [{TRANSPORT}.cipher_suites] is supported"),
        ({"verification_mode": "strict"}, f"[{TRANSPORT}.verification_mode]"),
        ({"enabled": "yes"}, f"[{TRANSPORT}.enabled]"),
        ({"certificate": "missing.crt"}, f"[{TRANSPORT}.certificate] because the file does not exist"),
        ({"key": "missing.key"}, f"[{TRANSPORT}.key] because the file does not exist"),
        ({"key": "."}, f"[{TRANSPORT}.key] because it is a directory"),
        ({"certificate_authorities": "missing.crt"}, f"[{TRANSPORT}.certificate_authorities] because the file does"),
        ({"certificate_authorities": "berlin.key"}, f"[{TRANSPORT}.certificate_authorities] because the file does not"),
        ({"key": "other.key"}, f"in [{TRANSPORT}.key] does not belong to the first certificate of"),
        ({"key": "berlin.crt"}, f"in [{TRANSPORT}.key]"),
    ],
)
def test_each_contradiction_has_its_line(place: Place, change: dict[str, RawValue | None], reason: str) -> None:
    place.write("berlin", "ca")
    place.write("other", "ca")
    settings = place.settings("berlin", "ca").merged({f"{TRANSPORT}.{name}": value for name, value in change.items()})
    assert reason in refusal(place, settings)


def test_an_encrypted_key_needs_its_passphrase(place: Place) -> None:
    place.write("berlin", "ca", password=b"secret")
    settings = place.settings("berlin", "ca")
    assert f"add [{TRANSPORT}.secure_key_passphrase] to the keystore" in refusal(place, settings)
    wrong = {f"{TRANSPORT}.secure_key_passphrase": "wrong"}
    assert "this is usually caused by an incorrect passphrase" in refusal(place, settings, wrong)
    secure = {f"{TRANSPORT}.secure_key_passphrase": "secret"}
    assert TlsContexts.from_settings(settings, TRANSPORT, place.folder, secure).identity
    plain = settings.merged({f"{TRANSPORT}.key_passphrase": "secret"})
    assert TlsContexts.from_settings(plain, TRANSPORT, place.folder).identity
    assert "cannot specify both" in refusal(place, plain, secure)


def test_an_expired_certificate_of_our_own_is_a_warning(place: Place) -> None:
    with structlog.testing.capture_logs() as logs:
        place.node("berlin", "ca", issue={"now": LONG_AGO, "days": 1})
    assert logs[-1]["event"] == "this node's own certificate has expired, peers will refuse it"


def write_p12(place: Place, name: str, password: bytes | None, *, with_key: bool = True) -> None:
    authority = place.authority("ca")
    cert_pem, key_pem = authority.issue("berlin", ["localhost"], ["127.0.0.1"])
    key = load_pem_private_key(key_pem, None) if with_key else None
    certificate = x509.load_pem_x509_certificate(cert_pem) if with_key else None
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    data = pkcs12.serialize_key_and_certificates(
        b"berlin",
        key,
        certificate,
        [authority.certificate],
        hidden,  # type: ignore[arg-type]
    )
    (place.folder / name).write_bytes(data)


def test_a_pkcs12_keystore_trusts_the_authority_it_holds(place: Place) -> None:
    write_p12(place, "node.p12", b"secret")
    settings = Settings({f"{TRANSPORT}.enabled": "true", f"{TRANSPORT}.keystore.path": "node.p12"})
    secure = {f"{TRANSPORT}.keystore.secure_password": "secret"}
    contexts = TlsContexts.from_settings(settings, TRANSPORT, place.folder, secure)
    assert contexts.identity[0].subject.rfc4514_string() == "CN=berlin"
    assert place.authority("ca").certificate in contexts.trusted
    assert contexts.files == (place.folder / "node.p12",)
    none = refusal(place, settings)
    assert "this is usually caused by an incorrect password; (no password was provided)" in none
    wrong = refusal(place, settings, {f"{TRANSPORT}.keystore.secure_password": "wrong"})
    assert f"cannot read configured [PKCS12] keystore [{place.folder}/node.p12]" in wrong
    assert "(a keystore password was provided)" in wrong


def test_a_pkcs12_truststore(place: Place) -> None:
    place.write("berlin", "ca")
    write_p12(place, "trust.p12", b"secret", with_key=False)
    settings = place.settings("berlin").merged(
        {f"{TRANSPORT}.certificate_authorities": None, f"{TRANSPORT}.truststore.path": "trust.p12"}
    )
    secure = {f"{TRANSPORT}.truststore.secure_password": "secret"}
    contexts = TlsContexts.from_settings(settings, TRANSPORT, place.folder, secure)
    assert contexts.trusted == (place.authority("ca").certificate,)
    assert "keystore (as a truststore)" in refusal(place, settings)


def test_one_store_of_certutils_kind_serves_as_key_store_and_trust_store(place: Place) -> None:
    authority = place.authority("ca")
    issued = authority.issue_for(Names("berlin", ("localhost",)))
    entry = KeyEntry("berlin", issued.key, (issued.certificate,))
    stored = write_pkcs12([entry], [TrustedEntry("ca", authority.certificate)], "secret")
    (place.folder / "elastic-certificates.p12").write_bytes(stored)
    values = {"enabled": "true", "keystore.path": "elastic-certificates.p12"}
    settings = Settings({f"{TRANSPORT}.{name}": value for name, value in values.items()})
    both = settings.merged({f"{TRANSPORT}.truststore.path": "elastic-certificates.p12"})
    secure = {
        f"{TRANSPORT}.keystore.secure_password": "secret",
        f"{TRANSPORT}.keystore.secure_key_password": "secret",
        f"{TRANSPORT}.truststore.secure_password": "secret",
    }
    contexts = TlsContexts.from_settings(both, TRANSPORT, place.folder, secure)
    assert contexts.identity == (issued.certificate, authority.certificate)
    assert contexts.trusted == (authority.certificate,)
    other = {**secure, f"{TRANSPORT}.keystore.secure_key_password": "another"}
    assert "only stores with one password can be read" in refusal(place, both, other)


def test_a_jks_store_says_how_to_convert_it(place: Place) -> None:
    settings = Settings({f"{TRANSPORT}.enabled": "true", f"{TRANSPORT}.keystore.path": "node.jks"})
    assert "keytool -importkeystore -deststoretype PKCS12" in refusal(place, settings)


def test_without_a_trust_setting_only_our_own_certificate_is_trusted(place: Place) -> None:
    place.write("berlin", "ca")
    settings = place.settings("berlin", "ca").merged({f"{TRANSPORT}.certificate_authorities": None})
    contexts = TlsContexts.from_settings(settings, TRANSPORT, place.folder)
    assert contexts.trusted == contexts.identity


def test_a_reload_that_fails_keeps_what_is_in_use(place: Place) -> None:
    contexts = place.node("berlin", "ca")
    before = contexts.server()
    (place.folder / "berlin.key").write_text("half a key")
    why = contexts.reload()
    assert why is not None
    assert f"[{TRANSPORT}.key]" in why
    assert contexts.server() is before
    place.write("berlin", "ca")
    assert contexts.reload() is None
    assert contexts.server() is not before


def test_java_and_openssl_names_of_suites(place: Place) -> None:
    suites = ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-CHACHA20-POLY1305"]
    context = place.node("berlin", "ca", cipher_suites=suites).server()
    assert [suite["name"] for suite in context.get_ciphers() if not suite["name"].startswith("TLS_")] == [
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ]
    old = place.node("berlin", "ca", cipher_suites=suites[1:]).server()
    assert old.maximum_version is ssl.TLSVersion.TLSv1_2
    new = place.node("berlin", "ca", cipher_suites=suites[:1]).server()
    assert new.minimum_version is ssl.TLSVersion.TLSv1_3


def test_authorities_from_elsewhere_are_trusted_beside_those_of_the_files(place: Place) -> None:
    contexts = place.node("berlin", "ca")
    other = place.authority("other").certificate
    before = len(contexts.trusted)
    accepted = [other, place.authority("ca").certificate]
    contexts.extra_trusted = lambda: accepted
    assert len(contexts.trusted) == before
    assert contexts.reload() is None
    assert contexts.trusted == (place.authority("ca").certificate, other)
    assert len(contexts.server().get_ca_certs()) == len(contexts.client().get_ca_certs()) == 2
    accepted.clear()
    assert contexts.reload() is None
    assert other not in contexts.trusted
