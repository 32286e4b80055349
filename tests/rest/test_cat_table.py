from __future__ import annotations

import pytest

from hanse.errors import IllegalArgumentError
from hanse.rest.cat_table import HUMAN, Table, Units, columns


def table() -> Table:
    made = Table(
        columns("name|n,nm|the name", "size|s|how big|bytes", "count||how many|number", "secret|x|hidden one||hidden")
    )
    made.rows = [
        {"name": "long one", "size": 2048, "count": 7, "secret": "q"},
        {"name": "b", "size": None, "count": 12.5, "secret": None},
    ]
    return made


def test_numbers_stand_right_and_texts_left() -> None:
    assert table().text((), header=True, units=HUMAN) == (
        "name     size count\nlong one  2kb     7\nb              12.5\n"
    )


def test_a_last_text_column_is_not_padded() -> None:
    assert table().text(("count", "name"), header=False, units=HUMAN) == "   7 long one\n12.5 b\n"


@pytest.mark.parametrize(
    ("names", "titles"),
    [
        ((), ["name", "size", "count"]),
        (("n", "x"), ["n", "x"]),
        (("s*",), ["size", "secret"]),
        (("nothing", "count"), ["count"]),
    ],
)
def test_columns_are_shown_as_they_were_asked_for(names: tuple[str, ...], titles: list[str]) -> None:
    assert [name for name, _ in table().chosen(names)] == titles


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        (("name",), "b"),
        (("n:desc",), "long one"),
        (("count",), "long one"),
        (("count:desc", "name"), "b"),
        (("size",), "b"),
    ],
)
def test_sorting(keys: tuple[str, ...], first: str) -> None:
    made = table()
    made.sort(keys)
    assert made.rows[0]["name"] == first


def test_sorting_by_what_is_no_column() -> None:
    with pytest.raises(IllegalArgumentError, match="Unable to sort by unknown sort key `none`"):
        table().sort(("none",))


@pytest.mark.parametrize(("unit", "shown"), [(None, "2kb"), ("b", "2048"), ("kb", "2"), ("k", "2"), ("m", "0")])
def test_units_of_bytes(unit: str | None, shown: str) -> None:
    assert table().objects(("size",), units=Units(bytes=unit)) == [{"size": shown}, {"size": None}]


def test_a_unit_that_is_none() -> None:
    with pytest.raises(IllegalArgumentError, match=r"invalid byte unit \[inch\]"):
        table().text((), header=False, units=Units(bytes="inch"))


def test_help_names_every_column() -> None:
    assert table().help_text().splitlines()[0] == "name   | n,nm | the name  "
    assert [line.split(" | ")[0].strip() for line in table().help_text().splitlines()] == [
        "name",
        "size",
        "count",
        "secret",
    ]


@pytest.mark.parametrize(("unit", "shown"), [(None, "1.5m"), ("s", "93"), ("ms", "93400"), ("d", "0")])
def test_units_of_time(unit: str | None, shown: str) -> None:
    made = Table(columns("up||how long|time"), [{"up": 93.4}])
    assert made.objects((), units=Units(time=unit)) == [{"up": shown}]


def test_a_unit_of_time_that_is_none() -> None:
    with pytest.raises(IllegalArgumentError, match=r"invalid time unit \[week\]"):
        Table(columns("up||how long|time"), [{"up": 93.4}]).objects((), units=Units(time="week"))
