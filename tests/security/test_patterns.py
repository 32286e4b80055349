from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.errors import IllegalArgumentError
from hanse.security.patterns import NamePatterns


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "anything", True),
        ("logs-*", "logs-1", True),
        ("logs-*", "log-1", False),
        ("*-2024", "logs-2024", True),
        ("log?-*", "logs-1", True),
        ("log?", "log", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        ("a.c", "abc", False),
        ("/logs-[0-9]+/", "logs-12", True),
        ("/logs-[0-9]+/", "logs-x", False),
        ("/a@/", "abc", True),
        ("/~(([.]|ilm-history-).*)/", "logs", True),
        ("/~(([.]|ilm-history-).*)/", ".kibana", False),
        ("/~(([.]|ilm-history-).*)/", "ilm-history-1", False),
        ('/a"."b/', "a.b", True),
        ('/a"."b/', "axb", False),
    ],
)
def test_matching(pattern: str, name: str, matches: bool) -> None:
    assert NamePatterns([pattern]).matches(name) is matches


@pytest.mark.parametrize(
    ("patterns", "other", "covers"),
    [
        (["*"], "logs-*", True),
        (["logs-*"], "logs-*", True),
        (["logs-*"], "logs-2024-*", True),
        (["logs-2024-*"], "logs-*", False),
        (["logs-?"], "logs-*", False),
        (["logs-*"], "logs", False),
        (["logs"], "logs", True),
        (["*logs*"], "a-logs-?", True),
        (["/logs.*/"], "logs-*", False),
        ([], "x", False),
    ],
)
def test_covering(patterns: list[str], other: str, covers: bool) -> None:
    assert NamePatterns(patterns).covers(other) is covers


_texts = st.text("ab*?", min_size=1, max_size=6)


@given(_texts, _texts, st.text("ab", max_size=6))
def test_a_covered_pattern_matches_nothing_more(wide: str, narrow: str, name: str) -> None:
    if NamePatterns([wide]).covers(narrow) and NamePatterns([narrow]).matches(name):
        assert NamePatterns([wide]).matches(name)


@pytest.mark.parametrize("pattern", ["/(/", "/a&b/", "/<1-5>/", "/a~b/", "/" + "a" * 2000 + "/"])
def test_regexes_we_cannot_run_are_refused(pattern: str) -> None:
    with pytest.raises(IllegalArgumentError):
        NamePatterns([pattern])


def test_hostile_patterns_take_linear_time() -> None:
    started = time.perf_counter()
    assert not NamePatterns(["*a" * 60 + "b"]).matches("a" * 255)
    assert not NamePatterns(["/(a+)+b/"]).matches("a" * 255)
    assert time.perf_counter() - started < 1
