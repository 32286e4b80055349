from __future__ import annotations

import pytest

from hanse.errors import IllegalArgumentError
from hanse.search.limits import SearchLimits, validate_search_limits
from hanse.settings.registry import Settings


def test_limits_are_those_of_the_settings() -> None:
    assert SearchLimits.of(Settings()) == SearchLimits() == SearchLimits(65_536, 86_400.0, 500)
    given = {"search.max_buckets": "7", "search.max_keep_alive": "2h", "search.max_open_scroll_context": "3"}
    assert SearchLimits.of(Settings(given)) == SearchLimits(7, 7200.0, 3)


def test_the_default_life_may_not_exceed_the_longest() -> None:
    validate_search_limits(Settings({"search.default_keep_alive": "1d"}))
    with pytest.raises(IllegalArgumentError, match=r"\[search.default_keep_alive\]\(5m\) should be smaller than"):
        validate_search_limits(Settings({"search.max_keep_alive": "4m"}))
