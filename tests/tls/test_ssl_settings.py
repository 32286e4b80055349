"""The declared settings and the names of cipher suites."""

from __future__ import annotations

import pytest

from hanse.errors import IllegalArgumentError
from hanse.settings.registry import Scope, SettingsRegistry
from hanse.tls.ssl_settings import TLS_SETTINGS, openssl_cipher


@pytest.mark.parametrize(
    ("java", "openssl"),
    [
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256"),
        ("TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"),
        ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
    ],
)
def test_suites_by_javas_name(java: str, openssl: str) -> None:
    assert openssl_cipher(java) == openssl


def test_passwords_for_the_keystore_are_refused_in_the_file() -> None:
    registry = SettingsRegistry(TLS_SETTINGS)
    with pytest.raises(IllegalArgumentError, match="is a secure setting and must be stored inside"):
        registry.check({"xpack.security.transport.ssl.secure_key_passphrase": "x"}, allowed=Scope.STATIC)
    registry.check({"xpack.security.http.ssl.keystore.secure_password": "x"}, allowed=Scope.SECURE)


def test_a_misspelt_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(IllegalArgumentError) as raised:
        SettingsRegistry(TLS_SETTINGS).check({"xpack.security.transport.ssl.certifcate": "x"}, allowed=Scope.STATIC)
    assert raised.value.reason == (
        "unknown setting [xpack.security.transport.ssl.certifcate] did you mean "
        "[xpack.security.transport.ssl.certificate]?"
    )
