from __future__ import annotations

from typing import Any

import pytest

from hanse.search.aggregation import distribution


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits small enough that a few documents walk every path of a large column."""
    from hanse.search.aggregation import run

    monkeypatch.setattr(distribution, "PART_DOCS_MAX", 20)
    monkeypatch.setattr(distribution, "SORTED_DOCS_MAX", 95)
    original = run.Run.aggregate

    def limited(self: Any, query: Any, native: Any) -> Any:
        answers = original(self, query, native)
        if any(len(answer.get("buckets", ())) > 10 for answer in answers.values()):
            raise run.BucketLimitError("more than ten")
        return answers

    monkeypatch.setattr(run.Run, "aggregate", limited)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("shape", ["single", "several", "skewed"])
def test_columns_too_large_for_one_call_are_counted_exactly(kit: Any, shape: str) -> None:
    held = {
        "single": [{"count": n % 37, "price": n * 0.5, "tag": f"t{n % 23}"} for n in range(100)],
        "several": [{"count": [n, -n - 1], "price": [n * 0.5, 1000.0], "tag": [f"t{n}", "x"]} for n in range(60)],
        "skewed": [{"count": 7 if n % 3 else n, "price": 2.5 if n % 5 else float(n), "tag": "t"} for n in range(90)],
    }[shape]
    aggs = {
        "c": {"cardinality": {"field": "count"}},
        "p": {"cardinality": {"field": "price"}},
        "t": {"terms": {"field": "tag", "size": 100}},
        "n": {"terms": {"field": "count", "size": 200, "missing": -99}},
        "w": {"weighted_avg": {"value": {"field": "price"}, "weight": {"field": "weight", "missing": 1}}},
        "q": {"percentiles": {"field": "price", "percents": [0, 100]}},
    }

    def flat(field: str) -> list[Any]:
        found = []
        for doc in held:
            found += doc[field] if isinstance(doc[field], list) else [doc[field]]
        return found

    answer = kit.run(aggs, [*held, {}])
    assert answer["c"]["value"] == len(set(flat("count")))
    assert answer["p"]["value"] == len(set(flat("price")))
    assert {b["key"]: b["doc_count"] for b in answer["t"]["buckets"]} == {t: flat("tag").count(t) for t in flat("tag")}
    counts = {n: flat("count").count(n) for n in flat("count")}
    assert {b["key"]: b["doc_count"] for b in answer["n"]["buckets"]} == {**counts, -99: 1}
    assert answer["w"]["value"] == pytest.approx(sum(flat("price")) / len(flat("price")))
    assert answer["q"]["values"] == {"0.0": min(flat("price")), "100.0": max(flat("price"))}
