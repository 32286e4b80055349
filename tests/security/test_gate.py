"""The gate: who may do what, in which words it is refused, and what handlers are given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hanse.cluster.state import AliasMetadata
from hanse.errors import (
    HanseError,
    IllegalArgumentError,
    IndexNotFoundError,
    NoSuchRemoteClusterError,
    SecurityError,
    TaskCancelledError,
)
from hanse.transport.actions import Action, Call, Scope
from hanse.transport.identity import SYSTEM, UNSECURED, Identity

from .conftest import (
    BULK,
    CREATE,
    GET,
    HEALTH,
    NODES,
    PEER,
    SEARCH,
    SETTINGS,
    STATE,
    STATS,
    UPDATE,
    Cluster,
    Names,
    index,
    user,
)

Make = Callable[..., Cluster]


async def refused(work: Any) -> SecurityError:
    with pytest.raises(SecurityError) as caught:
        await work
    return caught.value


class TestIndexActions:
    async def test_a_wildcard_shows_only_what_the_role_names(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs-1"), index("logs-2"), index("secret"))
        await cluster.add_reader("reader", "logs-*")
        joe = user("joe", "reader")
        assert await cluster.run(SEARCH, joe) == ["logs-1", "logs-2"]
        assert await cluster.run(SEARCH, joe, "*") == ["logs-1", "logs-2"]
        assert await cluster.run(SEARCH, joe, "_all") == ["logs-1", "logs-2"]
        assert await cluster.run(SEARCH, joe, "s*") == []

    async def test_an_explicit_name_without_privilege_refuses_the_whole_request(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs-1"), index("secret"))
        await cluster.add_reader("reader", "logs-*")
        error = await refused(cluster.run(SEARCH, user("joe", "reader"), "logs-1", "secret", "other"))
        assert error.status == 403
        assert error.reason == (
            "action [indices:data/read/search] is unauthorized for user [joe] with effective roles [reader] on indices "
            "[secret,other], this action is granted by the index privileges [read,all]"
        )

    async def test_existence_is_told_only_to_those_who_may_see(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs-1"))
        await cluster.add_reader("reader", "logs-*")
        joe = user("joe", "reader")
        assert (await refused(cluster.run(GET, joe, "nowhere"))).status == 403
        with pytest.raises(IndexNotFoundError, match=r"no such index \[logs-9\]"):
            await cluster.run(GET, joe, "logs-9")

    async def test_ignore_unavailable_drops_what_is_not_granted(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs-1"), index("secret"))
        await cluster.add_reader("reader", "logs-*")
        found = await cluster.run(SEARCH, user("joe", "reader"), "logs-1", "secret", "gone", ignore_unavailable=True)
        assert found == ["logs-1"]

    async def test_roles_that_are_not_defined_are_named(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("cities"))
        error = await refused(cluster.run(SEARCH, user("zoe", "zeebe_app"), "cities", origin=PEER))
        assert error.reason == (
            "action [indices:data/read/search] is unauthorized for user [zoe] with effective roles [] (assigned roles "
            "[zeebe_app] were not found) on indices [cities], this action is granted by the index privileges [read,all]"
        )
        error = await refused(cluster.run(SEARCH, user("zoe", "zeebe_app"), "*", origin=PEER))
        assert error.reason == (
            "action [indices:data/read/search] is unauthorized for user [zoe] with effective roles [] (assigned roles "
            "[zeebe_app] were not found), this action is granted by the index privileges [read,all]"
        )

    async def test_a_role_change_acts_on_the_next_request(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs-1"), index("secret"))
        await cluster.add_reader("reader", "logs-*")
        joe = user("joe", "reader")
        assert await cluster.run(SEARCH, joe) == ["logs-1"]
        await cluster.add_reader("reader", "secret")
        assert await cluster.run(SEARCH, joe) == ["secret"]
        await cluster.store.delete_role("reader")
        assert (await refused(cluster.run(SEARCH, joe))).status == 403

    async def test_a_new_index_is_seen_by_the_next_request(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs-1"))
        await cluster.add_reader("reader", "logs-*")
        assert await cluster.run(SEARCH, user("joe", "reader"), "logs-*") == ["logs-1"]
        await cluster.service.update("test", lambda state: state.with_index(index("logs-2")))
        assert await cluster.run(SEARCH, user("joe", "reader"), "logs-*") == ["logs-1", "logs-2"]

    async def test_restricted_names_need_more_than_superuser(self, make_cluster: Make) -> None:
        cluster = make_cluster(index(".security-7"))
        boss = user("boss", "superuser")
        assert await cluster.run(SEARCH, boss, ".security-7") == [".security-7"]
        error = await refused(cluster.run(CREATE, boss, ".security-8"))
        assert "on restricted indices [.security-8], this action is granted by the index privileges" in error.reason

    async def test_creating_needs_no_existing_name(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        await cluster.add_reader("maker", "logs-*", privileges=("create_index",))
        assert await cluster.run(CREATE, user("joe", "maker"), "logs-1") == ["logs-1"]
        error = await refused(cluster.run(CREATE, user("joe", "maker"), "other"))
        assert error.reason.endswith(
            "on indices [other], this action is granted by the index privileges [create_index,manage,all]"
        )

    async def test_date_math_is_resolved_before_it_is_judged(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs-2026.09.21"))
        await cluster.add_reader("reader", "logs-2026*")
        assert await cluster.run(SEARCH, user("joe", "reader"), "<logs-{now/d}>") == ["logs-2026.09.21"]
        error = await refused(cluster.run(SEARCH, user("joe", "reader"), "<other-{now/d}>"))
        assert "on indices [other-2026.09.21]" in error.reason


class TestFilters:
    async def test_roles_are_united_and_a_role_without_query_lifts_it(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("crew"))
        entry = {"names": ["crew"], "privileges": ["read"]}
        await cluster.add_role("north", indices=[{**entry, "query": {"term": {"port": "Bergen"}}}])
        await cluster.add_role("south", indices=[{**entry, "query": '{"term":{"port":"Bruges"}}'}])
        await cluster.add_role("thin", indices=[{**entry, "field_security": {"grant": ["*"], "except": ["wage"]}}])
        await cluster.run(SEARCH, user("joe", "north", "south"), "crew")
        access = cluster.calls[-1].targets.local[0].access
        assert access.documents == (({"term": {"port": "Bergen"}}, {"term": {"port": "Bruges"}}),)
        assert access.fields == ()
        await cluster.run(SEARCH, user("joe", "north", "thin"), "crew")
        assert cluster.calls[-1].targets.local[0].access.is_full
        await cluster.run(SEARCH, user("joe", "thin"), "crew")
        assert cluster.calls[-1].targets.local[0].access.fields[0][0].deny == ("wage",)

    async def test_only_grants_of_this_action_count(self, make_cluster: Make) -> None:
        """A role that may only write lifts no read restriction."""
        cluster = make_cluster(index("crew"))
        query = {"term": {"port": "Bergen"}}
        await cluster.add_role("north", indices=[{"names": ["crew"], "privileges": ["read"], "query": query}])
        await cluster.add_reader("writer", "crew", privileges=("write",))
        await cluster.run(SEARCH, user("joe", "north", "writer"), "crew")
        assert cluster.calls[-1].targets.local[0].access.documents == ((query,),)

    async def test_updates_are_refused_under_restrictions(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("crew"))
        query = {"term": {"port": "Bergen"}}
        await cluster.add_role("north", indices=[{"names": ["crew"], "privileges": ["all"], "query": query}])
        error = await refused(cluster.run(UPDATE, user("joe", "north"), "crew"))
        assert (error.status, error.reason) == (
            400,
            "Can't execute an update request if field or document level security is enabled",
        )

    async def test_an_alias_brings_its_filter_and_routing(self, make_cluster: Make) -> None:
        alias = AliasMetadata(filter={"term": {"a": 1}}, search_routing="r1")
        cluster = make_cluster(index("crew", mates=alias))
        await cluster.add_reader("reader", "mates")
        await cluster.run(SEARCH, user("joe", "reader"))
        (target,) = cluster.calls[-1].targets.local
        assert (target.index, target.name, target.filters, target.routing) == (
            "crew",
            "mates",
            ({"term": {"a": 1}},),
            "r1",
        )
        assert (await refused(cluster.run(SEARCH, user("joe", "reader"), "crew"))).status == 403


class TestRemoteParts:
    async def test_only_the_local_part_is_judged_here(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("cities"), remotes=("bergen", "luebeck"))
        await cluster.add_role("empty")
        joe = user("joe", "empty")
        await cluster.run(SEARCH, joe, "bergen:cities", "*:logs-*")
        targets = cluster.calls[-1].targets
        assert not targets.has_local
        assert targets.local == ()
        assert targets.remotes == {"bergen": ("cities", "logs-*"), "luebeck": ("logs-*",)}
        error = await refused(cluster.run(SEARCH, joe, "bergen:cities", "cities"))
        assert "on indices [cities]" in error.reason

    async def test_a_local_wildcard_that_shows_nothing_is_no_refusal_beside_remotes(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("cities"), remotes=("bergen",))
        await cluster.run(SEARCH, user("joe", "nothing"), "bergen:cities", "c*")
        targets = cluster.calls[-1].targets
        assert targets.has_local
        assert targets.local == ()
        assert targets.expression == ("c*",)

    async def test_an_unknown_alias(self, make_cluster: Make) -> None:
        cluster = make_cluster(remotes=("bergen",))
        with pytest.raises(NoSuchRemoteClusterError, match=r"no such remote cluster: \[oslo\]"):
            await cluster.run(SEARCH, user("joe"), "oslo:cities")

    async def test_an_action_that_does_not_cross(self, make_cluster: Make) -> None:
        cluster = make_cluster(remotes=("bergen",))
        with pytest.raises(IllegalArgumentError) as caught:
            await cluster.run(STATS, user("boss", "superuser"), "bergen:cities", "x", "bergen:b")
        assert caught.value.reason == (
            "Cross-cluster calls are not supported in this context but remote indices were requested: "
            "[bergen:cities, bergen:b]"
        )

    async def test_a_node_without_the_role(self, make_cluster: Make) -> None:
        cluster = make_cluster(remotes=("bergen",), is_remote_client=False)
        with pytest.raises(IllegalArgumentError) as caught:
            await cluster.run(SEARCH, user("joe"), "bergen:cities")
        assert caught.value.reason == "node [node-1] does not have the remote cluster client role enabled"


class TestClusterActions:
    async def test_by_cluster_privilege(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        await cluster.add_role("watch", cluster=["monitor"])
        await cluster.run(HEALTH, user("joe", "watch"))
        error = await refused(cluster.run(SETTINGS, user("joe", "watch")))
        assert error.reason == (
            "action [cluster:admin/settings/update] is unauthorized for user [joe] with effective roles [watch], this "
            "action is granted by the cluster privileges [manage,all]"
        )

    async def test_composite_needs_the_action_on_some_name(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs"))
        await cluster.add_reader("writer", "logs", privileges=("write",))
        await cluster.add_reader("reader", "logs")
        await cluster.run(BULK, user("joe", "writer"))
        error = await refused(cluster.run(BULK, user("joe", "reader")))
        assert error.reason.endswith("granted by the index privileges [create_doc,create,delete,index,write,all]")


class TestSystem:
    async def test_a_peer_may_be_system_only_for_internal_work(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs"))
        await cluster.run(NODES, SYSTEM, origin=PEER)
        await cluster.run(STATE, SYSTEM, origin=PEER)
        for action in (SEARCH, GET, CREATE, BULK, SETTINGS):
            error = await refused(cluster.run(action, SYSTEM, "logs", origin=PEER))
            assert error.reason.startswith(f"action [{action.name}] is unauthorized for user [_system]")

    async def test_internal_work_is_for_system_alone(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        error = await refused(cluster.run(NODES, user("boss", "superuser")))
        assert error.status == 403

    @pytest.mark.parametrize("identity", [UNSECURED, user("_system", "superuser"), user("_xpack", "superuser")])
    async def test_a_peer_without_a_user_is_not_believed(self, make_cluster: Make, identity: Identity) -> None:
        cluster = make_cluster(index("logs"))
        error = await refused(cluster.run(SEARCH, identity, "logs", origin=PEER))
        assert (error.status, error.reason) == (
            401,
            "missing authentication credentials for action [indices:data/read/search]",
        )


class TestRunAs:
    async def test_needs_run_as_here_too(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs"))
        await cluster.add_reader("reader", "logs")
        await cluster.add_role("actor", run_as=["other*"])
        login = user("joe", "actor")
        await cluster.run(SEARCH, user("other", "reader", run_by=login), "logs", origin=PEER)
        error = await refused(cluster.run(SEARCH, user("mary", "reader", run_by=login), "logs", origin=PEER))
        assert error.reason == (
            "action [indices:data/read/search] is unauthorized for user [joe] with effective roles [actor], because "
            "user [joe] is unauthorized to run as [mary]"
        )
        error = await refused(cluster.run(GET, user("other", "reader", run_by=login), "secret"))
        assert "for user [joe] run as [other] with effective roles [reader] on indices [secret]" in error.reason


class TestSubActions:
    async def test_pass_the_same_gate(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs"), index("secret"))
        await cluster.add_reader("reader", "logs")
        outer: Action[Names, list[str]] = Action("indices:data/read/outer", Names, list[str], Scope.COMPOSITE)

        async def handler(call: Call, request: Names) -> list[str]:
            found: list[str] = await call.run(SEARCH, Names(request.indices))
            return found

        cluster.registry.register(outer, handler)
        assert await cluster.run(outer, user("joe", "reader"), "logs") == ["logs"]
        assert (await refused(cluster.run(outer, user("joe", "reader"), "secret"))).status == 403

    async def test_an_alias_grant_covers_the_work_behind_it(self, make_cluster: Make) -> None:
        alias = AliasMetadata(filter={"term": {"a": 1}})
        cluster = make_cluster(index("crew", mates=alias), index("other"))
        await cluster.add_reader("reader", "mates")
        phase: Action[Names, list[str]] = Action("indices:data/read/one[phase]", Names, list[str], Scope.INDEX)
        one: Action[Names, list[str]] = Action("indices:data/read/one", Names, list[str], Scope.INDEX)
        asked = ["crew"]

        async def inner(call: Call, request: Names) -> list[str]:
            assert call.targets.local[0].filters == ({"term": {"a": 1}},)
            return list(call.targets.names)

        async def handler(call: Call, request: Names) -> list[str]:
            found: list[str] = await call.run(phase, Names(tuple(asked)))
            return found

        cluster.registry.register(phase, inner)
        cluster.registry.register(one, handler)
        assert await cluster.run(one, user("joe", "reader"), "mates") == ["crew"]
        asked.append("other")
        assert (await refused(cluster.run(one, user("joe", "reader"), "mates"))).status == 403


class TestDisabled:
    async def test_everybody_may_do_everything(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs"), index(".security-7"), enabled=False)
        assert await cluster.run(SEARCH, UNSECURED) == [".security-7", "logs"]
        await cluster.run(SETTINGS, user("joe", "nothing"))
        await cluster.run(CREATE, UNSECURED, ".security-8")


class TestRunning:
    async def test_errors_of_handlers_pass_untouched(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        failing: Action[Names, list[str]] = Action("cluster:monitor/failing", Names, list[str], Scope.CLUSTER)
        problem = IndexNotFoundError.of("x")

        async def handler(call: Call, request: Names) -> list[str]:
            raise problem

        cluster.registry.register(failing, handler)
        with pytest.raises(HanseError) as caught:
            await cluster.run(failing, user("boss", "superuser"))
        assert caught.value is problem
        assert len(cluster.gate.running) == 0

    async def test_a_running_action_is_listed_and_cancelled(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        slow: Action[Names, list[str]] = Action("cluster:monitor/slow", Names, list[str], Scope.CLUSTER)
        started = asyncio.Event()

        async def handler(call: Call, request: Names) -> list[str]:
            started.set()
            await asyncio.Event().wait()
            return []

        cluster.registry.register(slow, handler)
        work = asyncio.get_running_loop().create_task(cluster.run(slow, user("boss", "superuser"), "a", "b"))
        await started.wait()
        (info,) = cluster.gate.running.matching(("cluster:monitor/sl*",))
        assert (info.full_id, info.description, info.user) == ("n1:1", "indices[a, b]", "boss")
        cluster.gate.running.cancel(info.id)
        with pytest.raises(TaskCancelledError, match="by user request"):
            await work
        assert len(cluster.gate.running) == 0

    async def test_a_cancelled_connection_stays_a_cancellation(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        slow: Action[Names, list[str]] = Action("cluster:monitor/slow", Names, list[str], Scope.CLUSTER)
        started = asyncio.Event()

        async def handler(call: Call, request: Names) -> list[str]:
            started.set()
            await asyncio.Event().wait()
            return []

        cluster.registry.register(slow, handler)
        work = asyncio.get_running_loop().create_task(cluster.run(slow, user("boss", "superuser")))
        await started.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work


class TestEncoded:
    async def test_runs_a_peers_message(self, make_cluster: Make) -> None:
        cluster = make_cluster(index("logs"))
        await cluster.add_reader("reader", "logs")
        payload = msgspec.msgpack.encode(Names(("logs",)))
        answer = await cluster.gate.run_encoded(SEARCH.name, payload, user("joe", "reader"), PEER)
        assert msgspec.msgpack.decode(answer) == ["logs"]

    async def test_unknown_actions(self, make_cluster: Make) -> None:
        with pytest.raises(IllegalArgumentError, match=r"No handler for action \[no:such\]"):
            await make_cluster().gate.run_encoded("no:such", b"", user("joe"), PEER)

    async def test_what_is_refused_by_name_is_never_decoded(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        for action, identity in ((SETTINGS, user("joe")), (NODES, user("joe")), (SEARCH, SYSTEM), (SEARCH, UNSECURED)):
            await refused(cluster.gate.run_encoded(action.name, b"\xc1garbage", identity, PEER))

    @pytest.mark.parametrize(
        "payload", [b"", b"\xc1", b"\x93\x01", msgspec.msgpack.encode({"indices": 7}), b"\x91" * 9000]
    )
    async def test_a_message_that_cannot_be_read(self, make_cluster: Make, payload: bytes) -> None:
        with pytest.raises(IllegalArgumentError) as caught:
            await make_cluster().gate.run_encoded(SEARCH.name, payload, user("boss", "superuser"), PEER)
        assert caught.value.status == 400


async def test_the_explanation_names_role_by_role(make_cluster: Make) -> None:
    cluster = make_cluster(index("logs"))
    await cluster.add_reader("reader", "logs")
    await cluster.add_role("empty")
    rows = cluster.gate.explain(SEARCH.name, user("joe", "reader", "empty", "gone"), "logs")
    assert [(row.role, row.allowed) for row in rows] == [("gone", False), ("reader", True), ("empty", False)]
