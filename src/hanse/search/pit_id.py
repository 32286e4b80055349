"""Ids of scrolls and points in time: opaque to clients, they name the contexts and, of a PIT, its indices.

A context lies on each node that holds views for it, so that any node can go on. The indices in an id are only what the
gate authorizes; the contexts themselves remember which ones they really hold. Tests: tests/search/test_contexts.py.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from hanse.errors import IllegalArgumentError


class Part(msgspec.Struct, array_like=True, frozen=True):
    """A context on a node, and how many shards it holds."""

    node: str
    context: str
    shards: int


class _PitId(msgspec.Struct, array_like=True, frozen=True):
    parts: tuple[Part, ...]
    indices: tuple[str, ...]


def encode(parts: tuple[Part, ...], indices: tuple[str, ...] = ()) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(_PitId(parts, indices))).decode()


def _decode(text: str) -> _PitId:
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(text.encode()), type=_PitId)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise IllegalArgumentError(f"invalid id: [{text}]") from error


def parts_of(text: str) -> tuple[Part, ...]:
    return _decode(text).parts


def scroll_parts(text: str) -> tuple[Part, ...]:
    """The same; an id that cannot be read is refused as Elasticsearch refuses it of a scroll."""
    try:
        return parts_of(text)
    except IllegalArgumentError as error:
        raise IllegalArgumentError("Cannot parse scroll id", caused_by=error) from error


def indices_of(text: str) -> tuple[str, ...]:
    return _decode(text).indices
