from __future__ import annotations

from typing import Any

import pytest

from hanse.errors import IllegalArgumentError
from hanse.index import settings


def test_the_prefix_may_be_left_out() -> None:
    given = {"number_of_replicas": "1", "index.hidden": "true", "*": None}
    assert settings.with_prefix(given) == {"index.number_of_replicas": "1", "index.hidden": "true", "*": None}


@pytest.mark.parametrize(
    "given",
    [
        {"index.analysis.analyzer.own.filter": ["lowercase", "stop"]},
        {"index.sort.field": ["a", "b"]},
        {"index.merge.policy.max_merged_segment": "5gb"},
        {"index.blocks.read_only": "true"},
        {"index.mapping.total_fields.limit": "2000"},
        {"index.refresh_interval": "-1"},
        {"index.codec": "best_compression"},
        {"index.number_of_replicas": None},
    ],
)
def test_what_a_new_index_may_have(given: dict[str, Any]) -> None:
    settings.check_new(given)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"index.codec": "fast"}, "found [fast], expected one of [default,best_compression,legacy_default]"),
        ({"index.mode": "time_series"}, "expected one of [standard]"),
        (
            {"index.max_result_window": "0"},
            "Failed to parse value [0] for setting [index.max_result_window] must be >= 1",
        ),
        ({"index.number_of_shards": ["1", "2"]}, "expected one value"),
        ({"index.version.created": "1"}, "private index setting [index.version.created] can not be set explicitly"),
        ({"index.nothing": None}, "unknown setting [index.nothing]"),
    ],
)
def test_what_a_new_index_may_not_have(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(IllegalArgumentError) as raised:
        settings.check_new(given)
    assert reason in raised.value.reason


@pytest.mark.parametrize(
    ("key", "open_index", "closed_index"),
    [
        ("index.refresh_interval", None, None),
        ("index.codec", "non dynamic", None),
        ("index.analysis.filter.own.type", "non dynamic", None),
        ("index.number_of_shards", "final", "final"),
        ("index.soft_deletes.enabled", "final", "final"),
        ("index.creation_date", "private", "private"),
        ("index.nothing", "unknown", "unknown"),
    ],
)
def test_which_settings_change(key: str, open_index: str | None, closed_index: str | None) -> None:
    for is_open, refusal in ((True, open_index), (False, closed_index)):
        if refusal is None:
            settings.check_update("books", "uuid", is_open, {key: None})
            continue
        with pytest.raises(IllegalArgumentError, match=refusal):
            settings.check_update("books", "uuid", is_open, {key: None})


def test_which_changes_need_a_closed_index() -> None:
    assert settings.needs_closed({"index.refresh_interval": "1s", "index.codec": "default"})
    assert not settings.needs_closed({"index.refresh_interval": "1s", "index.number_of_shards": "2"})


def test_defaults_are_texts_of_concrete_settings() -> None:
    defaults = settings.default_texts()
    assert defaults["index.refresh_interval"] == "1s"
    assert defaults["index.query.default_field"] == ["*"]
    assert not [key for key in defaults if "*" in key]
