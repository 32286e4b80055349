"""The mapping as others ask it: fields, patterns, aliases, flattened keys, restricted views, rendering."""

from __future__ import annotations

import pytest
from tests.index.mappings import mapping_of

from hanse.errors import IllegalArgumentError
from hanse.index.mapping import Mapping

PROPERTIES = {
    "title": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 10}}},
    "user": {"properties": {"name": {"type": "keyword", "normalizer": "lowercase"}, "age": {"type": "short"}}},
    "years": {"type": "alias", "path": "user.age"},
    "comments": {"type": "nested", "properties": {"text": {"type": "text", "analyzer": "english"}}},
    "labels": {"type": "flattened"},
    "at": {"type": "date", "format": "yyyy-MM-dd||epoch_millis"},
    "ip": {"type": "ip"},
    "place": {"type": "geo_point"},
    "picture": {"type": "binary"},
    "hidden": {"type": "keyword", "index": False, "doc_values": False},
}


@pytest.fixture(scope="module")
def mapping() -> Mapping:
    return mapping_of(PROPERTIES)


def test_fields_by_full_path(mapping: Mapping) -> None:
    title, keyword = mapping.field("title"), mapping.field("title.keyword")
    assert title is not None
    assert keyword is not None
    assert (title.kind, title.slot, title.exists_term, title.is_aggregatable) == ("text", "t0", "t0", False)
    assert (keyword.kind, keyword.slot, keyword.source_path, keyword.ignore_above) == ("keyword", "k0", "title", 10)
    assert mapping.field("user") is None
    assert mapping.field("nothing") is None
    assert title.analyzer is not None
    assert title.analyzer.name == "standard"


def test_an_alias_gives_its_target(mapping: Mapping) -> None:
    years = mapping.field("years")
    assert years is not None
    assert years is mapping.field("user.age")
    assert years.path == "user.age"


def test_a_key_of_a_flattened_field_has_a_column_of_its_own(mapping: Mapping) -> None:
    labels, owner = mapping.field("labels"), mapping.field("labels.owner.name")
    assert labels is not None
    assert owner is not None
    assert owner.slot == labels.order_slot != labels.slot
    assert owner.slot_value("hanse") == "owner.name\0hanse"
    assert owner.render("owner.name\0hanse") == "hanse"


def test_objects(mapping: Mapping) -> None:
    assert mapping.is_object("user")
    assert not mapping.is_object("title")
    assert dict(mapping.objects()) == {"user": "object", "comments": "nested"}
    assert mapping.object_type("comments") == "nested"
    assert sorted(field.path for field in mapping.fields_below("user")) == ["user.age", "user.name"]


def test_patterns(mapping: Mapping) -> None:
    assert [field.path for field in mapping.fields_matching("user.*")] == ["user.name", "user.age"]
    assert [field.path for field in mapping.fields_matching("t*le*")] == ["title", "title.keyword"]
    assert [field.path for field in mapping.fields_matching("years")] == ["user.age"]
    assert mapping.fields_matching("nothing") == []
    assert len(mapping.fields_matching("*")) == len({field.path for _, field in mapping.fields()})


def test_kinds_and_what_can_be_asked_of_them(mapping: Mapping) -> None:
    ip, picture, hidden = mapping.field("ip"), mapping.field("picture"), mapping.field("hidden")
    assert ip is not None
    assert picture is not None
    assert hidden is not None
    assert (ip.slot, ip.order_slot) == ("i0", "k4")
    assert (picture.kind, picture.slot, picture.exists_term, picture.is_searchable) == (
        "stored",
        None,
        "picture",
        False,
    )
    assert (hidden.is_searchable, hidden.is_aggregatable) == (False, False)


def test_literals_become_slot_values_and_back(mapping: Mapping) -> None:
    def field(path: str) -> object:
        return mapping.field(path)

    at, name, age, ip = (mapping.field(path) for path in ("at", "user.name", "user.age", "ip"))
    assert at is not None
    assert name is not None
    assert age is not None
    assert ip is not None
    assert at.slot_value("2024-05-06") == 1714953600000
    assert at.render(1714953600000) == "2024-05-06"
    assert name.slot_value("HANSE") == "hanse"
    assert age.slot_value("12") == 12
    with pytest.raises(IllegalArgumentError, match='For input string: "x"'):
        age.slot_value("x")
    assert ip.render("00000000000000000000ffff0a000001") == "10.0.0.1"


def test_a_restricted_view_knows_nothing_of_hidden_fields(mapping: Mapping) -> None:
    view = mapping.restricted(lambda path: path.startswith("user") or path in ("title", "years", "labels.a"))
    assert view.field("title") is not None
    assert view.field("title.keyword") is None
    assert view.field("at") is None
    assert view.field("labels.a") is None
    assert view.field("years") is not None
    assert not view.is_object("comments")
    assert {path for path, _ in view.fields()} == {"title", "user.name", "user.age", "years"}
    shown = view.to_json()["properties"]
    assert set(shown) == {"title", "user", "years"}
    assert shown["title"] == {"type": "text"}
    narrower = view.restricted(lambda path: path != "user.age")
    assert narrower.field("user.age") is None
    assert narrower.field("years") is None
    assert narrower.field("at") is None


def test_shown_as_it_was_given(mapping: Mapping) -> None:
    assert mapping.to_json()["properties"] == PROPERTIES


def test_root_properties() -> None:
    mapping = mapping_of(
        {}, dynamic=False, _routing={"required": True}, _source={"excludes": "secret.*"}, _meta={"owner": "hanse"}
    )
    assert (mapping.dynamic, mapping.routing_required, mapping.source_excludes) == ("false", True, ("secret.*",))
    assert mapping.source_enabled
    assert mapping.to_json()["_meta"] == {"owner": "hanse"}


def test_analyzers_of_an_index_are_used() -> None:
    settings = {
        "index.analysis.analyzer.default.tokenizer": "whitespace",
        "index.analysis.analyzer.default_search.type": "keyword",
    }
    mapping = mapping_of(
        {"a": {"type": "text"}, "b": {"type": "text", "analyzer": "simple", "search_analyzer": "stop"}}, settings
    )
    plain, both = mapping.field("a"), mapping.field("b")
    assert plain is not None
    assert both is not None
    assert plain.analyzer is not None
    assert plain.search_analyzer is not None
    assert both.search_analyzer is not None
    assert plain.analyzer.terms("A b") == [("A", 0), ("b", 1)]
    assert (plain.search_analyzer.name, both.search_analyzer.name) == ("default_search", "stop")
