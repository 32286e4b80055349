from __future__ import annotations

import re
from typing import Any

import pytest
from tests.index.administration.conftest import Administration, add

from hanse.errors import HanseError, ResourceAlreadyExistsError
from hanse.index.administration import requests
from hanse.index.administration.requests import CreateIndex


async def test_defaults_and_private_settings(here: Administration) -> None:
    index = await here.create("books")
    assert (index.number_of_shards, index.number_of_replicas, index.state) == (1, 1, "open")
    assert re.fullmatch(r"[\w-]{22}", index.uuid)
    assert index.settings["index.uuid"] == index.uuid
    assert index.settings["index.provided_name"] == "books"
    assert index.settings["index.creation_date"] == str(index.creation_date_ms)


async def test_its_shards_are_open_when_it_is_created(here: Administration) -> None:
    await here.create("books", settings={"number_of_shards": 3})
    assert [shard.number for shard in here.indices.get("books").shards] == [0, 1, 2]


@pytest.mark.parametrize(
    "settings",
    [
        {"number_of_replicas": 0},
        {"index.number_of_replicas": "0"},
        {"index": {"number_of_replicas": 0}},
    ],
)
async def test_settings_nested_dotted_and_without_prefix(here: Administration, settings: dict[str, Any]) -> None:
    index = await here.create("books", settings=settings)
    assert (index.number_of_replicas, index.settings["index.number_of_replicas"]) == (0, "0")


async def test_mappings_and_aliases(here: Administration) -> None:
    index = await here.create(
        "books",
        mappings={"_doc": {"properties": {"title": {"type": "text"}}}},
        aliases={"library": {"routing": 7, "filter": {"term": {"title": "x"}}, "is_write_index": True}, "plain": {}},
    )
    assert index.mappings == {"properties": {"title": {"type": "text"}}}
    library = index.aliases["library"]
    assert (library.index_routing, library.search_routing, library.is_write_index) == ("7", "7", True)
    assert index.aliases["plain"].filter is None


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        ({"mapping": {}}, "parsing_exception", "unknown key [mapping] for create index"),
        ({"settings": []}, "parsing_exception", "key [settings] must be an object"),
        ({"aliases": []}, "parsing_exception", "key [aliases] must be an object"),
        ({"mappings": "x"}, "parsing_exception", "Failed to parse mapping: expected an object"),
        (
            {"mappings": {"_type": {"properties": {}}}},
            "mapper_parsing_exception",
            "has unsupported parameters",
        ),
        ({"settings": {"number_of_shards": 0}}, "illegal_argument_exception", "must be >= 1"),
        ({"settings": {"number_of_shards": 1025}}, "illegal_argument_exception", "must be <= 1024"),
        ({"settings": {"refresh_interval": "soon"}}, "illegal_argument_exception", "index.refresh_interval"),
        ({"settings": {"unheard_of": 1}}, "illegal_argument_exception", "unknown setting [index.unheard_of] please"),
        ({"settings": {"uuid": "mine"}}, "illegal_argument_exception", "private index setting [index.uuid] can not be"),
        (
            {"settings": {"xpack.ccr.following_index": True}},
            "illegal_argument_exception",
            "can not update internal setting [index.xpack.ccr.following_index]",
        ),
        (
            {"settings": {"soft_deletes.enabled": False}},
            "illegal_argument_exception",
            "Creating indices with soft-deletes disabled is no longer supported",
        ),
        (
            {"settings": {"number_of_shards": 2, "number_of_routing_shards": 3}},
            "illegal_argument_exception",
            "the number of source shards [2] must be a factor of [3]",
        ),
        (
            {"settings": {"analysis.analyzer.own.filter": ["lowercase"]}},
            "illegal_argument_exception",
            "analyzer [own] must specify either an analyzer type, or a tokenizer",
        ),
        ({"aliases": {"new": {}}}, "invalid_alias_name_exception", "Invalid alias name [new]: an index or data stream"),
        ({"aliases": {"a": {"is_write_index": "yes"}}}, "illegal_argument_exception", "[is_write_index] of alias [a]"),
        ({"aliases": {"a": {"colour": 1}}}, "illegal_argument_exception", "Unknown field [colour] in alias [a]"),
        ({"aliases": {"a": {"filter": []}}}, "illegal_argument_exception", "failed to parse filter for alias [a]"),
        ({"aliases": {"a": 1}}, "illegal_argument_exception", "alias [a] must be an object"),
    ],
)
async def test_refused(here: Administration, body: dict[str, Any], kind: str, reason: str) -> None:
    with pytest.raises(HanseError) as raised:
        await here.create("new", **body)
    assert (raised.value.name, raised.value.status) == (kind, 400)
    assert reason in raised.value.reason
    assert "new" not in here.cluster.state.indices


async def test_an_index_that_exists(here: Administration) -> None:
    index = await here.create("books")
    with pytest.raises(ResourceAlreadyExistsError, match=rf"index \[books/{index.uuid}\] already exists"):
        await here.create("books")
    await here.run(requests.AUTO_CREATE, CreateIndex(("books",), cause="auto"))


async def test_the_name_of_an_alias(here: Administration) -> None:
    await here.create("books")
    await here.aliases(add("books", "library"))
    with pytest.raises(HanseError, match=r"Invalid index name \[library\], already exists as alias"):
        await here.run(requests.CREATE, CreateIndex(("library",)))


async def test_too_many_shards(here: Administration) -> None:
    with pytest.raises(HanseError, match=r"would add \[2048\] shards, but this cluster currently has \[0\]/\[1000\]"):
        await here.create("wide", settings={"number_of_shards": 1024})
