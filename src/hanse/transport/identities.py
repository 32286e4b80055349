"""Identities as bytes: they travel with every request, so both directions are remembered.

Encoded by object (a caller's identity is one object for many requests), decoded by its bytes.
Tests: tests/transport/test_identities.py.
"""

from __future__ import annotations

import msgspec

from hanse.errors import IllegalArgumentError
from hanse.transport.frames import IDENTITY_BYTES_MAX
from hanse.transport.identity import Identity

REMEMBERED_MAX = 1024
"""Identities remembered per direction; when full, all are forgotten, which costs a few microseconds each."""

_ENCODER = msgspec.msgpack.Encoder(enc_hook=str)
_DECODER = msgspec.msgpack.Decoder(Identity)
# The identity is kept beside its bytes so that its id() cannot be given to another object.
_encoded: dict[int, tuple[Identity, bytes]] = {}
_decoded: dict[bytes, Identity] = {}


def encode_identity(identity: Identity) -> bytes:
    """Raises IllegalArgumentError for an identity too large to send (metadata, thousands of roles)."""
    known = _encoded.get(id(identity))
    if known is not None:
        return known[1]
    encoded = _ENCODER.encode(identity)
    if len(encoded) > IDENTITY_BYTES_MAX:
        raise IllegalArgumentError(
            f"user [{identity.username}] has [{len(encoded)}] bytes of roles and metadata, "
            f"at most [{IDENTITY_BYTES_MAX}] can be sent to another node"
        )
    if len(_encoded) >= REMEMBERED_MAX:
        _encoded.clear()
    _encoded[id(identity)] = (identity, encoded)
    return encoded


def decode_identity(encoded: bytes) -> Identity:
    """Raises IllegalArgumentError when the bytes are no identity."""
    known = _decoded.get(encoded)
    if known is not None:
        return known
    try:
        identity = _DECODER.decode(encoded)
    except msgspec.DecodeError as error:
        raise IllegalArgumentError(f"failed to read the identity of a transport request: {error}") from error
    if len(_decoded) >= REMEMBERED_MAX:
        _decoded.clear()
    _decoded[encoded] = identity
    return identity
