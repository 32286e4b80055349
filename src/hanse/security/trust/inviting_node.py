"""The accepting node's calls to the inviting one: HTTPS, pinned to the certificate that the token names.

Tests: tests/security/trust/test_inviting_node.py, tests/journeys/test_trust_in_one_step.py.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec

from hanse.errors import ConnectTransportError, StatusError
from hanse.security.trust.protocol import Exchange
from hanse.tls.pinned import pinned_call

PATH = "/_security/trust/exchange"


async def ask_inviter(exchange: Exchange, step: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Status and body. Raises SecurityError when somebody else answers, StatusError 503 when nobody does."""
    asked = msgspec.json.encode({"id": exchange.id, "step": step, **body})
    headers = {"Authorization": "ApiKey " + base64.b64encode(exchange.key.encode()).decode()}
    failures = []
    for address in exchange.addresses:
        host, _, port = address.rpartition(":")
        try:
            status, raw = await asyncio.to_thread(
                pinned_call, host.strip("[]"), int(port), exchange.fingerprint, PATH, asked, headers
            )
        except (ConnectTransportError, ValueError) as error:
            failures.append(getattr(error, "reason", None) or f"[{address}] is not [host:port]")
            continue
        return status, _decoded(raw)
    raise StatusError(f"the inviting cluster cannot be reached: {'; '.join(failures)}", 503)


def _decoded(raw: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        body = raw[:200].decode(errors="replace")
    return body if isinstance(body, dict) else {"error": body}
