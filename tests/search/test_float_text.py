"""Scores as text."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.search.float_text import score_json


@pytest.mark.parametrize(
    ("score", "text"),
    [(1.0, "1.0"), (0.0, "0.0"), (1.3862943649291992, "1.3862944"), (0.2876820862293243, "0.2876821"), (12.5, "12.5")],
)
def test_scores_read_as_elasticsearch_writes_them(score: float, text: str) -> None:
    assert score_json(score) == text.encode()


@given(st.floats(width=32, min_value=0, allow_nan=False, allow_infinity=False))
def test_the_text_reads_back_as_the_same_float(score: float) -> None:
    assert ctypes.c_float(float(score_json(score))).value == score
