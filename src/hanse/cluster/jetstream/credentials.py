"""How a node proves itself to external nats-servers: user and password, or a credentials file's token and key.

A credentials file holds a signed token and the seed of an Ed25519 key, with which the server's challenge is signed.
Tests: tests/cluster/jetstream/test_credentials.py.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hanse.cluster.jetstream.settings import CREDENTIALS, PASSWORD, USER
from hanse.errors import SettingsError
from hanse.settings.registry import Settings

_PREFIX_BYTES, _SEED_BYTES, _CHECKSUM_BYTES = 2, 32, 2
_TOKEN = re.compile(r"-----BEGIN NATS USER JWT-----\s+(\S+)\s+-+END NATS USER JWT-+")
_SEED = re.compile(r"-----BEGIN USER NKEY SEED-----\s+(SU[A-Z2-7]+)\s+-+END USER NKEY SEED-+")


def login(settings: Settings, secure: Mapping[str, str]) -> dict[str, Any]:
    """Options of nats-py's connect. Raises SettingsError for half a login or two."""
    user, password, credentials = settings.read(USER), secure.get(PASSWORD.key), secure.get(CREDENTIALS.key)
    if credentials is not None:
        if user is not None:
            raise SettingsError(f"cannot specify both [{USER.key}] and the secure setting [{CREDENTIALS.key}]")
        return _signed(credentials)
    if (user is None) != (password is None):
        raise SettingsError(f"[{USER.key}] and the secure setting [{PASSWORD.key}] must be given together")
    return {} if user is None else {"user": user, "password": password}


def _signed(credentials: str) -> dict[str, Any]:
    token, seed = _TOKEN.search(credentials), _SEED.search(credentials)
    if token is None or seed is None:
        raise SettingsError(f"the secure setting [{CREDENTIALS.key}] is not the content of a NATS credentials file")
    key = _key(seed[1])
    return {
        "user_jwt_cb": lambda: bytearray(token[1].encode()),
        "signature_cb": lambda challenge: base64.b64encode(key.sign(challenge.encode())),
    }


def _key(seed: str) -> Ed25519PrivateKey:
    try:
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
        if len(raw) != _PREFIX_BYTES + _SEED_BYTES + _CHECKSUM_BYTES:
            raise ValueError("wrong length")
        checksum = int.from_bytes(raw[-_CHECKSUM_BYTES:], "little")
        if binascii.crc_hqx(raw[:-_CHECKSUM_BYTES], 0) != checksum:
            raise ValueError("wrong checksum")
    except ValueError as error:
        raise SettingsError(f"the seed in the secure setting [{CREDENTIALS.key}] is damaged: {error}") from error
    return Ed25519PrivateKey.from_private_bytes(raw[_PREFIX_BYTES : _PREFIX_BYTES + _SEED_BYTES])
