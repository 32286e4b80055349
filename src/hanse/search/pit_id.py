"""Ids of scrolls and points in time: opaque to clients, they name the context and, of a PIT, its indices.

The indices in an id are only what the gate authorizes; the context itself remembers which ones it really holds.
Tests: tests/search/test_contexts.py.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from hanse.errors import IllegalArgumentError


class _PitId(msgspec.Struct, array_like=True, frozen=True):
    context: str
    indices: tuple[str, ...]


def encode(context: str, indices: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(_PitId(context, indices))).decode()


def _decode(text: str) -> _PitId:
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(text.encode()), type=_PitId)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise IllegalArgumentError(f"invalid id: [{text}]") from error


def context_of(text: str) -> str:
    return _decode(text).context


def indices_of(text: str) -> tuple[str, ...]:
    return _decode(text).indices
