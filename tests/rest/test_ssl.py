"""Who may see and reload TLS files over HTTP: `monitor` sees, `manage` reloads."""

from __future__ import annotations

import pytest

from .conftest import Client

SECRET = "secret-of-them"


@pytest.mark.parametrize(
    ("privileges", "sees", "reloads"),
    [
        ([], 403, 403),
        (["monitor"], 200, 403),
        (["manage"], 200, 200),
        (["all"], 200, 200),
        (["manage_security"], 403, 403),
        (["cluster:admin/xpack/ssl/reload"], 403, 200),
    ],
)
def test_what_a_privilege_is_worth(client: Client, privileges: list[str], sees: int, reloads: int) -> None:
    assert client.call("PUT", "/_security/role/tls-user", {"cluster": privileges}).status == 200
    body = {"password": SECRET, "roles": ["tls-user"]}
    assert client.call("PUT", "/_security/user/tls-user", body).status == 200
    user = f"tls-user:{SECRET}"
    answer = client.call("GET", "/_ssl/certificates", user=user)
    assert (answer.status, answer.json if answer.status == 200 else []) == (sees, [])
    answer = client.call("POST", "/_ssl/reload", user=user)
    assert answer.status == reloads
    if reloads == 200:
        assert answer.json["_nodes"] == {"total": 1, "successful": 1, "failed": 0}
    else:
        assert "this action is granted by the cluster privileges [manage,all]" in answer.reason


def test_strangers_and_wrong_methods(client: Client) -> None:
    assert client.call("GET", "/_ssl/certificates", user=None).status == 401
    assert client.call("POST", "/_ssl/reload", user=None).status == 401
    assert client.call("GET", "/_ssl/reload").status == 405
