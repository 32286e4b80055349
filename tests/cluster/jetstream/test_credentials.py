"""Logins at external servers."""

from __future__ import annotations

import base64
import binascii

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hanse.cluster.jetstream.credentials import login
from hanse.errors import SettingsError
from hanse.settings.registry import Settings

SEED = bytes(range(32))


def credentials(seed: bytes = SEED, spoil: int = 0) -> str:
    raw = bytes([0x95, 0x00]) + seed
    raw += (binascii.crc_hqx(raw, 0) ^ spoil).to_bytes(2, "little")
    text = base64.b32encode(raw).decode().rstrip("=")
    return (
        "-----BEGIN NATS USER JWT-----\nthe.token\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{text}\n------END USER NKEY SEED------\n"
    )


def test_a_user_with_a_password() -> None:
    assert login(Settings(), {}) == {}
    found = login(Settings({"hanse.nats.user": "u"}), {"hanse.nats.password": "p"})
    assert found == {"user": "u", "password": "p"}


def test_half_a_login_or_two_are_refused() -> None:
    with pytest.raises(SettingsError, match="must be given together"):
        login(Settings({"hanse.nats.user": "u"}), {})
    with pytest.raises(SettingsError, match="must be given together"):
        login(Settings(), {"hanse.nats.password": "p"})
    with pytest.raises(SettingsError, match="cannot specify both"):
        login(Settings({"hanse.nats.user": "u"}), {"hanse.nats.credentials": credentials()})


def test_a_credentials_file_signs_the_challenge() -> None:
    found = login(Settings(), {"hanse.nats.credentials": credentials()})
    assert bytes(found["user_jwt_cb"]()) == b"the.token"
    signature = base64.b64decode(found["signature_cb"]("challenge"))
    Ed25519PrivateKey.from_private_bytes(SEED).public_key().verify(signature, b"challenge")


@pytest.mark.parametrize("content", ["nonsense", credentials(spoil=1), credentials(b"short")])
def test_damaged_credentials_are_refused_without_being_shown(content: str) -> None:
    with pytest.raises(SettingsError, match=r"hanse\.nats\.credentials") as refused:
        login(Settings(), {"hanse.nats.credentials": content})
    assert base64.b32encode(SEED[:20]).decode() not in refused.value.reason
