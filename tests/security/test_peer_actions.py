"""Remote peers put, shown and deleted; those of peers.yml are only shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hanse.errors import HanseError, IllegalArgumentError, SecurityError
from hanse.security.audit import OFF
from hanse.security.ceilings import RemotePeers
from hanse.security.peer_actions import PeerActions
from hanse.security.peer_file import PeerFile
from hanse.security.peer_requests import DELETE_REMOTE_PEER, GET_REMOTE_PEERS, PUT_REMOTE_PEER, PutRemotePeer
from hanse.security.requests import Answer, ByNames
from hanse.transport.actions import Action, ActionRegistry

from .conftest import REST, Cluster, user

Make = Callable[..., Cluster]
BODY = {"match": {"any": [{"issuer": "CN=ca-munich"}]}, "enabled": True, "limits": {"search": [{"names": ["logs-*"]}]}}


async def run(cluster: Cluster, action: Action[Any, Any], request: Any, *roles: str) -> Answer:
    answer: Answer = await cluster.gate.run(action, request, user("boss", *(roles or ("superuser",))), REST)
    return answer


async def test_put_show_and_delete(make_cluster: Make) -> None:
    cluster = make_cluster()
    assert await run(cluster, GET_REMOTE_PEERS, ByNames()) == Answer({})
    put = PutRemotePeer("munich", BODY)
    assert await run(cluster, PUT_REMOTE_PEER, put) == Answer({"remote_peer": {"created": True}})
    assert await run(cluster, PUT_REMOTE_PEER, put) == Answer({"remote_peer": {"created": False}})
    assert await run(cluster, GET_REMOTE_PEERS, ByNames(("munich", "berlin"))) == Answer({"munich": BODY})
    assert await run(cluster, GET_REMOTE_PEERS, ByNames(("berlin",))) == Answer({}, 404)
    assert await run(cluster, DELETE_REMOTE_PEER, ByNames(("munich",))) == Answer({"found": True})
    assert await run(cluster, DELETE_REMOTE_PEER, ByNames(("munich",))) == Answer({"found": False}, 404)


@pytest.mark.parametrize("body", [{}, {"match": {}}, {**BODY, "limits": {"write": []}}, {**BODY, "x": 1}])
async def test_a_wrong_definition_is_refused_and_leaves_what_is_there(make_cluster: Make, body: Any) -> None:
    cluster = make_cluster()
    await run(cluster, PUT_REMOTE_PEER, PutRemotePeer("munich", BODY))
    with pytest.raises(HanseError) as refused:
        await run(cluster, PUT_REMOTE_PEER, PutRemotePeer("munich", body))
    assert refused.value.status == 400
    assert (await run(cluster, GET_REMOTE_PEERS, ByNames())).body == {"munich": BODY}


async def test_peers_are_for_those_who_manage_security(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_role("monitor-only", cluster=["monitor"])
    await cluster.add_role("guard", cluster=["manage_security"])
    for action, request in (
        (PUT_REMOTE_PEER, PutRemotePeer("munich", BODY)),
        (GET_REMOTE_PEERS, ByNames()),
        (DELETE_REMOTE_PEER, ByNames(("munich",))),
    ):
        with pytest.raises(SecurityError):
            await run(cluster, action, request, "monitor-only")
        await run(cluster, action, request, "guard")


async def test_peers_of_the_file_are_only_shown(make_cluster: Make, tmp_path: Path) -> None:
    (tmp_path / "peers.yml").write_text('munich: {match: {any: [{issuer: "CN=ca-munich"}]}}\n')
    cluster = make_cluster()
    actions = PeerActions(cluster.store, RemotePeers(cluster.store, PeerFile(tmp_path)), OFF)
    actions.register(ActionRegistry())
    call: Any = None
    shown = (await actions.get(call, ByNames())).body
    assert shown == {"munich": {"match": BODY["match"], "enabled": True, "limits": {}, "read_only": True}}
    for refused in (
        actions.put(call, PutRemotePeer("munich", BODY)),
        actions.delete(call, ByNames(("munich",))),
    ):
        with pytest.raises(IllegalArgumentError, match=r"is defined in \[peers\.yml\]"):
            await refused
