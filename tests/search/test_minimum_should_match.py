"""How many optional clauses must match."""

from __future__ import annotations

import pytest

from hanse.errors import IllegalArgumentError
from hanse.search.query.minimum_should_match import clauses_required


@pytest.mark.parametrize(
    ("spec", "optional", "required"),
    [
        (2, 4, 2),
        ("3", 2, 3),
        (-1, 4, 3),
        (-9, 4, 0),
        ("75%", 4, 3),
        ("75%", 5, 3),
        ("-25%", 4, 3),
        ("-25%", 5, 4),
        ("3<90%", 3, 3),
        ("3<90%", 10, 9),
        ("2<-25% 9<-3", 2, 2),
        ("2<-25% 9<-3", 8, 6),
        ("2<-25% 9<-3", 12, 9),
    ],
)
def test_numbers_percentages_and_conditions(spec: object, optional: int, required: int) -> None:
    assert clauses_required(spec, optional) == required


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(IllegalArgumentError, match='For input string: "many"'):
        clauses_required("many", 3)
