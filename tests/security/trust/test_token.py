"""A token is read back as it was written; anything else is refused in one sentence that gives nothing away."""

from __future__ import annotations

import base64

import msgspec
import pytest

from hanse.errors import IllegalArgumentError
from hanse.security.trust.authentication_string import Card, binding_of
from hanse.security.trust.token import PREFIX, TrustToken

CARD = Card("berlin", "uuid", "QUJD", ("127.0.0.1:9300",))
TOKEN = TrustToken("0123456789abcdef", CARD, ("127.0.0.1:9200",), "ab" * 32, "key:secret", 1_000, 500)


def encoded(value: object) -> str:
    return PREFIX + base64.urlsafe_b64encode(msgspec.json.encode(value)).decode().rstrip("=")


def test_round_trip() -> None:
    text = TOKEN.encode()
    assert TrustToken.decode(text) == TOKEN
    assert TrustToken.decode(f"  {text[:50]}\n{text[50:]}\n") == TOKEN, "a terminal may have wrapped it"
    assert TOKEN.binding == binding_of("key:secret")


REFUSED = {
    "empty": "",
    "another thing": "eyJ2ZXIiOiI5LjIuMCJ9",
    "cut short": TOKEN.encode()[:-7],
    "not base64": PREFIX + "!!!",
    "not JSON": PREFIX + "AAAA",
    "too long": PREFIX + "A" * 70_000,
    "no address": encoded(msgspec.structs.replace(TOKEN, addresses=())),
    "no secret": encoded(msgspec.structs.replace(TOKEN, key="key")),
    "no id": encoded(msgspec.structs.replace(TOKEN, id="../pending")),
    "no fingerprint": encoded(msgspec.structs.replace(TOKEN, fingerprint="é" * 64)),
    "a negative lifetime": encoded(msgspec.structs.replace(TOKEN, lifetime_ms=-1)),
    "a field that is missing": encoded({"id": "x"}),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(IllegalArgumentError) as raised:
        TrustToken.decode(text)
    assert raised.value.status == 400
    assert "secret" not in raised.value.reason.replace("no address, secret or id", "")
