from __future__ import annotations

import pytest
from tests.rest.conftest import Client

INNER = {"settings": {"index": {"number_of_replicas": "0"}}}


@pytest.mark.parametrize(
    ("path", "body", "settings"),
    [
        (
            "/_index_template/rt",
            {"index_patterns": ["rt*"], "template": INNER},
            lambda answer: answer["index_templates"][0]["index_template"]["template"]["settings"],
        ),
        (
            "/_component_template/rt",
            {"template": INNER},
            lambda answer: answer["component_templates"][0]["component_template"]["template"]["settings"],
        ),
        ("/_template/rt", {"index_patterns": ["rt*"], **INNER}, lambda answer: answer["rt"]["settings"]),
    ],
)
def test_put_get_head_delete(client: Client, path: str, body: dict, settings) -> None:  # type: ignore[no-untyped-def,type-arg]
    assert client.call("PUT", path, body).json == {"acknowledged": True}
    try:
        assert client.call("PUT", f"{path}?create=true", body).status == 400
        assert settings(client.call("GET", path).json) == INNER["settings"]
        assert settings(client.call("GET", f"{path}?flat_settings=true").json) == {"index.number_of_replicas": "0"}
        assert client.call("HEAD", path).status == 200
    finally:
        assert client.call("DELETE", path).json == {"acknowledged": True}
    assert client.call("HEAD", path).status == 404
    assert client.call("GET", path).status == 404
    assert client.call("GET", path + "*").status == 200
    assert client.call("DELETE", path).status == 404
    assert client.call("PUT", path).reason == "request body is required"


def test_simulate(client: Client) -> None:
    body = {"index_patterns": ["sim*"], "priority": 3, "template": INNER}
    client.call("PUT", "/_index_template/sim", body)
    try:
        for path in ("_simulate_index/sim-1", "_simulate/sim"):
            answer = client.call("POST", f"/_index_template/{path}").json
            assert answer["template"]["settings"]["index"]["number_of_replicas"] == "0"
    finally:
        client.call("DELETE", "/_index_template/sim")
    assert client.call("POST", "/_index_template/_simulate_index/sim-1").json == {}
    assert client.call("POST", "/_index_template/_simulate", body).status == 200
