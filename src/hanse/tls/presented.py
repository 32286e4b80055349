"""The certificate of a client that was refused, so that the side that refused it can say whose it was.

OpenSSL throws it away when it does not verify. It passes every handshake message to a callback before, though: that is
where the leaf is kept, until the handshake has ended. What is kept was verified by nobody and serves only to explain.
The callback is private in CPython; without it refusals are logged without the client's names.
Tests: tests/tls/test_presented.py.
"""

from __future__ import annotations

import ssl
from typing import Any
from weakref import WeakKeyDictionary

from hanse.tls.identity import PeerCertificate, readable_certificate

LEAF_BYTES_MAX = 16 * 1024
"""A larger one is not kept: whoever reaches the port decides about the size."""
_HANDSHAKE, _CERTIFICATE, _FINISHED = 22, 11, 20
_TLS_1_3 = 0x0304

_kept: WeakKeyDictionary[Any, bytes] = WeakKeyDictionary()


def watch(context: ssl.SSLContext) -> None:
    """From now on `presented_certificate` knows the clients of handshakes under this context."""
    # The property that ssl.SSLContext has makes enums of the numbers at every record, application data included.
    raw = getattr(ssl.SSLContext.__mro__[1], "_msg_callback", None)
    if raw is not None:
        raw.__set__(context, _message)


def presented_certificate(tls: ssl.SSLObject) -> PeerCertificate | None:
    """What the client of a handshake that failed had presented; None where that is not known or not readable."""
    leaf = _kept.pop(tls, None)
    return readable_certificate(leaf) if leaf is not None else None


def _message(tls: Any, direction: str, version: int, content: int, kind: int, data: bytes) -> None:
    if content != _HANDSHAKE or direction != "read":
        return
    if kind == _CERTIFICATE:
        leaf = leaf_of(data, is_tls_1_3=version == _TLS_1_3)
        if leaf is not None:
            _kept[tls] = leaf
    elif kind == _FINISHED:
        _kept.pop(tls, None)


def leaf_of(message: bytes, *, is_tls_1_3: bool) -> bytes | None:
    """The first certificate of a handshake message (RFC 5246 7.4.2, RFC 8446 4.4.2); None when there is none."""
    at = 4  # type and length of the message
    if is_tls_1_3:
        at += 1 + int.from_bytes(message[at : at + 1])  # the context of the request
    at += 3  # length of the list
    length = int.from_bytes(message[at : at + 3])
    leaf = message[at + 3 : at + 3 + length]
    return leaf if 0 < length == len(leaf) and length <= LEAF_BYTES_MAX else None
