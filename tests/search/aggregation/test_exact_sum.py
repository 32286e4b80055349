from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from hanse.search.aggregation import exact_sum

doubles = st.floats(-1e200, 1e200, allow_nan=False)


@given(st.lists(doubles, max_size=12), st.integers(0, 12))
def test_any_grouping_gives_the_same_form(terms: list[float], cut: int) -> None:
    whole = exact_sum.canonical(terms)
    left, right = exact_sum.canonical(terms[:cut]), exact_sum.canonical(terms[cut:])
    assert exact_sum.canonical([*right, *left]) == whole


@given(st.lists(doubles, max_size=12))
def test_the_value_is_the_double_nearest_to_the_exact_sum(terms: list[float]) -> None:
    assert exact_sum.value(exact_sum.canonical(terms)) == float(sum(map(Fraction, terms), Fraction(0)))


def test_what_doubles_cannot_hold_is_infinite() -> None:
    assert exact_sum.canonical([1.7e308, 1.7e308]) == [math.inf]
    assert exact_sum.canonical([-math.inf, 1.0]) == [-math.inf]
    assert exact_sum.canonical([]) == exact_sum.canonical([1.0, -1.0]) == []
