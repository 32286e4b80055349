"""The gate between nodes of one cluster: who counts as a member, and that a member's word widens nobody's rights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hanse.errors import SecurityError
from hanse.security.ceilings import RemotePeers
from hanse.security.peers import KIND, parse_peer
from hanse.settings.registry import Settings
from hanse.tls.identity import PeerCertificate, read_certificate, structured
from hanse.transport.actions import Action, Call, IndicesOptions, Origin, Scope
from hanse.transport.identity import SYSTEM

from .certificates import Party, name
from .conftest import BULK, NODES, REST, SEARCH, Cluster, Names, index, user

Make = Callable[..., Cluster]
OWN, MUNICH = Party.authority(name("ca-own")), Party.authority(name("ca-munich"))
OWN_UUID = "uuid-own"
COPY = Action("internal:index/shard/recovery/start_recovery", Names, list[str], Scope.MEMBER)
PART = Action("indices:data/read/get[s]", Names, list[str], Scope.INDEX, within=True)


class Versioned(msgspec.Struct, frozen=True):
    indices: tuple[str, ...] = ()
    state_version: int = 0
    options: IndicesOptions = IndicesOptions()


def certificate(of: Party, node: str) -> PeerCertificate:
    der = of.issue(name(node), f"{node}.example").certificate.public_bytes(Encoding.DER)
    return msgspec.structs.replace(read_certificate(der), proven_issuers=(structured(of.certificate.subject),))


MEMBER = Origin("transport", "10.0.0.2:9300", certificate(OWN, "node-2"), cluster_uuid=OWN_UUID)
FOREIGN = Origin("transport", "10.0.0.9:9300", certificate(MUNICH, "node"), cluster_uuid="uuid-munich")
IMPOSTOR = Origin("transport", "10.0.0.9:9300", FOREIGN.peer, cluster_uuid=OWN_UUID)
SISTER = Origin("transport", "10.0.0.8:9300", certificate(OWN, "sister"), cluster_uuid="uuid-sister")
LIMITS = {"search": [{"names": ["logs-*"]}]}
ROOT = user("root", "superuser")


@pytest.fixture
async def cluster(make_cluster: Make) -> Cluster:
    made = make_cluster(index("logs-1"), index("secret"))
    made.gate.peers = peers_of(made)

    async def handler(call: Call, request: Any) -> list[str]:
        made.calls.append(call)
        return list(call.targets.names)

    made.registry.register(COPY, handler)
    made.registry.register(PART, handler)
    return made


def peers_of(cluster: Cluster, *, verifies: bool = True) -> RemotePeers:
    return RemotePeers(
        cluster.store,
        own_cluster_uuid=lambda: OWN_UUID,
        is_own=lambda shown: shown.proven_issuers == (structured(OWN.certificate.subject),),
        verifies=lambda: verifies,
    )


async def put(cluster: Cluster, peer: str, match: dict[str, Any], **body: Any) -> None:
    definition = parse_peer(peer, {"match": {"any": [match]}, **body}).body
    await cluster.store.change(KIND, lambda stored: {peer: definition})


async def refused(work: Any) -> str:
    with pytest.raises(SecurityError) as caught:
        await work
    assert caught.value.status == 403
    return caught.value.reason


async def test_only_a_member_and_this_process_itself_may_do_what_members_do(cluster: Cluster) -> None:
    for origin in (MEMBER, Origin("local")):
        assert await cluster.run(COPY, SYSTEM, origin=origin) == []
    for origin in (FOREIGN, IMPOSTOR, SISTER, REST):
        assert "is unauthorized" in await refused(cluster.run(COPY, SYSTEM, origin=origin))
    unproven = Origin("transport", "10.0.0.9:9300", None, cluster_uuid=OWN_UUID)
    assert "is unauthorized" in await refused(cluster.run(COPY, SYSTEM, origin=unproven))
    assert len(cluster.calls) == 2


async def test_a_user_cannot_ask_for_it_not_even_through_a_member(cluster: Cluster) -> None:
    for origin in (MEMBER, REST, FOREIGN):
        assert "is unauthorized" in await refused(cluster.run(COPY, ROOT, origin=origin))
    assert not cluster.calls


async def test_encoded_requests_are_judged_alike(cluster: Cluster) -> None:
    payload = msgspec.msgpack.encode(Names())
    assert await cluster.gate.run_encoded(COPY.name, payload, SYSTEM, MEMBER) == msgspec.msgpack.encode([])
    for origin in (FOREIGN, IMPOSTOR, SISTER):
        assert "is unauthorized" in await refused(cluster.gate.run_encoded(COPY.name, payload, SYSTEM, origin))


async def test_a_listed_peer_with_the_own_authority_is_no_member(cluster: Cluster) -> None:
    assert cluster.gate.peers.is_member(MEMBER)
    await put(cluster, "node-2", {"fingerprint_sha256": MEMBER.peer.fingerprint_sha256}, limits=LIMITS)
    assert not cluster.gate.peers.is_member(MEMBER)
    assert "is unauthorized" in await refused(cluster.run(COPY, SYSTEM, origin=MEMBER))
    assert await cluster.run(SEARCH, ROOT, origin=MEMBER) == ["logs-1"], "its ceiling lies over what it asks"


async def test_where_peers_are_denied_by_default_members_still_are_members(cluster: Cluster) -> None:
    cluster.gate.peers.apply_settings(Settings({"xpack.security.remote_peer.default": "deny"}))
    assert await cluster.run(COPY, SYSTEM, origin=MEMBER) == []
    for origin in (FOREIGN, IMPOSTOR):
        await refused(cluster.run(COPY, SYSTEM, origin=origin))


async def test_without_verification_a_member_is_told_by_its_word(cluster: Cluster) -> None:
    cluster.gate.peers = peers_of(cluster, verifies=False)
    unproven = Origin("transport", "10.0.0.9:9300", None, cluster_uuid=OWN_UUID)
    assert await cluster.run(COPY, SYSTEM, origin=unproven) == []
    assert "is unauthorized" in await refused(cluster.run(COPY, SYSTEM, origin=FOREIGN))


async def test_parts_of_an_action_are_between_members_and_still_need_the_callers_rights(cluster: Cluster) -> None:
    await cluster.add_reader("reader", "logs-1")
    joe = user("joe", "reader")
    assert await cluster.run(PART, joe, "logs-1", origin=MEMBER) == ["logs-1"]
    await refused(cluster.run(PART, joe, "secret", origin=MEMBER))
    for origin in (FOREIGN, IMPOSTOR, SISTER):
        assert "is unauthorized" in await refused(cluster.run(PART, ROOT, "logs-1", origin=origin))


async def test_a_member_that_passes_on_for_a_peer_keeps_the_peers_ceiling(cluster: Cluster) -> None:
    await put(cluster, "munich", {"issuer": "CN=ca-munich"}, limits=LIMITS)
    assert await cluster.run(SEARCH, ROOT, origin=FOREIGN) == ["logs-1"]
    onward = cluster.calls[-1].onward
    assert onward.through == "munich"
    assert await cluster.run(PART, onward, "logs-1", origin=MEMBER) == ["logs-1"]
    assert cluster.calls[-1].onward.through == "munich", "also one node further"
    assert "ceiling of peer [munich] decided" in await refused(cluster.run(PART, onward, "secret", origin=MEMBER))
    await cluster.run(SEARCH, ROOT, origin=MEMBER)
    assert cluster.calls[-1].onward is cluster.calls[-1].identity, "who came in here is passed on as it is"


async def test_several_peers_at_once_stay_several(cluster: Cluster) -> None:
    await put(cluster, "munich", {"issuer": "CN=ca-munich"}, limits={"search": [{"names": ["*"]}]})
    await put(cluster, "narrow", {"fingerprint_sha256": FOREIGN.peer.fingerprint_sha256}, limits=LIMITS)
    assert await cluster.run(SEARCH, ROOT, origin=FOREIGN) == ["logs-1"]
    onward = cluster.calls[-1].onward
    assert sorted(onward.through.split(",")) == ["munich", "narrow"]
    assert await cluster.run(SEARCH, onward, origin=MEMBER) == ["logs-1"]


async def test_a_peer_that_was_removed_meanwhile_gets_nothing_through_a_member(cluster: Cluster) -> None:
    await put(cluster, "munich", {"issuer": "CN=ca-munich"}, limits=LIMITS)
    await cluster.run(SEARCH, ROOT, origin=FOREIGN)
    onward = cluster.calls[-1].onward
    await cluster.store.change(KIND, lambda stored: {"munich": None})
    assert "[munich] is not known here any more" in await refused(cluster.run(SEARCH, onward, origin=MEMBER))


async def test_through_from_anybody_else_means_nothing(cluster: Cluster) -> None:
    await put(cluster, "munich", {"issuer": "CN=ca-munich"}, limits=LIMITS)
    await put(cluster, "rich", {"issuer": "CN=ca-of-nobody"}, limits={"search": [{"names": ["*"]}]})
    forged = msgspec.structs.replace(ROOT, through="rich")
    for origin in (FOREIGN, IMPOSTOR):
        assert await cluster.run(SEARCH, forged, origin=origin) == ["logs-1"]
        assert cluster.calls[-1].onward.through == "munich", "nor does it reach another node"
    assert await cluster.run(SEARCH, forged, origin=SISTER) == ["logs-1", "secret"], "which nobody limited"


async def test_a_members_request_waits_for_the_state_it_was_made_with(make_cluster: Make) -> None:
    waited: list[int] = []

    async def caught_up(version: int) -> None:
        waited.append(version)

    cluster = make_cluster(index("logs-1"), caught_up=caught_up)
    cluster.gate.peers = peers_of(cluster)
    part = Action("indices:data/write/bulk[s][p]", Versioned, list[str], Scope.INDEX, within=True)

    async def handler(call: Call, request: Any) -> list[str]:
        return list(call.targets.names)

    cluster.registry.register(part, handler)
    payload = msgspec.msgpack.encode(Versioned(("logs-1",), 7))
    await cluster.gate.run_encoded(part.name, payload, ROOT, MEMBER)
    assert waited == [7]
    await refused(cluster.gate.run_encoded(part.name, payload, ROOT, FOREIGN))
    assert waited == [7], "nobody else makes this node wait"


async def test_a_composite_is_no_way_around(cluster: Cluster) -> None:
    """A user's request through a member is judged by the user's rights."""
    await cluster.add_reader("reader", "logs-1")
    await refused(cluster.run(BULK, user("joe", "reader"), "logs-1", origin=MEMBER))
    assert await cluster.run(NODES, SYSTEM, origin=MEMBER) == []


async def test_of_which_task_a_request_is_a_part_is_believed_of_members_only(cluster: Cluster) -> None:
    seen: list[str | None] = []

    async def handler(call: Call, request: Any) -> list[str]:
        seen.extend(task.parent_task_id for task in cluster.gate.running.matching(("cluster:monitor/parts",)))
        return []

    parts = Action("cluster:monitor/parts", Names, list[str], Scope.CLUSTER)
    cluster.registry.register(parts, handler)
    for origin in (MEMBER, FOREIGN):
        await cluster.run(parts, ROOT, origin=msgspec.structs.replace(origin, parent_task="n2:17"))
    assert seen == ["n2:17", None]
