"""The gate under ceilings: what a peer may do, what it is told, and what no made-up identity changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from hanse.errors import RejectedExecutionError, SecurityError
from hanse.security.ceilings import RemotePeers
from hanse.security.peers import KIND, parse_peer
from hanse.security.permission import Permission
from hanse.security.roles import parse_role
from hanse.tls.identity import PeerCertificate, read_certificate, structured
from hanse.transport.actions import Action, Call, Origin, Scope
from hanse.transport.identity import SYSTEM

from .certificates import Party, name
from .conftest import HEALTH, NODES, SEARCH, STATS, Cluster, Names, index, user

Make = Callable[..., Cluster]
MUNICH = Party.authority(name("ca-munich"))
LEASE = Action("indices:admin/seq_no/remove_retention_lease", Names, list[str], Scope.INTERNAL)


def certificate() -> PeerCertificate:
    der = MUNICH.issue(name("node"), "node.munich.example").certificate.public_bytes(Encoding.DER)
    return msgspec.structs.replace(read_certificate(der), proven_issuers=(structured(MUNICH.certificate.subject),))


CERTIFICATE = certificate()
FROM_MUNICH = Origin("transport", "10.0.0.9:9300", CERTIFICATE, cluster_uuid="munich")
BY_ISSUER = {"any": [{"issuer": "CN=ca-munich"}]}
LOGS = {"search": [{"names": ["logs-*"]}]}


async def put(cluster: Cluster, peer: str = "munich", **body: Any) -> None:
    definition = parse_peer(peer, {"match": BY_ISSUER, **body}).body
    await cluster.store.change(KIND, lambda stored: {peer: definition})


async def refused(work: Any) -> str:
    with pytest.raises(SecurityError) as caught:
        await work
    assert caught.value.status == 403
    return caught.value.reason


@pytest.fixture
async def cluster(make_cluster: Make) -> Cluster:
    made = make_cluster(index("logs-1"), index("logs-2"), index("secret"), remotes=("third",))
    await made.add_reader("reader", "logs-1", "secret")
    return made


ROOT = user("root", "superuser")


async def test_a_superuser_is_worth_the_ceiling_and_no_more(cluster: Cluster) -> None:
    assert await cluster.run(SEARCH, ROOT, origin=FROM_MUNICH) == ["logs-1", "logs-2", "secret"]
    await put(cluster, limits=LOGS)
    assert await cluster.run(SEARCH, ROOT, origin=FROM_MUNICH) == ["logs-1", "logs-2"]
    assert "the ceiling of peer [munich] decided" in await refused(
        cluster.run(SEARCH, ROOT, "secret", origin=FROM_MUNICH)
    )
    for action in (HEALTH, STATS):
        assert "the ceiling of peer [munich] decided" in await refused(cluster.run(action, ROOT, origin=FROM_MUNICH))
    assert await cluster.run(SEARCH, ROOT) == ["logs-1", "logs-2", "secret"]


async def test_roles_and_ceiling_are_intersected(cluster: Cluster) -> None:
    await put(cluster, limits=LOGS)
    assert await cluster.run(SEARCH, user("joe", "reader"), origin=FROM_MUNICH) == ["logs-1"]


async def test_search_and_replication_are_apart_and_absent_means_nothing(cluster: Cluster) -> None:
    await put(cluster, limits={"replication": [{"names": ["logs-*"]}]})
    assert "its [limits.search] does not allow it" in await refused(cluster.run(SEARCH, ROOT, origin=FROM_MUNICH))
    assert await cluster.run(STATS, ROOT, "logs-1", origin=FROM_MUNICH) == ["logs-1"]


async def test_roles_outside_the_limit_are_dropped(cluster: Cluster) -> None:
    await put(cluster, limits={**LOGS, "roles": ["reader", "ops-*"]})
    why = await refused(cluster.run(SEARCH, ROOT, "logs-1", origin=FROM_MUNICH))
    assert why.endswith("the ceiling of peer [munich] decided: its [limits.roles] accepts only [reader,ops-*]")
    assert await cluster.run(SEARCH, user("j", "superuser", "reader"), origin=FROM_MUNICH) == ["logs-1"]


async def test_definitions_in_a_made_up_api_key_are_worth_what_their_names_mean_here(cluster: Cluster) -> None:
    await put(cluster, limits={**LOGS, "roles": ["reader"]})
    everything = {"indices": [{"names": ["*"], "privileges": ["all"]}]}
    key = {"id": "k", "name": "k", "limited_by": {"reader": everything}, "role_descriptors": {}}
    forged = user("joe", authentication_type="api_key", api_key=key)
    assert await cluster.run(SEARCH, forged, origin=FROM_MUNICH) == ["logs-1"]


async def test_a_disabled_peer_gets_nothing_not_even_the_nodes(cluster: Cluster) -> None:
    await put(cluster, limits=LOGS)
    assert await cluster.run(NODES, SYSTEM, origin=FROM_MUNICH) == []
    revoked = {"any": [{"fingerprint_sha256": CERTIFICATE.fingerprint_sha256}]}
    await put(cluster, "revoked", match=revoked, enabled=False)
    for action, who in ((NODES, SYSTEM), (SEARCH, ROOT), (HEALTH, ROOT)):
        assert "ceiling of peer [revoked] decided: the peer is disabled" in await refused(
            cluster.run(action, who, origin=FROM_MUNICH)
        )
    assert "[revoked] is disabled here" in (cluster.gate.peers.revoked(CERTIFICATE) or "")
    await cluster.store.change(KIND, lambda stored: {"revoked": None})
    assert cluster.gate.peers.revoked(CERTIFICATE) is None
    assert await cluster.run(SEARCH, ROOT, "logs-1", origin=FROM_MUNICH) == ["logs-1"]


async def test_a_peer_that_says_it_is_the_system(cluster: Cluster) -> None:
    await put(cluster, limits={"search": [{"names": ["*"]}], "replication": [{"names": ["*"]}]})
    for action in (SEARCH, STATS, HEALTH):
        await refused(cluster.run(action, SYSTEM, "None", origin=FROM_MUNICH))


async def test_no_third_cluster_is_reached_through_this_one(cluster: Cluster) -> None:
    await put(cluster, limits=LOGS)
    assert "may not reach other clusters" in await refused(
        cluster.run(SEARCH, ROOT, "third:logs-1", origin=FROM_MUNICH)
    )


async def test_an_answer_that_comes_too_late(cluster: Cluster) -> None:
    waiting, go_on = asyncio.Event(), asyncio.Event()
    slow = Action("indices:data/read/search[slow]", Names, list[str], Scope.INDEX)

    async def handler(call: Call, request: Names) -> list[str]:
        waiting.set()
        await go_on.wait()
        return list(call.targets.names)

    cluster.registry.register(slow, handler)
    await put(cluster, limits={**LOGS, "max_concurrent_requests": 1})
    running = asyncio.ensure_future(cluster.run(slow, ROOT, origin=FROM_MUNICH))
    await waiting.wait()
    with pytest.raises(RejectedExecutionError, match=r"requests of peer \[munich\] are running"):
        await cluster.run(SEARCH, ROOT, origin=FROM_MUNICH)
    await put(cluster, enabled=False)
    go_on.set()
    assert "the peer is disabled" in await refused(running)


@pytest.mark.parametrize("how", ["error", "cancel"])
async def test_places_are_given_back(cluster: Cluster, how: str) -> None:
    waiting = asyncio.Event()
    slow = Action("indices:data/read/search[slow]", Names, list[str], Scope.INDEX)

    async def handler(call: Call, request: Names) -> list[str]:
        waiting.set()
        if how == "error":
            raise SecurityError("no", 403)
        await asyncio.Event().wait()
        return []

    cluster.registry.register(slow, handler)
    await put(cluster, limits={**LOGS, "max_concurrent_requests": 1})
    running = asyncio.ensure_future(cluster.run(slow, ROOT, origin=FROM_MUNICH))
    await waiting.wait()
    if how == "cancel":
        running.cancel()
    await asyncio.wait((running,))
    running.cancelled() or running.exception()
    assert await cluster.run(SEARCH, ROOT, origin=FROM_MUNICH) == ["logs-1", "logs-2"]


NAMES = st.sampled_from(["*", "a*", "ab", "b*", "*b"])
ENTRY = st.fixed_dictionaries(
    {"names": st.lists(NAMES, min_size=1, max_size=2)},
    optional={
        "query": st.sampled_from([{"term": {"x": 1}}, {"term": {"x": 2}}]),
        "field_security": st.sampled_from([{"grant": ["a*"]}, {"grant": ["*"], "except": ["secret"]}]),
    },
)


@given(st.lists(ENTRY, max_size=3), st.lists(ENTRY, max_size=3), st.sampled_from(["a", "ab", "b", "c"]))
def test_what_is_seen_is_a_subset_of_both(own: list[Any], limits: list[Any], asked: str) -> None:
    role = parse_role("r", {"indices": [{**entry, "privileges": ["read"]} for entry in own]})
    peer = parse_peer("p", {"match": BY_ISSUER, "limits": {"search": limits}})
    alone, above = Permission((role,)), Permission((peer.limits,))
    both = Permission((role,), ceiling=above)
    action = "indices:data/read/search"
    granted = both.allows_index(action, asked)
    assert granted == (alone.allows_index(action, asked) and above.allows_index(action, asked))
    if granted:
        seen = both.access(action, (asked,))
        for one in (alone.access(action, (asked,)), above.access(action, (asked,))):
            assert set(map(repr, one.documents)) <= set(map(repr, seen.documents))
            assert set(one.fields) <= set(seen.fields)


def test_unlisted_peers_follow_the_default(make_cluster: Make) -> None:
    from hanse.settings.registry import Settings

    peers = make_cluster().gate.peers
    assert isinstance(peers, RemotePeers)
    assert peers.ceiling(FROM_MUNICH) is None
    peers.apply_settings(Settings({"xpack.security.remote_peer.default": "deny"}))
    denied = peers.ceiling(FROM_MUNICH)
    assert denied is not None
    assert "[xpack.security.remote_peer.default] is [deny]" in denied.refusal
