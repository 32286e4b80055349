"""Sorting by any keys gives what sorting all documents in Python gives, page by page too."""

from __future__ import annotations

from functools import cmp_to_key
from random import Random
from typing import Any

import pytest
from tests.search.searching import Library

from hanse.errors import SearchPhaseExecutionError

MAPPINGS = {
    "properties": {
        "k": {"type": "keyword"},
        "n": {"type": "long"},
        "d": {"type": "double"},
        "day": {"type": "date"},
        "ip": {"type": "ip"},
        "on": {"type": "boolean"},
        "text": {"type": "text"},
        "many": {"type": "long"},
        "words": {"type": "keyword"},
    }
}
Documents = list[dict[str, Any]]


def made_documents(count: int, seed: int) -> Documents:
    """Few different values, many missing ones: ties everywhere."""
    source = Random(seed)
    documents = []
    for number in range(count):
        document: dict[str, Any] = {"text": " ".join(source.choices(["red", "green", "blue"], k=source.randint(1, 4)))}
        for field, values in (
            ("k", ["a", "b", "ab", "é", "Z"]),
            ("n", [-5, 0, 3, 2**53 + 1]),
            ("d", [-1.5, 0.0, 2.25]),
            ("day", ["2020-01-01", "1969-05-05", "2021-12-31T10:00:00Z"]),
            ("ip", ["10.0.0.1", "10.0.0.10", "::1", "2001:db8::1"]),
            ("on", [True, False]),
        ):
            if source.random() < 0.8:
                document[field] = source.choice(values)
        document["_id"] = str(number)
        documents.append(document)
    return documents


def expected_order(documents: Documents, keys: list[tuple[str, bool, Any]], value_of: Any) -> list[str]:
    def compare(left: int, right: int) -> int:
        for field, descending, missing in keys:
            a, b = value_of(documents[left], field), value_of(documents[right], field)
            if missing not in ("_first", "_last"):
                a, b = (missing if a is None else a), (missing if b is None else b)
            if a == b:
                continue
            if a is None or b is None:
                return -1 if (a is None) == (missing == "_first") else 1
            return -1 if (a > b) == descending else 1
        return left - right

    order = sorted(range(len(documents)), key=cmp_to_key(compare))
    return [documents[place]["_id"] for place in order]


def comparable(document: dict[str, Any], field: str) -> Any:
    value = document.get(field)
    if field == "ip" and value is not None:
        from ipaddress import ip_address

        address = ip_address(value)
        return int(address) if address.version == 6 else 0xFFFF_0000_0000 | int(address)
    if field == "day" and value is not None:
        return {"2020-01-01": 2, "1969-05-05": 1, "2021-12-31T10:00:00Z": 3}[value]
    return value


def as_body(keys: list[tuple[str, bool, Any]]) -> list[Any]:
    return [
        {field: {"order": "desc" if descending else "asc", "missing": missing}} for field, descending, missing in keys
    ]


CASES: list[list[tuple[str, bool, Any]]] = [
    [("k", False, "_last")],
    [("n", True, "_last")],
    [("k", True, "_first"), ("n", False, "_last")],
    [("n", False, "_first"), ("k", True, "_last"), ("d", True, "_first")],
    [("d", False, 1.0), ("k", False, "_last")],
    [("k", False, "aa"), ("n", True, 1)],
    [("day", True, "_last"), ("ip", False, "_last"), ("on", True, "_first")],
    [("on", False, "_last"), ("ip", True, "_first"), ("k", False, "_last")],
]


@pytest.mark.parametrize("segmented", [False, True])
async def test_any_keys_order_like_a_full_sort(books: Library, segmented: bool) -> None:
    documents = made_documents(90, seed=7)
    await books.add("all", documents, MAPPINGS, refresh_each=segmented)
    for keys in CASES:
        expected = expected_order(documents, keys, comparable)
        for size in (1, 4, 10, 33, 90):
            found = await books.ids("all", sort=as_body(keys), size=size)
            values = {document["_id"]: [comparable(document, field) for field, _, _ in keys] for document in documents}
            # Without a further key the order of equal documents is the order of writing only across segments.
            assert [values[id] for id in found] == [values[id] for id in expected[:size]], keys
            if segmented:
                assert found == expected[:size], keys


@pytest.mark.parametrize("shards", [1, 3])
async def test_search_after_walks_through_everything_once(books: Library, shards: int) -> None:
    documents = made_documents(80, seed=3)
    for number, document in enumerate(documents):
        document["many"] = number
    await books.add("all", documents, MAPPINGS, shards=shards, refresh_each=True)
    for keys in CASES:
        sort = [*as_body(keys), {"many": "asc"}]
        expected = expected_order(documents, [*keys, ("many", False, "_last")], comparable)
        seen: list[str] = []
        after = None
        while True:
            body: dict[str, Any] = {"sort": sort, "size": 7}
            if after is not None:
                body["search_after"] = after
            answer = await books.search("all", body)
            assert answer["hits"]["total"]["value"] == 80
            hits = answer["hits"]["hits"]
            if not hits:
                break
            seen += [hit["_id"] for hit in hits]
            after = hits[-1]["sort"]
        assert seen == expected, keys


async def test_scores_sort_together_with_fields(books: Library) -> None:
    documents = made_documents(70, seed=5)
    await books.add("all", documents, MAPPINGS)
    query = {"match": {"text": "red green"}}
    plain = (await books.search("all", {"query": query, "size": 100}))["hits"]["hits"]
    scores = {hit["_id"]: hit["_score"] for hit in plain}
    by_id = {document["_id"]: document for document in documents}
    for direction in ("desc", "asc"):
        body = {"query": query, "size": 12, "sort": [{"_score": direction}, {"n": "asc"}, {"k": "desc"}]}
        hits = (await books.search("all", body))["hits"]["hits"]
        sign = -1 if direction == "desc" else 1

        def key(id: str, sign: int = sign) -> tuple[Any, ...]:
            number, text = by_id[id].get("n"), by_id[id].get("k")
            return (sign * scores[id], number is None, number or 0, text is None, [-ord(c) for c in text or ""] + [0])

        expected = sorted(scores, key=key)[:12]
        assert [key(hit["_id"]) for hit in hits] == [key(id) for id in expected]
        assert all(hit["_score"] == scores[hit["_id"]] for hit in hits)


async def test_values_are_shown_as_elasticsearch_shows_them(books: Library) -> None:
    await books.add(
        "one",
        [{"n": 4, "d": 1.5, "k": "x", "day": "2020-01-01", "ip": "10.0.0.7", "on": True}, {"text": "none"}],
        MAPPINGS,
    )
    sort = ["n", "d", "k", "day", "ip", "on", {"day": {"format": "yyyy/MM/dd"}}]
    first, second = (await books.search("one", {"sort": sort}))["hits"]["hits"]
    assert first["sort"] == [4, 1.5, "x", 1577836800000, "10.0.0.7", True, "2020/01/01"]
    assert first["_score"] is None
    assert second["sort"][:5] == [2**63 - 1, "Infinity", None, 2**63 - 1, None]
    descending = [{"n": "desc"}, {"d": "desc"}]
    last = (await books.search("one", {"sort": descending}))["hits"]["hits"][-1]
    assert last["sort"] == [-(2**63), "-Infinity"]


async def test_unmapped_and_text_fields_are_refused(books: Library) -> None:
    await books.add("one", [{"text": "x"}], MAPPINGS)
    with pytest.raises(SearchPhaseExecutionError) as unmapped:
        await books.search("one", {"sort": ["nowhere"]})
    (cause,) = unmapped.value.root_causes
    assert (unmapped.value.status, cause.name) == (400, "query_shard_exception")
    assert cause.reason == "No mapping found for [nowhere] in order to sort on"
    with pytest.raises(SearchPhaseExecutionError) as text:
        await books.search("one", {"sort": ["text"]})
    assert text.value.root_causes[0].reason.startswith("Fielddata is disabled on [text] in [one]. Text fields are not")
    assert await books.ids("one", sort=[{"nowhere": {"unmapped_type": "long"}}]) == ["1"]


async def test_fields_with_several_values_sort_by_the_lowest_or_highest(books: Library) -> None:
    documents = [
        {"many": [5, 1], "words": ["m", "b"]},
        {"many": [3], "words": ["c"]},
        {"many": [2, 9], "words": ["a", "z"]},
    ]
    await books.add("multi", documents, MAPPINGS)
    assert await books.ids("multi", sort=["many"]) == ["1", "3", "2"]
    assert await books.ids("multi", sort=[{"many": "desc"}]) == ["3", "1", "2"]
    assert await books.ids("multi", sort=["words"]) == ["3", "1", "2"]
    assert await books.ids("multi", sort=[{"words": "desc"}]) == ["3", "1", "2"]
