"""Routes of trust by invitation on a node whose HTTP has no TLS: it can neither invite nor be talked into it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rest.conftest import Client


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/_security/trust/invite", {"alias": "munich"}, 400, "must be [true]"),
        ("POST", "/_security/trust/invite", {}, 400, "[alias], the name that the other cluster has here"),
        ("POST", "/_security/trust/invite", None, 400, "request body is required"),
        ("POST", "/_security/trust/accept", {"alias": "berlin", "token": "x"}, 400, "this is no token"),
        ("POST", "/_security/trust/confirm", {"id": "x", "sas": "y"}, 404, "no exchange of trust with the id [x]"),
        ("POST", "/_security/trust/exchange", {"id": "x", "step": "claim"}, 403, "only the API key of an invitation"),
        ("GET", "/_security/trust/pending/x", None, 404, "no exchange of trust with the id [x]"),
        ("DELETE", "/_security/trust/pending/x", None, 404, "no exchange of trust with the id [x]"),
        ("DELETE", "/_security/trust/munich", None, 404, "no cluster is trusted by invitation as [munich]"),
    ],
)
def test_errors(client: Client, method: str, path: str, body: Any, status: int, words: str) -> None:
    answer = client.call(method, path, body)
    assert (answer.status, words in answer.reason) == (status, True), answer.reason


@pytest.mark.parametrize("path", ["/_security/trust", "/_security/trust/pending"])
def test_nobody_is_trusted_at_first(client: Client, path: str) -> None:
    assert client.call("GET", path).json == {}
