"""Slots: stable assignment, growth of the pools, and a schema that takes what documents hold."""

from __future__ import annotations

import tantivy

from hanse.index.mapping import DocumentMapper, Mapping
from hanse.index.slots import POOL_SIZES, Slots, register_tokenizers, schema


def test_fields_get_the_next_free_slot_of_their_kind_and_keep_it() -> None:
    slots = Slots().with_fields([("title", "t"), ("tag", "k"), ("ip", "ik")])
    assert dict(slots) == {"title": ("t0",), "tag": ("k0",), "ip": ("i0", "k1")}
    more = slots.with_fields([("tag", "k"), ("body", "t"), ("other", "k")])
    assert (more["tag"], more["body"], more["other"]) == (("k0",), ("t1",), ("k2",))
    assert slots.slot("ip") == "i0"
    assert slots.slot("nothing") is None


def test_metadata_round_trip() -> None:
    slots = Slots().with_fields([("ip", "ik"), ("n", "l")])
    assert dict(Slots.from_metadata(slots.to_metadata())) == dict(slots)
    assert Slots.from_metadata({}).to_metadata() == {}


def test_the_factor_doubles_when_a_pool_is_dry() -> None:
    full = Slots().with_fields((f"f{i}", "t") for i in range(POOL_SIZES["t"]))
    assert full.factor == 1
    grown = full.with_fields([("one_more", "t")])
    assert grown.factor == 2
    assert grown.slot("one_more") == f"t{POOL_SIZES['t']}"
    assert grown.with_fields((f"g{i}", "t") for i in range(3 * POOL_SIZES["t"])).factor == 8


def test_a_document_of_every_kind_is_indexed_and_found() -> None:
    empty = Mapping.from_metadata({}, {}, {})
    properties = {
        "title": {"type": "text", "analyzer": "english"},
        "tag": {"type": "keyword"},
        "n": {"type": "long"},
        "price": {"type": "double"},
        "ip": {"type": "ip"},
        "pre": {"type": "text", "analyzer": "grams"},
    }
    settings: dict[str, str | list[str]] = {
        "index.analysis.analyzer.grams.tokenizer": "standard",
        "index.analysis.analyzer.grams.filter": ["lowercase", "edges"],
        "index.analysis.filter.edges.type": "edge_ngram",
        "index.analysis.filter.edges.max_gram": "3",
    }
    mappings, slots = Mapping.from_metadata({}, {}, settings).merge({"properties": properties})
    mapping = Mapping.from_metadata(mappings, slots, settings)
    assert empty.slots.factor == 1
    fixed = schema(mapping.slots.factor)
    index = tantivy.Index(fixed)
    register_tokenizers(index, mapping)
    mapped = DocumentMapper(mapping).map(
        b'{"title":"Running ships","tag":["b","a","b"],"n":[3,1],"price":1.5,"ip":"10.0.0.1","pre":"Hansa"}'
    )
    with index.writer(15_000_000, 1) as writer:
        writer.add_document(mapped.document(fixed, _id="1", _seq_no=7))
        writer.commit()
    index.reload()
    searcher = index.searcher()

    def found(path: str, value: object) -> int:
        field = mapping.field(path)
        assert field is not None
        return searcher.search(tantivy.Query.term_query(fixed, field.slot, value)).count or 0

    assert [found("title", "run"), found("title", "running")] == [1, 0]
    assert [found("tag", "a"), found("n", 3), found("price", 1.5), found("ip", "10.0.0.1")] == [1, 1, 1, 1]
    assert [found("pre", "han"), found("pre", "hans")] == [1, 0]
    title = mapping.field("title")
    assert title is not None
    assert searcher.search(tantivy.Query.term_query(fixed, "_exists", title.exists_term)).count == 1
    ((_, address),) = searcher.search(tantivy.Query.term_query(fixed, "_id", "1")).hits
    assert searcher.fast_field_values("_seq_no", [address]) == [7]
    n = mapping.field("n")
    assert n is not None
    assert searcher.fast_field_values(str(n.slot), [address]) == [1]
