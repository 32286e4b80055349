from __future__ import annotations

from typing import Any, cast

import pytest

from hanse.cluster.administration import ClusterAdministration
from hanse.cluster.requests import ReadSettings, UpdateSettings
from hanse.cluster.updates import ClusterService
from hanse.errors import HanseError, IllegalArgumentError
from hanse.node import registry_of_settings
from hanse.settings.registry import Settings
from hanse.transport.actions import Call, Empty

NOBODY = cast(Call, None)
OWN = Settings({"node.name": "crane", "xpack.security.http.ssl.keystore.password": "secret", "node.attr.zone": "a"})


def refuse_rotterdam(settings: Settings) -> None:
    if any(key.startswith("cluster.remote.rotterdam") for key in settings):
        raise IllegalArgumentError("not Rotterdam")


@pytest.fixture
def administration(cluster: ClusterService) -> ClusterAdministration:
    return ClusterAdministration(
        cluster,
        OWN,
        registry_of_settings(),
        version="9.2.0",
        validators=(refuse_rotterdam,),
    )


async def put(administration: ClusterAdministration, **kinds: dict[str, Any]) -> dict[str, Any]:
    return await administration.update_settings(NOBODY, UpdateSettings(**kinds))


SEEDS = "cluster.remote.berlin.seeds"
SKIPS = "cluster.remote.berlin.skip_unavailable"


async def test_settings_change_and_the_answer_shows_what_was_set(
    administration: ClusterAdministration, cluster: ClusterService
) -> None:
    answer = await put(administration, persistent={SEEDS: ["b:9300"], "cluster.max_shards_per_node": None})
    assert answer == {"acknowledged": True, "persistent": {SEEDS: ["b:9300"]}, "transient": {}}
    assert cluster.state.persistent == {SEEDS: ["b:9300"]}
    await put(administration, transient={"cluster.max_shards_per_node": "7"})
    read = await administration.read_settings(NOBODY, ReadSettings())
    assert read == {"persistent": {SEEDS: ["b:9300"]}, "transient": {"cluster.max_shards_per_node": "7"}}


@pytest.mark.parametrize(
    ("removal", "left"),
    [
        ({SEEDS: None}, {SKIPS}),
        ({SEEDS: None, SKIPS: None}, set()),
        ({"cluster.remote.berlin.*": None}, set()),
        ({"cluster.remote.berlin": None}, set()),
        ({"cluster.remote.paris.*": None}, {SEEDS, SKIPS}),
    ],
)
async def test_null_removes(
    administration: ClusterAdministration, cluster: ClusterService, removal: dict[str, None], left: set[str]
) -> None:
    await put(administration, persistent={SEEDS: ["b:9300"], SKIPS: "true"})
    answer = await put(administration, persistent=removal)
    assert set(cluster.state.persistent) == left
    assert answer["persistent"] == {}


async def test_what_is_there_already_makes_no_new_state(
    administration: ClusterAdministration, cluster: ClusterService
) -> None:
    await put(administration, persistent={SEEDS: ["b:9300"]})
    version = cluster.state.version
    await put(administration, persistent={SEEDS: ["b:9300"]})
    assert cluster.state.version == version


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        ({}, "Validation Failed: 1: no settings to update;"),
        ({"persistent": {"no.such": "1"}}, "persistent setting [no.such], not recognized"),
        ({"transient": {"no.such": "1"}}, "transient setting [no.such], not recognized"),
        ({"persistent": {"cluster.name": "x"}}, "persistent setting [cluster.name], not dynamically updateable"),
        ({"persistent": {"cluster.max_shards_per_node": "few"}}, "Failed to parse value [few]"),
        ({"persistent": {"cluster.remote.rotterdam.seeds": ["r:9300"]}}, "not Rotterdam"),
    ],
)
async def test_refused(
    administration: ClusterAdministration, cluster: ClusterService, kinds: dict[str, Any], reason: str
) -> None:
    with pytest.raises(HanseError) as raised:
        await put(administration, **kinds)
    assert reason in raised.value.reason
    assert (raised.value.status, cluster.state.version) == (400, 0)


async def test_defaults_show_this_node_but_no_secret(administration: ClusterAdministration) -> None:
    defaults = (await administration.read_settings(NOBODY, ReadSettings(include_defaults=True)))["defaults"]
    assert defaults["node.name"] == "crane"
    assert defaults["cluster.max_shards_per_node"] == "1000"
    assert "secret" not in str(defaults)


async def test_what_monitoring_tools_read_first(administration: ClusterAdministration) -> None:
    assert (await administration.main(NOBODY, Empty()))["name"] == "crane"
    assert (await administration.license(NOBODY, Empty()))["license"]["status"] == "active"
    assert await administration.pending_tasks(NOBODY, Empty()) == {"tasks": []}
    assert (await administration.xpack_info(NOBODY, Empty()))["features"]["ccr"]["available"]


async def test_usage_counts_remote_clusters(administration: ClusterAdministration) -> None:
    await put(administration, persistent={SEEDS: ["b:9300"], SKIPS: "true"})
    assert (await administration.xpack_usage(NOBODY, Empty()))["remote_clusters"] == {"size": 1}
