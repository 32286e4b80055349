"""Errors on the wire: what a handler raised at one node is raised with the same shape at the caller.

Type, status, reason, metadata, headers, cause and root causes survive; a type this version does not know is kept by
name. Anything but a HanseError is logged where it happened and crosses as a bare sentence, never with its details.
Tests: tests/transport/test_wire_errors.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.errors import HanseError, UnknownRemoteError, error_class

ERROR_BYTES_MAX = 1024 * 1024
"""An error that would be larger crosses without its metadata, causes and most of its reason."""
CAUSE_DEPTH_MAX = 16
ROOT_CAUSES_MAX = 64
REASON_CHARACTERS_KEPT = 16 * 1024
_STATUS_RANGE = range(100, 600)


class WireError(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str
    reason: str
    status: int = 500
    metadata: dict[str, Any] = {}
    headers: dict[str, list[str]] = {}
    caused_by: WireError | None = None
    root_causes: tuple[WireError, ...] = ()


_ENCODER = msgspec.msgpack.Encoder(enc_hook=str)


def to_wire(error: HanseError) -> WireError:
    """The error as a message that fits its bound."""
    wire = _plain(_to_wire(error, 0))
    if wire is not None:
        return wire
    return WireError(error.name, error.reason[:REASON_CHARACTERS_KEPT], error.status)


def from_wire(wire: WireError) -> HanseError:
    """The same error, of the class that carries its type here, or UnknownRemoteError under the peer's name."""
    return _from_wire(wire, 0)


def _to_wire(error: HanseError, depth: int) -> WireError:
    cause = error.caused_by if depth < CAUSE_DEPTH_MAX else None
    roots = [root for root in error.root_causes if root is not error] if depth == 0 else []
    return WireError(
        error.name,
        error.reason,
        error.status,
        error.metadata,
        error.headers,
        _to_wire(cause, depth + 1) if cause is not None else None,
        tuple(_to_wire(root, CAUSE_DEPTH_MAX) for root in roots[:ROOT_CAUSES_MAX]),
    )


def _plain(wire: WireError) -> WireError | None:
    """The message with every metadata value turned into plain MessagePack values; None when it is too large."""
    try:
        encoded = _ENCODER.encode(wire)
    except (TypeError, ValueError, RecursionError):
        return None
    if len(encoded) > ERROR_BYTES_MAX:
        return None
    return msgspec.msgpack.decode(encoded, type=WireError)


def _from_wire(wire: WireError, depth: int) -> HanseError:
    known = error_class(wire.type) or UnknownRemoteError
    # Subclasses may take further arguments (StatusError wants its status): the base initialiser suits all of them.
    error = known.__new__(known)
    cause = wire.caused_by if depth < CAUSE_DEPTH_MAX else None
    HanseError.__init__(
        error,
        wire.reason,
        caused_by=_from_wire(cause, depth + 1) if cause is not None else None,
        root_causes=[_from_wire(root, CAUSE_DEPTH_MAX) for root in wire.root_causes] or None if depth == 0 else None,
        headers=wire.headers,
    )
    error.metadata = dict(wire.metadata)
    error.status = wire.status if wire.status in _STATUS_RANGE else 500
    error.name = wire.type
    return error
