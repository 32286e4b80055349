"""How an aggregation's values look: dates in the field's format, booleans as words, numbers under a decimal pattern.

A `Format` is plain data and travels inside partials, since the final reduce has no mappings. Joining the formats of
several indices picks one without regard to order. Tests: tests/search/aggregation/test_formats.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from hanse.errors import AggregationExecutionError
from hanse.search.aggregation.columns import Column, ip_from_sortable
from hanse.search.aggregation.date_text import render_date, zone

Format = list[Any]  # [kind, format or None, time zone or None]; [] for an unmapped field
_PATTERN = re.compile(r"^((?:[^#0,.']|'[^']*')*)([#0,]*(?:\.[#0]*)?)(.*)$", re.DOTALL)
_WIDE = Context(prec=700)  # digits enough for every double
# Joining two kinds gives the more general one; text and numbers cannot be joined.
_GENERALITY = {"boolean": 0, "long": 1, "date": 2, "double": 3}


def format_of(column: Column | None, pattern: str | None = None, time_zone: str | None = None) -> Format:
    if column is None:
        return []
    return [column.kind, pattern if pattern is not None else column.format, time_zone]


def join_formats(formats: Iterable[Format], name: str) -> Format:
    """The format of joined partials; raises when a field is text in one index and a number in another."""
    known = [entry for entry in formats if entry]
    if not known:
        return []
    kinds = {entry[0] for entry in known}
    if len(kinds) > 1 and not kinds <= _GENERALITY.keys():
        raise AggregationExecutionError(
            f"Merging/Reducing the aggregations failed when computing the aggregation [{name}] because the field you "
            "gave in the aggregation query existed as two different types in two different indices"
        )
    return max(known, key=lambda entry: (_GENERALITY.get(entry[0], 9), entry[1] or "", entry[2] or ""))


def key_as_string(form: Format, key: Any) -> str | None:
    """What stands beside a numeric key; None where Elasticsearch shows the key alone."""
    if not form:
        return None
    kind, pattern, time_zone = form
    if kind == "date":
        return render_date(key, pattern, zone(time_zone))
    if kind == "boolean":
        return "true" if key else "false"
    if pattern is not None and kind in ("long", "double"):
        return format_decimal(pattern, key)
    return None


def shown_key(form: Format, key: Any) -> Any:
    """A bucket's key in the answer: addresses as addresses, doubles as doubles."""
    kind = form[0] if form else None
    if kind == "ip":
        return ip_from_sortable(key)
    if kind == "double" and not isinstance(key, str):
        return float(key)
    return key


def text_key(form: Format, key: Any) -> str:
    """The key as a string in any case (keyed buckets, multi_terms)."""
    text = key_as_string(form, key)
    return text if text is not None else str(shown_key(form, key))


def value_as_string(form: Format, value: float | None) -> str | None:
    if value is None or not form or value != value or abs(value) == float("inf"):
        return None
    return key_as_string(form, value)


def format_decimal(pattern: str, value: float) -> str:
    """Java's DecimalFormat as far as patterns of digits, grouping, fractions, percent and literal text go."""
    match = _PATTERN.match(pattern)
    assert match is not None
    prefix, digits, suffix = match.groups()
    integer, _, fraction = digits.partition(".")
    scaled = Decimal(str(value)) * (100 if "%" in prefix + suffix else 1)
    shown = abs(scaled).quantize(Decimal(1).scaleb(-len(fraction)), rounding=ROUND_HALF_EVEN, context=_WIDE)
    whole, _, rest = f"{shown:f}".partition(".")
    least = fraction.count("0")
    rest = rest[:least] + rest[least:].rstrip("0")
    whole = whole.lstrip("0").rjust(integer.count("0"), "0")
    if "," in integer:
        size = len(integer) - integer.rindex(",") - 1
        head = len(whole) % size or size
        whole = ",".join([whole[:head], *(whole[i : i + size] for i in range(head, len(whole), size))])
    sign = "-" if scaled < 0 and shown else ""
    number = whole + (f".{rest}" if rest else "")
    return f"{prefix.replace(chr(39), '')}{sign}{number or '0'}{suffix.replace(chr(39), '')}"
