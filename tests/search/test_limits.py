from __future__ import annotations

import pytest
from tests.search.searching import Library

from hanse.errors import IllegalArgumentError, SearchPhaseExecutionError
from hanse.search.contexts import Contexts
from hanse.search.limits import SearchLimits, validate_search_limits
from hanse.settings.registry import Settings
from hanse.transport.actions import Access


def test_limits_are_those_of_the_settings() -> None:
    assert SearchLimits.of(Settings()) == SearchLimits() == SearchLimits(65_536, 86_400.0, 500, True)
    given = {"search.max_buckets": "7", "search.max_keep_alive": "2h", "search.max_open_scroll_context": "3"}
    given["search.allow_expensive_queries"] = "false"
    assert SearchLimits.of(Settings(given)) == SearchLimits(7, 7200.0, 3, False)


def test_the_default_life_may_not_exceed_the_longest() -> None:
    validate_search_limits(Settings({"search.default_keep_alive": "1d"}))
    with pytest.raises(IllegalArgumentError, match=r"\[search.default_keep_alive\]\(5m\) should be smaller than"):
        validate_search_limits(Settings({"search.max_keep_alive": "4m"}))


EXPENSIVE = {
    "[prefix] queries": {"prefix": {"tag": "a"}},
    "[wildcard] queries": {"wildcard": {"tag": "a*"}},
    "[regexp] queries": {"regexp": {"tag": "a+"}},
    "[fuzzy] queries": {"fuzzy": {"tag": "a"}},
    "[range] queries on [text] or [keyword] fields": {"range": {"tag": {"gt": "a"}}},
    "[joining] queries": {"nested": {"path": "o", "query": {"match_all": {}}}},
}
MAPPINGS = {"properties": {"tag": {"type": "keyword"}, "n": {"type": "long"}, "o": {"type": "nested"}}}


@pytest.mark.parametrize("kind", EXPENSIVE)
async def test_expensive_queries_can_be_forbidden(books: Library, kind: str) -> None:
    await books.add("b", [{"tag": "aa", "n": 1, "o": {"x": 1}}], MAPPINGS)
    body = {"query": EXPENSIVE[kind]}
    await books.search("b", body)
    books.contexts = Contexts(limits=lambda: SearchLimits(allows_expensive=False))
    with pytest.raises(SearchPhaseExecutionError) as refused:
        await books.search("b", body)
    reason = f"{kind} cannot be executed when 'search.allow_expensive_queries' is set to false."
    assert refused.value.status == 400
    assert refused.value.root_causes[0].reason.startswith(reason)
    hidden = {"query": {"match_all": {}}, "aggs": {"a": {"filter": EXPENSIVE[kind]}}}
    with pytest.raises(SearchPhaseExecutionError):
        await books.search("b", hidden)


async def test_cheap_queries_and_the_filters_of_roles_stay(books: Library) -> None:
    await books.add("b", [{"tag": "aa", "n": 1}, {"tag": "b", "n": 1}], MAPPINGS)
    books.contexts = Contexts(limits=lambda: SearchLimits(allows_expensive=False))
    books.access["b"] = Access(documents=(({"prefix": {"tag": "a"}},),))
    assert await books.ids("b", {"range": {"n": {"gte": 1}}}) == ["1"]
    assert await books.ids("b", {"prefix": {"_index": "b"}}) == ["1"]
