"""Addresses that lead nowhere: each is tried, and every reason is told."""

from __future__ import annotations

import socket

import pytest

from hanse.errors import StatusError
from hanse.security.trust.authentication_string import Card
from hanse.security.trust.inviting_node import _decoded, ask_inviter
from hanse.security.trust.protocol import ACCEPTOR, CLAIMED, Exchange

CARD = Card("berlin", "uuid", "QUJD", ("b:9300",))


async def test_every_address_is_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    addresses = (f"127.0.0.1:{port}", "nonsense", f"[::1]:{port}")
    exchange = Exchange(
        "x", ACCEPTOR, CLAIMED, "berlin", {}, CARD, "", "", 0, 0, key="id:secret", addresses=addresses,
        fingerprint="0" * 64,
    )  # fmt: skip
    with pytest.raises(StatusError) as raised:
        await ask_inviter(exchange, "claim", {})
    assert raised.value.status == 503
    for words in (f"cannot call [127.0.0.1:{port}]", "[nonsense] is not [host:port]", f"cannot call [::1:{port}]"):
        assert words in raised.value.reason
    assert "secret" not in raised.value.reason


@pytest.mark.parametrize(
    ("raw", "body"),
    [(b'{"a": 1}', {"a": 1}), (b"[]", {"error": []}), (b"Bad Gateway", {"error": "Bad Gateway"}), (b"", {"error": ""})],
)
def test_what_is_no_object_is_an_error(raw: bytes, body: dict[str, object]) -> None:
    assert _decoded(raw) == body
