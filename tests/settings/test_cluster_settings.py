"""Settings that change while the cluster runs."""

from __future__ import annotations

import pytest

from hanse.errors import IllegalArgumentError
from hanse.settings.cluster_settings import AUTO_CREATE_INDEX, CLUSTER_SETTINGS, MAX_BUCKETS
from hanse.settings.registry import RawValue, Scope, Settings, SettingsRegistry


def test_all_of_them_may_be_changed_through_the_api_and_stand_in_the_file() -> None:
    for setting in CLUSTER_SETTINGS:
        assert Scope.DYNAMIC in setting.scope, setting.key
        assert Scope.STATIC in setting.scope, setting.key


@pytest.mark.parametrize(
    ("raw", "patterns"),
    [
        ("true", (("*", True),)),
        ("false", (("*", False),)),
        ("+logs-*,-secret*,*", (("logs-*", True), ("secret*", False), ("*", True))),
        (["a*", "-b*"], (("a*", True), ("b*", False))),
    ],
)
def test_auto_create_index(raw: RawValue, patterns: object) -> None:
    assert Settings({"action.auto_create_index": raw}).read(AUTO_CREATE_INDEX) == patterns


def test_an_empty_pattern_is_refused() -> None:
    with pytest.raises(IllegalArgumentError, match="must be either"):
        Settings({"action.auto_create_index": "a,-"}).read(AUTO_CREATE_INDEX)


def test_what_runbooks_set() -> None:
    registry = SettingsRegistry(CLUSTER_SETTINGS)
    changes: dict[str, RawValue | None] = {
        "cluster.routing.allocation.enable": "primaries",
        "cluster.routing.allocation.exclude._ip": "10.0.0.1",
        "cluster.routing.allocation.disk.watermark.low": "90%",
        "cluster.max_shards_per_node": "2000",
        "indices.recovery.max_bytes_per_sec": "100mb",
        "indices.breaker.total.limit": "80%",
        "cluster.metadata.administrator": "harbour@example.org",
        "logger.org.elasticsearch.transport": None,
        "search.max_buckets": "20000",
    }
    registry.check(changes, allowed=Scope.DYNAMIC)
    assert Settings({"search.max_buckets": "20000"}).read(MAX_BUCKETS) == 20000
    with pytest.raises(IllegalArgumentError, match=r"unknown setting \[search.max_bucket\] did you mean"):
        registry.check({"search.max_bucket": "1"}, allowed=Scope.DYNAMIC)
