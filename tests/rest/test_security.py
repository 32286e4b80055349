"""Only what the HTTP layer adds; rights and shapes are tested in tests/security/."""

from __future__ import annotations

import pytest
from tests.rest.conftest import Client


def test_a_user_with_a_role_comes_and_goes(client: Client) -> None:
    role = {"cluster": ["monitor"], "indices": [{"names": ["rs-*"], "privileges": ["read"]}]}
    assert client.call("PUT", "/_security/role/rs-reader", role).json == {"role": {"created": True}}
    body = {"password": "secret-of-rs", "roles": ["rs-reader"]}
    assert client.call("POST", "/_security/user/rs", body).json == {"created": True}
    me = client.call("GET", "/_security/_authenticate", user="rs:secret-of-rs").json
    assert (me["username"], me["roles"]) == ("rs", ["rs-reader"])
    assert client.call("GET", "/_cluster/health", user="rs:secret-of-rs").status == 200
    assert client.call("PUT", "/rs-1", user="rs:secret-of-rs").status == 403
    may = {"index": [{"names": ["rs-1"], "privileges": ["read", "write"]}]}
    answer = client.call("POST", "/_security/user/_has_privileges", may, user="rs:secret-of-rs").json
    assert answer["index"]["rs-1"] == {"read": True, "write": False}
    assert client.call("PUT", "/_security/user/rs/_disable").status == 200
    assert client.call("GET", "/", user="rs:secret-of-rs").status == 401
    assert client.call("DELETE", "/_security/user/rs").json == {"found": True}
    assert client.call("DELETE", "/_security/user/rs").status == 404
    assert client.call("DELETE", "/_security/role/rs-reader").json == {"found": True}


def test_api_keys_name_one_owner(client: Client) -> None:
    answer = client.call("GET", "/_security/api_key?owner=true&username=rs")
    assert answer.reason == "neither username nor realm-name may be specified when retrieving owned API keys"


@pytest.mark.parametrize("path", ["/_security/user/x", "/_security/role/x", "/_security/user/_password"])
def test_bodies_are_required(client: Client, path: str) -> None:
    assert client.call("PUT", path).reason == "request body is required"


def test_delegation_says_why_it_is_not_there(client: Client) -> None:
    answer = client.call("POST", "/_security/delegate_pki", {"x509_certificate_chain": ["x"]})
    assert (answer.status, "there is no token service" in answer.reason) == (400, True)
    assert client.call("POST", "/_security/delegate_pki", {}, user=None).status == 401
