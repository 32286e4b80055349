"""Which ceiling a certificate is held against, and what a ceiling makes of identities, actions and places."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hanse.errors import RejectedExecutionError, SecurityError
from hanse.security.ceilings import ACCEPTED, Ceiling, RemotePeers, Slots
from hanse.security.peer_file import PeerFile
from hanse.security.peers import KIND, parse_peer
from hanse.settings.registry import Settings
from hanse.tls.identity import PeerCertificate, read_certificate
from hanse.transport.actions import Action, Origin, Scope
from hanse.transport.identity import Identity

from .certificates import Party, name, seen
from .conftest import BULK, GET, HEALTH, SEARCH, STATS, Cluster, Names, index, user
from .test_peer_gate import FROM_MUNICH, LOGS, put

Make = Callable[..., Cluster]
MUNICH = Party.authority(name("ca-munich"))
NODE = MUNICH.issue(name("node"), "node.munich.example")
VERIFIED = seen(NODE, MUNICH)
UNVERIFIED = read_certificate(NODE.certificate.public_bytes(Encoding.DER))
MGET = Action("indices:data/read/mget", Names, list[str], Scope.COMPOSITE)


def origin(certificate: PeerCertificate | None, cluster_uuid: str = "munich") -> Origin:
    return Origin("transport", "10.0.0.9:9300", certificate, cluster_uuid=cluster_uuid)


def ceiling(**limits: Any) -> Ceiling:
    peer = parse_peer("munich", {"match": {"any": [{"issuer": "CN=ca-munich"}]}, "limits": limits})
    return Ceiling(None, [peer], [Slots()], "")


async def defined(cluster: Cluster, match: Any, peer: str = "munich", **body: Any) -> RemotePeers:
    definition = parse_peer(peer, {"match": {"any": [match]}, **body}).body
    await cluster.store.change(KIND, lambda stored: {peer: definition})
    return cluster.gate.peers


BY_NAME = [{"subject": "CN=node"}, {"san": "*.munich.example"}, {"issuer": "CN=ca-munich"}]


class TestWhoIsHeldAgainstIt:
    @pytest.mark.parametrize("match", BY_NAME, ids=lambda match: next(iter(match)))
    async def test_a_name_that_nobody_vouched_for_is_not_the_peers(self, make_cluster: Make, match: Any) -> None:
        """With `verification_mode: none` anybody shows any subject: it must earn neither a peer's rights nor its
        absence of limits."""
        peers = await defined(make_cluster(), match, limits=LOGS)
        found = peers.ceiling(origin(VERIFIED))
        assert found is not None
        assert (found.label, found.refusal) == ("munich", "")
        found = peers.ceiling(origin(UNVERIFIED))
        assert found is not None
        assert "was not verified on this connection" in found.refusal
        assert found.label == ""
        assert not found.permission.allows_somewhere(SEARCH.name)

    async def test_a_fingerprint_needs_nobody_to_vouch_for_it(self, make_cluster: Make) -> None:
        match = {"fingerprint_sha256": VERIFIED.fingerprint_sha256}
        peers = await defined(make_cluster(), match, limits=LOGS)
        for certificate in (VERIFIED, UNVERIFIED):
            found = peers.ceiling(origin(certificate))
            assert found is not None
            assert (found.label, found.refusal) == ("munich", "")

    async def test_an_unverified_server_that_claims_to_be_disabled_is_not_called(self, make_cluster: Make) -> None:
        """The other way round doubt is no harm: it is this node that would tell something."""
        peers = await defined(make_cluster(), {"subject": "CN=node"}, enabled=False)
        assert peers.revoked(UNVERIFIED) is not None
        assert peers.revoked(None) is None

    async def test_several_peers_are_all_kept_within(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs-1"), index("logs-2"))
        await defined(cluster, {"issuer": "CN=ca-munich"}, limits={"search": [{"names": ["logs-*"]}]})
        peers = await defined(cluster, {"subject": "CN=node"}, "node", limits={"search": [{"names": ["*-1"]}]})
        found = peers.ceiling(origin(VERIFIED))
        assert found is not None
        assert [found.permission.allows_index(SEARCH.name, n) for n in ("logs-1", "logs-2", "x-1")] == [
            True,
            False,
            False,
        ]
        await defined(cluster, {"subject": "CN=node"}, "node", enabled=False)
        found = peers.ceiling(origin(VERIFIED))
        assert found is not None
        assert "[node] decided: the peer is disabled" in found.refusal

    async def test_own_nodes_have_no_ceiling_and_a_claim_alone_makes_none(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        peers = RemotePeers(cluster.store, own_cluster_uuid=lambda: "here", is_own=lambda c: c.subject == "CN=node")
        peers.apply_settings(Settings({"xpack.security.remote_peer.default": "deny"}))
        assert peers.ceiling(origin(VERIFIED, "here")) is None
        for held in (
            origin(VERIFIED, "munich"),
            origin(seen(MUNICH.issue(name("other")), MUNICH), "here"),
            origin(None, "here"),
        ):
            found = peers.ceiling(held)
            assert found is not None
            assert "[xpack.security.remote_peer.default] is [deny]" in found.refusal

    async def test_an_authority_that_was_accepted_is_never_without_a_ceiling(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        entry = {"fingerprint_sha256": VERIFIED.anchor_sha256}
        await cluster.store.change(ACCEPTED, lambda stored: {"munich": entry})
        found = cluster.gate.peers.ceiling(origin(VERIFIED))
        assert found is not None
        assert "was accepted by invitation as [munich]" in found.refusal
        await defined(cluster, {"issuer": "CN=ca-munich"}, limits=LOGS)
        found = cluster.gate.peers.ceiling(origin(VERIFIED))
        assert found is not None
        assert found.refusal == ""

    async def test_a_peer_of_the_file_comes_before_a_stored_one(self, make_cluster: Make, tmp_path: Path) -> None:
        cluster = make_cluster()
        await defined(cluster, {"issuer": "CN=ca-munich"}, limits=LOGS)
        (tmp_path / "peers.yml").write_text('munich: {match: {any: [{issuer: "CN=ca-munich"}]}, enabled: false}\n')
        file = PeerFile(tmp_path)
        peers = RemotePeers(cluster.store, file)
        found = peers.ceiling(origin(VERIFIED))
        assert found is not None
        assert "is disabled" in found.refusal
        assert peers.is_of_file("munich")
        (tmp_path / "peers.yml").write_text("")
        file.reload()
        found = peers.ceiling(origin(VERIFIED))
        assert found is not None
        assert found.refusal == ""


class TestIdentities:
    def test_names_outside_are_dropped_wherever_they_stand(self) -> None:
        held = ceiling(roles=["reader", "ops-*"])
        login = user("boss", "superuser", "ops-1")
        key = {"limited_by": {"reader": {}, "superuser": {}}, "role_descriptors": {"own": {}}}
        limited = held.limit(user("joe", "reader", "admin", run_by=login, api_key=key))
        assert limited.roles == ("reader",)
        assert limited.run_by is not None
        assert limited.run_by.roles == ("ops-1",)
        assert limited.api_key is not None
        assert limited.api_key["limited_by"] == {"reader": {}}
        assert held.sorted_roles(user("joe", "reader", "admin")) == (("reader",), ("admin",))
        assert held.sorted_roles(user("joe", api_key=key)) == (("reader",), ("superuser",))

    def test_without_limits_of_roles_nothing_is_dropped(self) -> None:
        identity = user("joe", "superuser")
        assert ceiling().limit(identity) is identity

    @pytest.mark.parametrize("limited_by", [None, 5, ["reader"], {"reader": "no role"}, {5: {}}])
    def test_a_malformed_key_grants_nothing_and_breaks_nothing(self, make_cluster: Make, limited_by: Any) -> None:
        held, cluster = ceiling(roles=["reader"], **LOGS), make_cluster()
        forged = user("joe", api_key={"id": "k", "limited_by": limited_by, "role_descriptors": {}})
        assert not held.permission_of(forged, cluster.roles).allows_index(SEARCH.name, "logs-1")
        held.sorted_roles(forged)


class TestPlaces:
    def test_one_too_many_is_refused_and_given_back(self) -> None:
        held = ceiling(max_concurrent_requests=1)
        held.enter("a")
        with pytest.raises(RejectedExecutionError, match=r"of peer \[munich\] are running"):
            held.enter("b")
        held.leave()
        held.enter("c")


@pytest.fixture
async def cluster(make_cluster: Make) -> Cluster:
    made = make_cluster(index("logs-1"), index("secret"))
    await made.add_reader("reader", "logs-1", "secret")

    async def handler(call: Any, request: Names) -> list[str]:
        found: list[str] = []
        for one in request.indices:
            found += await call.run(GET, Names((one,)))
        return found

    made.registry.register(MGET, handler)
    return made


class TestActions:
    async def test_get_and_each_part_of_a_multi_get(self, cluster: Cluster) -> None:
        await put(cluster, limits=LOGS)
        joe = user("joe", "reader")
        assert await cluster.run(GET, joe, "logs-1", origin=FROM_MUNICH) == ["logs-1"]
        assert await cluster.run(MGET, joe, "logs-1", origin=FROM_MUNICH) == ["logs-1"]
        for action, names in ((GET, ("secret",)), (MGET, ("logs-1", "secret"))):
            with pytest.raises(SecurityError, match=r"ceiling of peer \[munich\] decided"):
                await cluster.run(action, joe, *names, origin=FROM_MUNICH)
        await put(cluster, limits={"replication": [{"names": ["*"]}]})
        for action in (GET, MGET):
            with pytest.raises(SecurityError, match=r"\[limits.search\] does not allow it"):
                await cluster.run(action, joe, "logs-1", origin=FROM_MUNICH)

    async def test_neither_half_lets_anything_be_written_or_administered(self, cluster: Cluster) -> None:
        everything = [{"names": ["*"]}]
        await put(cluster, limits={"search": everything, "replication": everything})
        root = user("root", "superuser")
        for action in (BULK, HEALTH):
            with pytest.raises(SecurityError, match="a remote peer may only search and replicate"):
                await cluster.run(action, root, "logs-1", origin=FROM_MUNICH)
        assert await cluster.run(STATS, root, "logs-1", origin=FROM_MUNICH) == ["logs-1"]

    async def test_run_as_names_the_ceiling_that_dropped_the_right(self, cluster: Cluster) -> None:
        await cluster.add_role("actor", run_as=["joe"])
        acting = user("joe", "reader", run_by=user("boss", "actor"))
        await put(cluster, limits=LOGS)
        assert await cluster.run(SEARCH, acting, "logs-1", origin=FROM_MUNICH) == ["logs-1"]
        await put(cluster, limits={**LOGS, "roles": ["reader"]})
        with pytest.raises(SecurityError) as refused:
            await cluster.run(SEARCH, acting, "logs-1", origin=FROM_MUNICH)
        assert refused.value.reason.endswith(
            "because user [boss] is unauthorized to run as [joe]; "
            "the ceiling of peer [munich] decided: its [limits.roles] accepts only [reader]"
        )

    async def test_a_right_to_run_as_cannot_be_made_up_in_a_key(self, cluster: Cluster) -> None:
        key = {"id": "k", "limited_by": {"reader": {"run_as": ["*"]}}, "role_descriptors": {}}
        forged = user("joe", "reader", run_by=Identity("boss", api_key=key, authentication_type="api_key"))
        await put(cluster, limits={**LOGS, "roles": ["reader"]})
        with pytest.raises(SecurityError, match="unauthorized to run as"):
            await cluster.run(SEARCH, forged, "logs-1", origin=FROM_MUNICH)
