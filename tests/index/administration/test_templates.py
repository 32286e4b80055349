from __future__ import annotations

from typing import Any

import pytest
from tests.index.administration.conftest import Administration

from hanse.errors import HanseError, ResourceNotFoundError
from hanse.index.administration import requests
from hanse.index.administration.requests import ByName, PutTemplate


async def put(here: Administration, name: str, *patterns: str, create: bool = False, **body: Any) -> None:
    whole = {"index_patterns": list(patterns), **body}
    await here.run(requests.PUT_INDEX_TEMPLATE, PutTemplate(name, whole, create))


async def component(here: Administration, name: str, **template: Any) -> None:
    await here.run(requests.PUT_COMPONENT_TEMPLATE, PutTemplate(name, {"template": template}))


async def legacy(here: Administration, name: str, *patterns: str, **body: Any) -> None:
    await here.run(requests.PUT_LEGACY_TEMPLATE, PutTemplate(name, {"index_patterns": list(patterns), **body}))


def priority(number: int) -> dict[str, Any]:
    return {"priority": number, "template": {"settings": {"priority": number}}}


# -- what a new index gets


async def test_the_highest_priority_wins_alone(here: Administration) -> None:
    await put(here, "low", "log*", **priority(1))
    await put(here, "high", "logs-*", **priority(2))
    assert (await here.create("logs-1")).settings["index.priority"] == "2"
    assert (await here.create("log")).settings["index.priority"] == "1"


async def test_components_in_order_then_the_template_then_the_request(here: Administration) -> None:
    await component(here, "one", settings={"priority": 1, "codec": "best_compression"}, aliases={"from-one": {}})
    await component(here, "two", settings={"priority": 2}, mappings={"properties": {"n": {"type": "long"}}})
    await put(
        here,
        "all",
        "log*",
        composed_of=["one", "two"],
        template={"settings": {"refresh_interval": "3s"}, "mappings": {"properties": {"t": {"type": "text"}}}},
    )
    index = await here.create(
        "log", settings={"refresh_interval": "9s"}, mappings={"properties": {"k": {"type": "ip"}}}
    )
    given = {key: index.settings[f"index.{key}"] for key in ("priority", "codec", "refresh_interval")}
    assert given == {"priority": "2", "codec": "best_compression", "refresh_interval": "9s"}
    assert {name: field["type"] for name, field in index.mappings["properties"].items()} == {
        "n": "long",
        "t": "text",
        "k": "ip",
    }
    assert list(index.aliases) == ["from-one"]


async def test_null_in_the_request_takes_a_template_setting_away(here: Administration) -> None:
    await put(here, "all", "log*", **priority(5))
    assert "index.priority" not in (await here.create("log", settings={"priority": None})).settings


async def test_a_mapping_may_use_an_analyzer_of_its_template(here: Administration) -> None:
    settings = {"analysis": {"analyzer": {"own": {"type": "custom", "tokenizer": "keyword"}}}}
    mappings = {"properties": {"t": {"type": "text", "analyzer": "own"}}}
    await put(here, "all", "log*", template={"settings": settings, "mappings": mappings})
    assert (await here.create("log")).mappings == mappings


async def test_legacy_templates_merge_by_order_and_yield_to_composable_ones(here: Administration) -> None:
    await legacy(here, "second", "log*", order=2, settings={"priority": 2})
    await legacy(here, "first", "l*", order=1, settings={"priority": 1, "codec": "best_compression"})
    settings = (await here.create("log-1")).settings
    assert (settings["index.priority"], settings["index.codec"]) == ("2", "best_compression")
    await put(here, "new", "log*", template={})
    assert "index.priority" not in (await here.create("log-2")).settings


async def test_a_catch_all_does_not_reach_hidden_indices(here: Administration) -> None:
    await legacy(here, "all", "*", settings={"priority": 7})
    assert "index.priority" not in (await here.create("h", settings={"hidden": True})).settings


async def test_auto_create_may_be_forbidden(here: Administration) -> None:
    await put(here, "strict", "log*", allow_auto_create=False)
    with pytest.raises(HanseError, match=r"no such index \[log\]"):
        await here.run(requests.AUTO_CREATE, requests.CreateIndex(("log",), cause="auto"))
    await here.create("log")


# -- put


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"index_patterns": []}, "index patterns are missing"),
        ({"pattern": "x"}, "[index_template] unknown field [pattern]"),
        ({"priority": -1}, "index template priority must be >= 0"),
        ({"priority": "high"}, "Failed to parse value [high] of [priority]"),
        ({"composed_of": ["none"]}, "index template [t] specifies component templates [none] that do not exist"),
        ({"composed_of": "none"}, "failed to parse field [composed_of]"),
        ({"template": []}, "[template] must be an object"),
        ({"template": {"setting": {}}}, "[template] unknown field [setting]"),
        ({"template": {"settings": {"unheard_of": 1}}}, "unknown setting [index.unheard_of]"),
        ({"template": {"mappings": {"properties": {"x": {"type": "none"}}}}}, "No handler for type [none]"),
        ({"template": {"aliases": {"a,b": {}}}}, "Invalid alias name [a,b]"),
    ],
)
async def test_composable_templates_that_are_refused(here: Administration, body: dict[str, Any], reason: str) -> None:
    with pytest.raises(HanseError) as raised:
        await put(here, "t", "log*", **body)
    assert reason in raised.value.reason
    assert raised.value.status == 400
    assert not here.cluster.state.index_templates


async def test_a_missing_component_may_be_ignored(here: Administration) -> None:
    await put(here, "t", "log*", composed_of=["none"], ignore_missing_component_templates=["none"])
    await here.create("log")


async def test_one_priority_may_not_match_twice(here: Administration) -> None:
    await put(here, "one", "log*", priority=3)
    with pytest.raises(HanseError) as raised:
        await put(here, "two", "logs-*", priority=3)
    assert raised.value.reason == (
        "index template [two] has index patterns [logs-*] matching patterns from existing templates [one] with "
        "patterns (one => [log*]) that have the same priority [3], multiple index templates may not match during index "
        "creation, please use a different priority"
    )
    await put(here, "two", "logs-*", priority=4)
    await put(here, "one", "log*", priority=3, version=2)


@pytest.mark.parametrize(
    ("action", "body", "what"),
    [
        (requests.PUT_INDEX_TEMPLATE, {"index_patterns": "x*"}, "index template"),
        (requests.PUT_COMPONENT_TEMPLATE, {"template": {}}, "component template"),
        (requests.PUT_LEGACY_TEMPLATE, {"index_patterns": "x*"}, "index_template"),
    ],
)
async def test_create_means_create(here: Administration, action: Any, body: dict[str, Any], what: str) -> None:
    await here.run(action, PutTemplate("t", body, create=True))
    with pytest.raises(HanseError, match=rf"{what} \[t\] already exists"):
        await here.run(action, PutTemplate("t", body, create=True))
    await here.run(action, PutTemplate("t", body))


async def test_component_templates_that_are_refused(here: Administration) -> None:
    for body, reason in (({}, "Required [template]"), ({"template": {}, "x": 1}, "unknown field [x]")):
        with pytest.raises(HanseError) as raised:
            await here.run(requests.PUT_COMPONENT_TEMPLATE, PutTemplate("c", body))
        assert reason in raised.value.reason


# -- get and delete


async def test_shown_as_elasticsearch_keeps_them(here: Administration) -> None:
    aliases = {"a": {"routing": "r"}}
    await put(here, "t", "log*", template={"settings": {"number_of_replicas": 0}, "aliases": aliases}, version=3)
    (entry,) = (await here.run(requests.GET_INDEX_TEMPLATE, ByName("t")))["index_templates"]
    assert entry == {
        "name": "t",
        "index_template": {
            "index_patterns": ["log*"],
            "composed_of": [],
            "version": 3,
            "template": {
                "settings": {"index": {"number_of_replicas": "0"}},
                "aliases": {"a": {"index_routing": "r", "search_routing": "r"}},
            },
        },
    }


@pytest.mark.parametrize(
    ("asked", "names"), [("", ["a1", "a2", "b"]), ("a*", ["a1", "a2"]), ("b,a1", ["a1", "b"]), ("z*", [])]
)
async def test_which_templates(here: Administration, asked: str, names: list[str]) -> None:
    for name in ("a1", "a2", "b"):
        await put(here, name, f"{name}*")
    found = await here.run(requests.GET_INDEX_TEMPLATE, ByName(asked))
    assert [entry["name"] for entry in found["index_templates"]] == names


async def test_a_template_that_is_not_there(here: Administration) -> None:
    for action, text in (
        (requests.GET_INDEX_TEMPLATE, "index template matching [t] not found"),
        (requests.GET_COMPONENT_TEMPLATE, "component template matching [t] not found"),
        (requests.DELETE_INDEX_TEMPLATE, "index_template matching [t] not found"),
        (requests.DELETE_LEGACY_TEMPLATE, "index_template [t] missing"),
    ):
        with pytest.raises(ResourceNotFoundError) as raised:
            await here.run(action, ByName("t"))
        assert raised.value.reason == text


async def test_a_component_in_use_stays(here: Administration) -> None:
    await component(here, "c", settings={})
    await put(here, "t", "log*", composed_of=["c"])
    with pytest.raises(
        HanseError, match=r"component templates \[c\] cannot be removed as they are still in use by index"
    ):
        await here.run(requests.DELETE_COMPONENT_TEMPLATE, ByName("c"))
    await here.run(requests.DELETE_INDEX_TEMPLATE, ByName("t"))
    await here.run(requests.DELETE_COMPONENT_TEMPLATE, ByName("c"))
    assert not here.cluster.state.component_templates


# -- simulate


async def test_simulate_an_index(here: Administration) -> None:
    await legacy(here, "old", "l*")
    await put(here, "low", "log*", **priority(1))
    await put(here, "high", "logs-*", **priority(2))
    answer = await here.run(requests.SIMULATE_INDEX_TEMPLATE, PutTemplate("logs-1", {}))
    assert answer["template"]["settings"]["index"]["priority"] == "2"
    assert "uuid" not in answer["template"]["settings"]["index"]
    assert answer["overlapping"] == [
        {"name": "old", "index_patterns": ["l*"]},
        {"name": "low", "index_patterns": ["log*"]},
    ]
    assert await here.run(requests.SIMULATE_INDEX_TEMPLATE, PutTemplate("other", {})) == {}
    assert not here.cluster.state.indices


async def test_simulate_a_template_stored_or_in_the_body(here: Administration) -> None:
    await put(here, "low", "log*", **priority(1))
    stored = await here.run(requests.SIMULATE_TEMPLATE, PutTemplate("low", {}))
    assert stored["template"]["settings"]["index"]["priority"] == "1"
    body = {"index_patterns": ["x*"], **priority(8)}
    assert (await here.run(requests.SIMULATE_TEMPLATE, PutTemplate("", body)))["template"]["settings"]["index"][
        "priority"
    ] == "8"
    with pytest.raises(HanseError, match=r"unable to simulate template \[none\] that does not exist"):
        await here.run(requests.SIMULATE_TEMPLATE, PutTemplate("none", {}))
