"""Explanations: every link for an administrator; for a peer under a ceiling, not a word more than trying would tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanse.errors import HanseError, IllegalArgumentError, SecurityError
from hanse.security.explanation import Explanations
from hanse.security.peer_requests import EXPLAIN, Explain
from hanse.transport.actions import Action, Scope
from hanse.transport.identity import SYSTEM, Identity

from .conftest import PEER, SEARCH, STATE, Cluster, Names, index, user
from .test_peer_gate import FROM_MUNICH, LOGS, put

Make = Callable[..., Cluster]
METADATA = Action("indices:data/read/xpack/ccr/leader_metadata", Names, list[str], Scope.INDEX)
CHANGES = Action("indices:data/read/xpack/ccr/shard_changes", Names, list[str], Scope.INDEX)
ADMIN = user("admin", "superuser")


@pytest.fixture
async def cluster(make_cluster: Make) -> Cluster:
    made = make_cluster(index("logs-1"), index("logs-2"), index("secret-plans"), remotes=("third",))
    await made.add_role(
        "reader", indices=[{"names": ["logs-1", "secret-*"], "privileges": ["read"]}], cluster=["read_ccr"]
    )
    await made.add_role("hidden-role", indices=[{"names": ["secret-plans"], "privileges": ["all"]}])
    await made.add_role(
        "follower", cluster=["read_ccr"], indices=[{"names": ["logs-*"], "privileges": ["read", "monitor"]}]
    )
    Explanations(
        made.registry, made.names, made.realms, made.roles, made.gate.peers, remote_aliases=lambda: ("third",)
    ).register(made.registry)
    return made


async def explained(
    cluster: Cluster, *indices: str, asked_by: Identity = ADMIN, origin: Any = None, **more: Any
) -> Any:
    request = Explain(more.pop("username", "joe"), indices=indices, **more)
    answer = await cluster.gate.run(EXPLAIN, request, asked_by, origin or FROM_MUNICH)
    return answer.body


async def test_a_peer_learns_what_its_own_roles_reach_within_the_ceiling(cluster: Cluster) -> None:
    await put(cluster, limits=LOGS)
    body = await explained(cluster, "*", roles=("reader", "nobody-here"))
    local = body["local"]
    assert local["roles"] == {"found": ["reader"], "missing": ["nobody-here"]}
    assert [row["name"] for row in local["names"]] == local["reaches"] == ["logs-1"]
    assert body["allowed"] is True
    refused = (await explained(cluster, "secret-plans", roles=("reader",)))["local"]
    assert refused["allowed"] is False
    assert "the ceiling of peer [munich] decided: its [limits.search]" in refused["why"]
    # Whether a role grants a name outside the ceiling is not said either.
    assert [set(row) for row in refused["names"][0]["reasons"]] == [{"peer", "allowed", "why"}]


async def test_whoever_asks_over_there_needs_no_role_here_but_has_to_be_let_in(cluster: Cluster) -> None:
    await put(cluster, limits={**LOGS, "roles": ["reader"]})
    body = await explained(cluster, "logs-1", roles=("reader", "hidden-role"), asked_by=user("doctor", "superuser"))
    assert body["allowed"] is True
    assert body["local"]["peer"]["dropped_roles"] == ["hidden-role"]
    assert body["local"]["roles"] == {"found": ["reader"], "missing": []}
    await put(cluster, enabled=False, limits=LOGS)
    with pytest.raises(SecurityError, match="the peer is disabled"):
        await explained(cluster, "logs-1", roles=("reader",))
    await cluster.store.change("remote_peer", lambda stored: {"munich": None})
    with pytest.raises(SecurityError, match="is unauthorized for user"):
        await explained(cluster, "logs-1", roles=("reader",), asked_by=user("doctor", "reader"))


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ({"username": "elastic"}, "may ask about role names only"),
        ({"roles": ("reader",), "peer": "munich"}, "may ask about role names only"),
        ({"roles": ("reader",), "dn": "CN=joe"}, "may ask about role names only"),
    ],
)
async def test_a_peer_asks_about_nobody_who_lives_here(cluster: Cluster, question: Any, says: str) -> None:
    await put(cluster, limits=LOGS)
    with pytest.raises(SecurityError, match=says):
        await explained(cluster, "logs-1", **question)


async def test_a_peer_asks_neither_a_third_cluster_nor_as_the_system_nor_for_ever(cluster: Cluster) -> None:
    await put(cluster, limits=LOGS)
    with pytest.raises(SecurityError, match="may not reach other clusters"):
        await explained(cluster, "third:logs-1", roles=("reader",))
    with pytest.raises(SecurityError):
        await explained(cluster, "logs-1", roles=("reader",), asked_by=SYSTEM)
    with pytest.raises(IllegalArgumentError, match="at most"):
        await explained(cluster, *(f"logs-{n}" for n in range(101)), roles=("reader",))
    with pytest.raises(IllegalArgumentError, match="unknown action"):
        await explained(cluster, "logs-1", roles=("reader",), action="indices:nothing")


async def test_a_cluster_action_is_refused_whatever_the_roles_grant(cluster: Cluster) -> None:
    await put(cluster, limits=LOGS)
    for roles in (("superuser",), ("reader",)):
        body = await explained(cluster, roles=roles, action=STATE.name)
        assert body["allowed"] is False
        assert body["local"]["why"].endswith("a remote peer may only search and replicate")
        assert "reasons" not in body["local"]


ROLES = st.lists(st.sampled_from(["reader", "follower", "hidden-role", "superuser", "made-up"]), max_size=3)
PARTS = st.lists(
    st.sampled_from(["*", "logs-*", "secret-*", "logs-1", "logs-2", "secret-plans", "nothing", "-secret*"]),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("accepted", [None, ["reader"]])
@given(roles=ROLES, parts=PARTS, action=st.sampled_from(["search", "replication"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
async def test_attack_by_asking_everything(
    cluster: Cluster, accepted: Any, roles: list[str], parts: list[str], action: str
) -> None:
    """Whatever a peer asks, the answer is the same for a cluster that differs only in what is outside the ceiling."""
    names = [{"names": ["logs-*"]}]
    limits: dict[str, Any] = {"search": names, "replication": names}
    await put(cluster, limits=limits if accepted is None else {**limits, "roles": accepted})

    async def answer() -> str:
        try:
            return json.dumps(await explained(cluster, *parts, roles=tuple(roles), action=action), sort_keys=True)
        except HanseError as error:
            return error.reason

    # What the gate itself would have told by refusing or granting.
    async def tried() -> str:
        try:
            return json.dumps(await cluster.run(SEARCH, user("joe", *roles), *parts, origin=FROM_MUNICH))
        except HanseError as error:
            return error.reason

    before = await answer(), await tried()
    assert "secret-plans" not in before[0] or "secret-plans" in parts
    body = {"names": ["logs-1"], "privileges": ["read"]}
    await cluster.add_role("reader", indices=[body], cluster=["read_ccr"])
    if accepted is not None:
        await cluster.store.delete_role("hidden-role")
    try:
        after = await answer(), await tried()
        assert after == before
    finally:
        both = {"names": ["logs-1", "secret-*"], "privileges": ["read"]}
        await cluster.add_role("reader", indices=[both], cluster=["read_ccr"])
        await cluster.add_role("hidden-role", indices=[{"names": ["secret-plans"], "privileges": ["all"]}])


async def test_what_a_query_of_a_role_says_stays_here(cluster: Cluster) -> None:
    entry = {"names": ["logs-1"], "privileges": ["read"], "query": {"term": {"owner": "our-secret"}}}
    await cluster.add_role("filtered", indices=[entry])
    await put(cluster, limits=LOGS)
    shown = json.dumps(await explained(cluster, "logs-1", roles=("filtered",)))
    assert "our-secret" not in shown
    assert '"[read] on' not in shown
    told = await explained(cluster, "logs-1", roles=("filtered",), origin=PEER)
    assert "our-secret" in json.dumps(told), "without a ceiling an administrator named by the peer is one here"


async def test_replication_is_everything_that_a_follower_needs(cluster: Cluster) -> None:
    for action in (METADATA, CHANGES):

        async def handler(call: Any, request: Any) -> Any:
            return []

        cluster.registry.register(action, handler)
    await put(cluster, limits={"replication": [{"names": ["logs-1"]}], **LOGS})
    assert (await explained(cluster, "*", roles=("follower",), action="replication"))["local"]["reaches"] == ["logs-1"]
    lacks = (await explained(cluster, "logs-1", roles=("reader",), action="replication"))["local"]
    assert lacks["allowed"] is False
    assert lacks["names"][0]["action"] == "indices:monitor/stats"
    entry = {"names": ["logs-1"], "privileges": ["read", "monitor"], "field_security": {"grant": ["a"]}}
    await cluster.add_role("half-blind", cluster=["read_ccr"], indices=[entry])
    hidden = (await explained(cluster, "logs-1", roles=("half-blind",), action="replication"))["local"]
    assert hidden["allowed"] is False
    assert "are hidden, and a copy would hold" in hidden["why"]
    await cluster.add_role("no-ccr", indices=[{"names": ["logs-1"], "privileges": ["read", "monitor"]}])
    bare = (await explained(cluster, "logs-1", roles=("no-ccr",), action="replication"))["local"]
    assert bare["allowed"] is False
    assert "[cluster:monitor/state]" in bare["why"]
    assert "granted by the cluster privileges" in bare["why"]
