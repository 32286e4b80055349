from __future__ import annotations

from typing import cast

import pytest
from tests.cluster.conftest import start_all

from hanse.cluster.allocation_actions import AllocationActions
from hanse.cluster.requests import ExplainAllocation, Reroute, RerouteCommand
from hanse.cluster.state import IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import IllegalArgumentError
from hanse.transport.actions import Call

NOBODY = cast(Call, None)
CANCEL = RerouteCommand("cancel", "kept", 0, node="crane", allow_primary=True)


@pytest.fixture
async def actions(cluster: ClusterService) -> AllocationActions:
    await cluster.update("create", lambda state: state.with_index(IndexMetadata("kept", "u", {}, number_of_replicas=0)))
    await start_all(cluster)
    return AllocationActions(cluster)


async def test_without_commands_nothing_changes(actions: AllocationActions, cluster: ClusterService) -> None:
    before = cluster.state
    answer = await actions.reroute(NOBODY, Reroute())
    assert answer == {"acknowledged": True, "state": {"cluster_uuid": "uuid", "version": before.version}}
    assert cluster.state is before


async def test_a_command_is_committed(actions: AllocationActions, cluster: ClusterService) -> None:
    answer = await actions.reroute(NOBODY, Reroute((CANCEL,), explain=True, metrics=("routing_table",)))
    assert answer["state"]["version"] == cluster.state.version
    (copy,) = answer["state"]["routing_table"]["indices"]["kept"]["shards"]["0"]
    assert copy["state"] == "INITIALIZING"
    (explanation,) = answer["explanations"]
    assert explanation["parameters"] == {"index": "kept", "shard": 0, "node": "crane", "allow_primary": True}


async def test_a_dry_run_shows_and_does_nothing(actions: AllocationActions, cluster: ClusterService) -> None:
    before = cluster.state
    answer = await actions.reroute(NOBODY, Reroute((CANCEL,), dry_run=True, metrics=("routing_table",)))
    (copy,) = answer["state"]["routing_table"]["indices"]["kept"]["shards"]["0"]
    assert copy["state"] == "INITIALIZING"
    assert cluster.state is before


async def test_a_refused_command(actions: AllocationActions, cluster: ClusterService) -> None:
    stale = RerouteCommand("allocate_stale_primary", "kept", 0, node="crane", accept_data_loss=True)
    with pytest.raises(IllegalArgumentError, match="is already assigned"):
        await actions.reroute(NOBODY, Reroute((stale,)))
    answer = await actions.reroute(NOBODY, Reroute((stale,), explain=True))
    assert answer["explanations"][0]["decisions"][0]["decision"] == "NO"


async def test_explain(actions: AllocationActions) -> None:
    answer = await actions.explain(NOBODY, ExplainAllocation("kept", 0, True))
    assert (answer["current_state"], answer["current_node"]["name"]) == ("started", "crane")
