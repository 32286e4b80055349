from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.index.administration.conftest import Administration, add, remove

from hanse.errors import AliasesNotFoundError, HanseError, IndexNotFoundError, StatusError
from hanse.index.administration import requests
from hanse.index.administration.requests import AliasAction

KEYWORD = {"properties": {"tag": {"type": "keyword"}}}


# -- mappings


async def test_a_new_field_raises_the_mapping_version_once(here: Administration) -> None:
    before = await here.create("books")
    await here.put_mapping("books", KEYWORD)
    await here.put_mapping("books", KEYWORD)
    after = here.index("books")
    assert after.mappings == KEYWORD
    assert (after.mapping_version, after.version) == (before.mapping_version + 1, before.version + 1)
    assert await here.by_names(requests.GET_MAPPINGS, "books") == {"books": {"mappings": KEYWORD}}


async def test_a_mapping_goes_to_all_named_indices_or_to_none(here: Administration) -> None:
    await here.create("a")
    await here.create("b", mappings={"properties": {"tag": {"type": "text"}}})
    with pytest.raises(HanseError, match=r"mapper \[tag\] cannot be changed from type \[text\] to \[keyword\]"):
        await here.put_mapping("a,b", KEYWORD)
    assert here.index("a").mappings == {}
    await here.put_mapping("a,b", {"properties": {"n": {"type": "long"}}})
    assert all("n" in here.index(name).mappings["properties"] for name in ("a", "b"))


async def test_mappings_of_a_missing_index(here: Administration) -> None:
    with pytest.raises(IndexNotFoundError):
        await here.put_mapping("nothing", KEYWORD)


# -- settings


async def test_dynamic_settings_change_and_null_takes_them_back(here: Administration) -> None:
    before = await here.create("books")
    await here.put_settings("books", {"index": {"refresh_interval": "5s", "number_of_replicas": 0}})
    index = here.index("books")
    assert (index.settings["index.refresh_interval"], index.number_of_replicas) == ("5s", 0)
    assert index.settings_version == before.settings_version + 1
    await here.put_settings("books", {"settings": {"refresh_interval": None, "number_of_replicas": None}})
    index = here.index("books")
    assert "index.refresh_interval" not in index.settings
    assert (index.settings["index.number_of_replicas"], index.number_of_replicas) == ("1", 1)


async def test_the_same_settings_are_no_change(here: Administration) -> None:
    await here.create("books", settings={"number_of_replicas": 0})
    version = here.cluster.state.version
    await here.put_settings("books", {"number_of_replicas": 0})
    assert here.cluster.state.version == version


async def test_preserve_existing_only_adds(here: Administration) -> None:
    await here.create("books", settings={"refresh_interval": "5s"})
    await here.put_settings("books", {"refresh_interval": "9s", "priority": 3}, preserve_existing=True)
    settings = here.index("books").settings
    assert (settings["index.refresh_interval"], settings["index.priority"]) == ("5s", "3")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "no settings to update"),
        ({"number_of_shards": 2}, "final books setting [index.number_of_shards], not updateable"),
        ({"unheard_of": 1}, "unknown setting [index.unheard_of]"),
        ({"uuid": "x"}, "can not update private setting [index.uuid]"),
        ({"xpack.ccr.following_index": True}, "can not update internal setting [index.xpack.ccr.following_index]"),
        ({"number_of_replicas": -1}, "must be >= 0"),
        ({"hidden": "yes"}, "Failed to parse value [yes] as only [true] or [false] are allowed"),
    ],
)
async def test_settings_that_are_refused(here: Administration, body: dict[str, Any], reason: str) -> None:
    index = await here.create("books")
    with pytest.raises(HanseError) as raised:
        await here.put_settings("books", body)
    assert reason in raised.value.reason
    assert raised.value.status == 400
    assert here.index("books") == index


async def test_a_static_setting_needs_a_closed_index(here: Administration) -> None:
    uuid = (await here.create("books")).uuid
    analysis = {"analysis.analyzer.own.type": "keyword"}
    with pytest.raises(HanseError) as raised:
        await here.put_settings("books", {"codec": "best_compression"})
    assert raised.value.reason == f"Can't update non dynamic settings [[index.codec]] for open indices [[books/{uuid}]]"
    await here.by_names(requests.CLOSE, "books")
    await here.put_settings("books", analysis)
    await here.by_names(requests.OPEN, "books")
    assert here.index("books").settings["index.analysis.analyzer.own.type"] == "keyword"


async def test_reopen_closes_and_opens_for_a_static_setting(here: Administration) -> None:
    await here.create("books")
    await here.put_settings("books", {"analysis.analyzer.own.type": "keyword"}, reopen=True)
    assert here.index("books").is_open
    await here.put_mapping("books", {"properties": {"t": {"type": "text", "analyzer": "own"}}})
    assert here.indices.get("books").shards[0].store.progress.max_seq_no == -1


async def test_defaults_leave_out_what_is_set(here: Administration) -> None:
    await here.create("books", settings={"refresh_interval": "5s"})
    shown = (await here.by_names(requests.GET_SETTINGS, "books"))["books"]
    assert shown["settings"]["index.refresh_interval"] == "5s"
    assert "index.refresh_interval" not in shown["defaults"]
    assert shown["defaults"]["index.max_result_window"] == "10000"


# -- aliases


async def test_add_remove_and_add_again(here: Administration) -> None:
    before = await here.create("books")
    await here.aliases(add("books", "one", "two", routing="r"))
    await here.aliases(add("books", "one", routing="r"))
    index = here.index("books")
    assert (sorted(index.aliases), index.aliases_version) == (["one", "two"], before.aliases_version + 1)
    await here.aliases(remove("books", "one"), add("books", "three"))
    assert sorted(here.index("books").aliases) == ["three", "two"]


@pytest.mark.parametrize(("gone", "left"), [("t*", ["one"]), ("*", []), ("_all", []), ("one", ["three", "two"])])
async def test_remove_by_pattern(here: Administration, gone: str, left: list[str]) -> None:
    await here.create("books")
    await here.aliases(add("books", "one", "two", "three"))
    await here.aliases(remove("books", gone))
    assert sorted(here.index("books").aliases) == left


async def test_remove_where_only_one_index_has_it(here: Administration) -> None:
    for name in ("a", "b"):
        await here.create(name)
    await here.aliases(add("a", "mine"))
    await here.aliases(remove("a,b", "mine"))
    assert not here.index("a").aliases


@pytest.mark.parametrize("alias", ["gone", "gone*"])
@pytest.mark.parametrize("must_exist", [None, True])
async def test_remove_what_is_not_there(here: Administration, alias: str, must_exist: bool | None) -> None:
    await here.create("books")
    with pytest.raises(AliasesNotFoundError) as raised:
        await here.aliases(add("books", "new"), remove("books", alias, must_exist=must_exist))
    error = raised.value
    assert (error.status, error.reason) == (404, f"aliases [{alias}] missing")
    assert error.metadata == {"resource.type": "aliases", "resource.id": alias}
    assert not here.index("books").aliases
    await here.aliases(remove("books", alias, must_exist=False))


async def test_one_write_index(here: Administration) -> None:
    for name in ("a", "b"):
        await here.create(name)
    await here.aliases(add("a", "w", is_write_index=True), add("b", "w"))
    with pytest.raises(HanseError, match=r"alias \[w\] has more than one write index \[a,b\]"):
        await here.aliases(add("b", "w", is_write_index=True))
    await here.aliases(add("a", "w", is_write_index=False), add("b", "w", is_write_index=True))
    assert here.index("b").aliases["w"].is_write_index


async def test_an_alias_takes_the_name_of_an_index_removed_with_it(here: Administration) -> None:
    for name in ("old", "new"):
        await here.create(name)
    with pytest.raises(HanseError, match=r"Invalid alias name \[old\]: an index or data stream exists"):
        await here.aliases(add("new", "old"))
    await here.aliases(add("new", "old"), AliasAction("remove_index", ("old",)))
    assert sorted(here.cluster.state.indices) == ["new"]
    assert "old" in here.index("new").aliases


@pytest.mark.parametrize(
    ("asked", "shown", "missing"),
    [
        ((), ["a1", "a2", "b1"], []),
        (("a*",), ["a1", "a2"], []),
        (("a*", "-a2"), ["a1"], []),
        (("b1", "gone"), ["b1"], ["gone"]),
        (("gone*",), [], []),
        (("a1", "b1", "-a*"), ["b1"], []),
        (("-a1", "a*"), ["a1", "a2"], ["-a1"]),
        (("-gone", "-gone*"), [], ["-gone"]),
        (("_all",), ["a1", "a2", "b1"], []),
    ],
)
async def test_which_aliases(
    here: Administration, asked: tuple[str, ...], shown: list[str], missing: list[str]
) -> None:
    await here.create("books", aliases={"a1": {}, "a2": {}, "b1": {}})
    await here.create("bare")
    answer = await here.get_aliases(*asked)
    found = answer["indices"].get("books", {"aliases": {}})["aliases"]
    assert (sorted(found), answer["missing"]) == (shown, missing)
    assert ("bare" in answer["indices"]) == (not asked)


async def test_hidden_aliases_and_closed_indices_are_shown(here: Administration) -> None:
    await here.create("books", settings={"hidden": True}, aliases={"a": {"is_hidden": True}})
    await here.by_names(requests.CLOSE, "books")
    assert (await here.get_aliases())["indices"] == {"books": {"aliases": {"a": {"is_hidden": True}}}}


# -- followers


async def test_a_follower_takes_mappings_and_aliases_from_its_leader_only(here: Administration) -> None:
    index = await here.create("copy")
    follower = msgspec.structs.replace(index, settings={**index.settings, "index.xpack.ccr.following_index": "true"})
    await here.cluster.update("follow", lambda state: state.with_index(follower))
    with pytest.raises(StatusError, match=r"can't put mapping to the following indices \[copy\]") as raised:
        await here.put_mapping("copy", KEYWORD)
    assert raised.value.status == 403
    with pytest.raises(StatusError, match=r"can't modify aliases on indices \[copy\]"):
        await here.aliases(add("copy", "a"))
    await here.put_settings("copy", {"number_of_replicas": 0})
