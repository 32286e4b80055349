from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.search.aggregation.sketches import (
    DISTINCT_HASHES_MAX,
    EXACT_VALUES_MAX,
    RELATIVE_ERROR,
    Distribution,
    distinct_sketch,
    estimate_distinct,
    merge_distinct,
    merge_values,
    value_sketch,
)


@given(st.lists(st.integers(0, 50)), st.lists(st.integers(0, 50)))
def test_few_distinct_values_are_counted_exactly_over_a_union(left: list[int], right: list[int]) -> None:
    joined = merge_distinct([distinct_sketch(left), distinct_sketch(right)])
    assert estimate_distinct(joined) == len({*left, *right})
    assert joined == merge_distinct([distinct_sketch(right), joined])


@pytest.mark.parametrize("count", [DISTINCT_HASHES_MAX - 1, 20_000, 200_000])
def test_many_distinct_values_stay_within_three_standard_errors(count: int) -> None:
    halves = [distinct_sketch(range(count // 2)), distinct_sketch(range(count // 3, count))]
    assert estimate_distinct(merge_distinct(halves)) == pytest.approx(count, rel=3 / DISTINCT_HASHES_MAX**0.5)


def test_a_union_does_not_depend_on_how_it_was_joined() -> None:
    parts = [distinct_sketch(range(start, start + 3000)) for start in (0, 2000, 4000)]
    assert merge_distinct(parts) == merge_distinct([parts[2], merge_distinct([parts[1], parts[0]])])


def test_whole_doubles_and_integers_are_the_same_value_and_texts_are_not() -> None:
    assert estimate_distinct(distinct_sketch([1, 1.0, "1", 1.5])) == 3


def test_an_empty_sketch_counts_nothing() -> None:
    assert estimate_distinct(merge_distinct([])) == 0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.integers(0, 40))
def test_few_values_keep_exact_quantiles(values: list[float], cut: int) -> None:
    parts = [value_sketch([(v, 1) for v in side]) for side in (values[:cut], values[cut:])]
    found = Distribution(merge_values(parts))
    ordered = sorted(values)
    assert [found.at_rank(rank) for rank in range(found.total)] == ordered
    assert found.quantile(0.0) == ordered[0]
    assert found.quantile(1.0) == ordered[-1]


def _many(start: int, count: int) -> dict:  # type: ignore[type-arg]
    return value_sketch([((start + i) * 0.37 - 900.0, 1 + i % 3) for i in range(count)])


def test_many_values_keep_quantiles_within_the_bound() -> None:
    count = EXACT_VALUES_MAX * 2
    sketch = _many(0, count)
    assert "bins" in sketch
    found = Distribution(sketch)
    ordered = sorted(v for i in range(count) for v in [i * 0.37 - 900.0] * (1 + i % 3))
    for fraction in (0.0, 0.01, 0.1, 0.25, 0.5, 0.9, 0.99, 1.0):
        exact = ordered[round(fraction * (len(ordered) - 1))]
        assert found.quantile(fraction) == pytest.approx(exact, rel=2 * RELATIVE_ERROR, abs=0.5)


def test_joining_values_is_associative_beyond_the_exact_range() -> None:
    parts = [_many(start, EXACT_VALUES_MAX // 2) for start in (0, 4_000, 9_000)]
    assert merge_values(parts) == merge_values([merge_values([parts[2], parts[0]]), parts[1]])


def test_the_median_deviation_is_taken_over_counts() -> None:
    found = Distribution(value_sketch([(1.0, 3), (5.0, 1), (9.0, 1)]))
    assert found.median_deviation() == 0.0
    assert Distribution(value_sketch([])).median_deviation() is None
