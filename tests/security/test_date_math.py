from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hanse.security.date_math import DateMathError, is_date_math, resolve

NOW_MS = int(datetime(2024, 3, 31, 23, 45, 30, 123000, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("<logs-{now/d}>", "logs-2024.03.31"),
        ("<logs-{now}-x>", "logs-2024.03.31-x"),
        ("<logs-{now/M}>", "logs-2024.03.01"),
        ("<logs-{now/M{yyyy.MM}}>", "logs-2024.03"),
        ("<logs-{now/M{YYYY}}>", "logs-2024"),
        ("<logs-{now/M-1M{yyyy.MM}}>", "logs-2024.02"),
        ("<logs-{now-1M{yyyy.MM.dd}}>", "logs-2024.02.29"),
        ("<logs-{now+1d/d}>", "logs-2024.04.01"),
        ("<logs-{now/d{yyyy-MM-dd|+02:00}}>", "logs-2024-04-01"),
        ("<logs-{now/d{yyyy-MM-dd|America/New_York}}>", "logs-2024-03-31"),
        ("<logs-{now/h{yyyy.MM.dd.HH}}>", "logs-2024.03.31.23"),
        ("<logs-{now/w{xxxx-ww}}>", "logs-2024-13"),
        ("<logs-{now{HHmmssSSS}}>", "logs-234530123"),
        ("<logs-{now/y{yy'T'}}>", "logs-24T"),
        (r"<elastic\{ON\}-{now/M}>", "elastic{ON}-2024.03.01"),
        ("<a-{now/d}-{now-1d/d}>", "a-2024.03.31-2024.03.30"),
    ],
)
def test_resolving(expression: str, name: str) -> None:
    assert is_date_math(expression)
    assert resolve(expression, NOW_MS) == name


@pytest.mark.parametrize(
    "expression",
    [
        "<>",
        "<logs-{now/d>",
        "<logs-}>",
        "<logs-{tomorrow}>",
        "<logs-{now/x}>",
        "<logs-{now{}}>",
        "<logs-{now{yyyy|Moon/Sea}}>",
        "<logs-{now{qqq}}>",
        "<logs-{now-99999y}>",
        "<logs-{now{yyyy}x}>",
        "<logs-{now+" + "9" * 300 + "d}>",
    ],
)
def test_what_cannot_be_read(expression: str) -> None:
    with pytest.raises(DateMathError) as caught:
        resolve(expression, NOW_MS)
    assert (caught.value.status, caught.value.name) == (400, "parse_exception")
