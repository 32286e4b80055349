"""Two clusters with authorities of their own come to trust each other by one token and twelve digits."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hanse.cli.first_start import configure_first_start
from hanse.cli.local_cluster import LocalNode
from hanse.node import read_settings
from hanse.security.trust.token import PREFIX
from hanse.tls.authority import CertificateAuthority
from tests.journeys.world import FreshNode, ok, until

LOGS = {"search": [{"names": ["logs-*"]}], "replication": [{"names": ["logs-*"]}]}


@dataclass
class Two:
    """Neither knows the other. Both authorities have the same name, as those of auto-configured clusters do."""

    berlin: LocalNode
    munich: LocalNode

    def nothing_is_trusted(self) -> bool:
        return all(
            ok(node, "GET", "/_security/trust") == {}
            and ok(node, "GET", "/_security/remote_peer") == {}
            and ok(node, "GET", "/_remote/info") == {}
            for node in (self.berlin, self.munich)
        )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("two")
    nodes = [LocalNode(folder / name, name, CertificateAuthority.create("CN=ca")) for name in ("berlin", "munich")]
    for node in nodes:
        node.start(wait=False)
    try:
        for node in nodes:
            node.wait_until_ready()
        yield Two(*nodes)
    finally:
        for node in nodes:
            node.stop()


def invite(node: LocalNode, **more: Any) -> dict[str, Any]:
    body = {"alias": "munich", "limits": LOGS, **more}
    invitation: dict[str, Any] = ok(node, "POST", "/_security/trust/invite", body)
    return invitation


def accept(node: LocalNode, token: str, **more: Any) -> tuple[int, Any]:
    return node.request("POST", "/_security/trust/accept", {"token": token, "alias": "berlin", "limits": LOGS, **more})


def reason(answer: Any) -> str:
    return str(answer["error"]["reason"])


def phase(node: LocalNode, id: str) -> str:
    return str(ok(node, "GET", f"/_security/trust/pending/{id}")[id]["phase"])


def altered(token: str, **fields: Any) -> str:
    raw = token.removeprefix(PREFIX)
    content = json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
    card = {**content["card"], **fields.pop("card", {})}
    return PREFIX + base64.urlsafe_b64encode(json.dumps({**content, "card": card, **fields}).encode()).decode()


def test_wrong_digits_end_it_on_both_sides(two: Two) -> None:
    invitation = invite(two.berlin)
    status, accepted = accept(two.munich, invitation["token"])
    assert status == 200, accepted
    status, answer = two.berlin.request(
        "POST", "/_security/trust/confirm", {"id": invitation["id"], "sas": "0000-0000-0000"}
    )
    assert (status, "somebody may stand between" in reason(answer)) == (403, True)
    until(lambda: phase(two.munich, invitation["id"]), lambda now: now == "failed", "munich to hear of it")
    status, _ = two.munich.request("POST", "/_security/trust/confirm", {"id": accepted["id"], "sas": accepted["sas"]})
    assert status == 409
    assert two.nothing_is_trusted()


def test_a_token_is_good_for_one_acceptance(two: Two) -> None:
    invitation = invite(two.berlin)
    assert accept(two.munich, invitation["token"])[0] == 200
    assert accept(two.munich, invitation["token"])[0] == 409
    ok(two.munich, "DELETE", f"/_security/trust/pending/{invitation['id']}")
    status, answer = accept(two.munich, invitation["token"])
    assert (status, "has failed" in reason(answer)) == (409, True)
    assert two.nothing_is_trusted()


def test_an_expired_token(two: Two) -> None:
    invitation = invite(two.berlin, expiration="1ms")
    status, answer = accept(two.munich, invitation["token"])
    assert (status, "Ask for a new one" in reason(answer)) == (401, True)
    assert two.nothing_is_trusted()


def test_the_authority_in_the_token_was_replaced(two: Two) -> None:
    der = CertificateAuthority.create("CN=ca").certificate_pem
    body = b"".join(line for line in der.splitlines() if b"-----" not in line)
    invitation = invite(two.berlin)
    status, answer = accept(two.munich, altered(invitation["token"], card={"authority": body.decode()}))
    assert (status, "not the one that the token names" in reason(answer)) == (403, True)
    until(lambda: phase(two.berlin, invitation["id"]), lambda now: now == "failed", "berlin to hear of it")
    assert two.nothing_is_trusted()


def test_somebody_else_answers_on_the_wire(two: Two, tmp_path: Path) -> None:
    """They get no byte of a request, so no secret."""
    certificate, key = CertificateAuthority.create("CN=ca").issue("berlin-1", dns=("localhost",), ips=("127.0.0.1",))
    (tmp_path / "n.pem").write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "n.pem")
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def impersonate() -> None:
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as connection:
                heard.append(connection.recv(4096))

        thread = threading.Thread(target=impersonate)
        thread.start()
        token = altered(invite(two.berlin)["token"], addresses=[f"127.0.0.1:{listener.getsockname()[1]}"])
        status, answer = accept(two.munich, token)
        thread.join()
    assert (status, "Nothing was sent" in reason(answer), heard) == (403, True, [b""])
    assert two.nothing_is_trusted()


def test_the_man_in_the_middle_has_other_digits(two: Two, tmp_path: Path) -> None:
    """Mallory has the token, accepts it, and invites Munich in Berlin's name: the two sides show different digits."""
    with LocalNode(tmp_path, "berlin", CertificateAuthority.create("CN=ca")) as mallory:
        real, false = invite(two.berlin), invite(mallory)
        status, caught = accept(mallory, real["token"])
        assert status == 200, caught
        status, accepted = accept(two.munich, false["token"])
        assert status == 200, accepted
        shown = ok(two.berlin, "GET", f"/_security/trust/pending/{real['id']}")[real["id"]]["sas"]
        assert shown != accepted["sas"]
        assert (
            two.berlin.request("POST", "/_security/trust/confirm", {"id": real["id"], "sas": accepted["sas"]})[0] == 403
        )
        assert two.munich.request("POST", "/_security/trust/confirm", {"id": accepted["id"], "sas": shown})[0] == 403
    assert two.nothing_is_trusted()


def test_a_cluster_cannot_invite_itself(two: Two) -> None:
    status, answer = accept(two.berlin, invite(two.berlin)["token"])
    assert (status, "this very cluster" in reason(answer)) == (400, True)


def test_the_key_of_an_invitation_opens_nothing_else(two: Two) -> None:
    invitation = invite(two.berlin)
    for path, body in (("exchange", {"id": invitation["id"], "step": "claim", "commitment": "0" * 64}),):
        status, answer = two.berlin.request("POST", f"/_security/trust/{path}", body)
        assert (status, "only the API key" in reason(answer)) == (403, True)


def test_both_sides_confirm_and_trust_within_their_ceilings(two: Two) -> None:
    berlin, munich = two.berlin, two.munich
    for node in (berlin, munich):
        for index in ("logs-1", "pay-1"):
            ok(node, "PUT", f"/{index}/_doc/1?refresh=true", {"of": node.cluster_name})
    invitation = invite(berlin)
    status, accepted = accept(munich, invitation["token"])
    assert status == 200, accepted
    id = invitation["id"]
    there = ok(berlin, "GET", f"/_security/trust/pending/{id}")[id]
    assert there["sas"] == accepted["sas"]
    ok(munich, "POST", "/_security/trust/confirm", {"id": id, "sas": there["sas"]})
    assert two.nothing_is_trusted()
    ok(berlin, "POST", "/_security/trust/confirm", {"id": id, "sas": accepted["sas"]})
    until(lambda: (phase(berlin, id), phase(munich, id)), lambda both: both == ("established",) * 2, "both sides")
    for here, alias in ((berlin, "munich"), (munich, "berlin")):
        until(lambda: ok(here, "GET", "/_remote/info")[alias], lambda info: info["connected"], "the connection")  # noqa: B023
        hits = ok(here, "POST", f"/{alias}:logs-*/_search")["hits"]["hits"]
        assert [hit["_source"]["of"] for hit in hits] == [alias]
        answer = ok(here, "POST", f"/{alias}:logs-*,{alias}:pay-1/_search")
        assert answer["hits"]["hits"] == []
        assert f"the ceiling of peer [{here.cluster_name}] decided" in json.dumps(answer["_clusters"])
    follow = {"remote_cluster": "berlin", "leader_index": "logs-1"}
    ok(munich, "PUT", "/logs-copy/_ccr/follow?wait_for_active_shards=1", follow)
    until(lambda: munich.request("GET", "/logs-copy/_doc/1")[0], lambda status: status == 200, "the copy")
    assert accept(munich, invitation["token"], alias="again")[0] == 409


def test_what_was_accepted_survives_a_restart_and_ends_by_one_call(two: Two) -> None:
    berlin, munich = two.berlin, two.munich
    berlin.stop()
    berlin.start()
    ok(munich, "PUT", "/_cluster/settings", {"persistent": {"cluster.remote.berlin.seeds": [berlin.transport_address]}})
    until(lambda: ok(munich, "GET", "/_remote/info")["berlin"], lambda info: info["connected"], "munich to come back")
    until(lambda: ok(berlin, "GET", "/_remote/info")["munich"], lambda info: info["connected"], "berlin to come back")
    ok(munich, "POST", "/logs-copy/_ccr/pause_follow")
    ok(berlin, "DELETE", "/_security/trust/munich")
    assert ok(berlin, "GET", "/_security/remote_peer") == ok(berlin, "GET", "/_remote/info") == {}
    until(
        lambda: munich.request("POST", "/berlin:logs-*/_search?size=0"),
        lambda answer: answer[0] != 200 or answer[1]["_clusters"]["skipped"] == 1,
        "munich to be cut off",
    )
    ok(munich, "DELETE", "/_security/trust/berlin")
    assert two.nothing_is_trusted()


def test_a_killed_node_goes_on_where_it_was(two: Two) -> None:
    """Munich dies after its person confirmed and before it heard that Berlin's had, too."""
    berlin, munich = two.berlin, two.munich
    invitation = invite(berlin)
    id = invitation["id"]
    status, accepted = accept(munich, invitation["token"])
    assert status == 200, accepted
    ok(munich, "POST", "/_security/trust/confirm", {"id": id, "sas": accepted["sas"]})
    munich.kill()
    ok(berlin, "POST", "/_security/trust/confirm", {"id": id, "sas": accepted["sas"]})
    assert phase(berlin, id) == "provisional"
    munich.start()
    until(lambda: (phase(berlin, id), phase(munich, id)), lambda both: both == ("established",) * 2, "both sides")
    until(lambda: ok(munich, "GET", "/_remote/info")["berlin"], lambda info: info["connected"], "the connection")
    ok(berlin, "DELETE", "/_security/trust/munich")
    ok(munich, "DELETE", "/_security/trust/berlin")
    assert two.nothing_is_trusted()


def test_clusters_that_reach_each_other_through_proxies(two: Two) -> None:
    """Berlin is reached under a name that its certificate holds, Munich by seeds: each card says how."""
    berlin, munich = two.berlin, two.munich
    port = berlin.transport_address.rpartition(":")[2]
    invitation = invite(berlin, proxy_address=f"127.0.0.1:{port}", server_name="localhost")
    status, accepted = accept(munich, invitation["token"])
    assert status == 200, accepted
    assert accepted["other"]["proxy_address"] == f"127.0.0.1:{port}"
    assert "seeds" not in accepted["other"]
    for node in (munich, berlin):
        ok(node, "POST", "/_security/trust/confirm", {"id": invitation["id"], "sas": accepted["sas"]})
    info = until(
        lambda: ok(munich, "GET", "/_remote/info").get("berlin", {}), lambda one: one.get("connected"), "the connection"
    )
    assert (info["mode"], info["server_name"]) == ("proxy", "localhost")
    assert ok(berlin, "GET", "/_remote/info")["munich"]["mode"] == "sniff"
    ok(berlin, "DELETE", "/_security/trust/munich")
    ok(munich, "DELETE", "/_security/trust/berlin")
    assert two.nothing_is_trusted()


def test_clusters_that_configured_themselves(tmp_path: Path) -> None:
    """Their authorities live in PKCS#12 stores and all have one name; each alias still means its own cluster."""
    made = [FreshNode(tmp_path / name, name, CertificateAuthority.create()) for name in ("oslo", "riga")]
    for node in made:
        assert configure_first_start(node.config, read_settings(node.config))
    with made[0] as oslo, made[1] as riga:
        invitation = invite(oslo, alias="riga")
        status, accepted = accept(riga, invitation["token"], alias="oslo")
        assert status == 200, accepted
        for node in (oslo, riga):
            ok(node, "POST", "/_security/trust/confirm", {"id": invitation["id"], "sas": accepted["sas"]})
        for node, alias in ((oslo, "riga"), (riga, "oslo")):
            info = until(
                lambda: node.request("GET", "/_remote/info")[1].get(alias, {}),  # noqa: B023
                lambda entry: entry.get("connected"),
                "both to connect",
            )
            assert info["seeds"]
