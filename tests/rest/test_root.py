from __future__ import annotations

import re

from tests.rest.conftest import Client

from hanse import __version__


def test_the_root_answer(client: Client) -> None:
    answer = client.call("GET", "/")
    version = answer.json["version"]
    assert answer.json["name"] == "crane"
    assert answer.json["cluster_name"] == "harbour"
    assert len(answer.json["cluster_uuid"]) == 22
    assert version["number"] == "9.2.0"
    assert version["build_flavor"] == "default"
    assert version["build_snapshot"] is False
    assert version["minimum_wire_compatibility_version"] == "8.19.0"
    assert version["minimum_index_compatibility_version"] == "8.0.0"
    assert re.fullmatch("[0-9a-f]{40}", version["build_hash"])
    assert answer.json["tagline"] == "You Know, for Search"
    assert set(answer.json) == {"name", "cluster_name", "cluster_uuid", "version", "tagline"}
    assert answer.headers["Server"] == "Hanse"
    assert answer.headers["X-Hanse-Version"] == __version__
    assert answer.headers["X-elastic-product"] == "Elasticsearch"


def test_head(client: Client) -> None:
    answer = client.call("HEAD", "/")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["X-elastic-product"] == "Elasticsearch"


def test_the_root_takes_no_parameters_of_its_own(client: Client) -> None:
    assert client.call("GET", "/?filter_path=version.number").json == {"version": {"number": "9.2.0"}}
    assert client.call("GET", "/?x=1").status == 400
