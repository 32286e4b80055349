"""Edit distances: `fuzziness` values and the fuzzy leaf. Tests: tests/search/test_queries.py."""

from __future__ import annotations

from typing import Any

import tantivy

from hanse.errors import IllegalArgumentError
from hanse.search.query.context import Matched, Part, QueryContext, constant, nothing
from hanse.search.query.fields import Field, slot_of
from hanse.search.query.lucene_regex import escape

_DISTANCE_MAX = 2
_AUTO_LOW, _AUTO_HIGH = 3, 6
EXPANSIONS_MAX = 50


def distance_for(fuzziness: Any, text: str) -> int:
    """The edits allowed for a text: `AUTO` and `AUTO:low,high` go by its length."""
    spec = str(fuzziness).upper()
    if spec.startswith("AUTO"):
        low, high = _AUTO_LOW, _AUTO_HIGH
        if ":" in spec:
            try:
                low, high = (int(part) for part in spec[5:].split(","))
            except ValueError as error:
                raise IllegalArgumentError(f"failed to find low and high distance values from [{fuzziness}]") from error
        return 0 if len(text) < low else 1 if len(text) < high else 2
    try:
        distance = float(spec)
    except ValueError as error:
        raise IllegalArgumentError(f"Invalid fuzziness value: {fuzziness}") from error
    if distance < 0 or distance > _DISTANCE_MAX or not distance.is_integer():
        raise IllegalArgumentError(f"Valid edit distances are [0, 1, 2] but was [{fuzziness}]")
    return int(distance)


def fuzzy_part(
    context: QueryContext, field: Field, text: str, fuzziness: Any, prefix_length: int = 0, transpositions: bool = True
) -> Part:
    """Terms within the distance; with a prefix that must be equal, only terms of the dictionary that begin with it."""
    context.refuse_expensive("[fuzzy] queries")
    distance = distance_for(fuzziness, text)
    context.is_costly = True
    context.matched.append(Matched(field.path, "fuzzy", (text,), distance))
    if distance == 0:
        return constant(tantivy.Query.term_query(context.schema, slot_of(field), text, index_option="basic"))
    query = tantivy.Query.fuzzy_term_query(context.schema, slot_of(field), text, distance, transpositions)
    if prefix_length <= 0:
        return constant(query)
    return _with_prefix(context, field, text, distance, prefix_length, transpositions)


def _with_prefix(
    context: QueryContext, field: Field, text: str, distance: int, prefix_length: int, transpositions: bool
) -> Part:
    searcher = context.need_searcher()
    if searcher is None:
        return constant(
            tantivy.Query.regex_query(context.schema, slot_of(field), escape(text[:prefix_length]) + "(?s:.*)")
        )
    terms = [
        term
        for term, _ in searcher.terms_with_prefix(slot_of(field), text[:prefix_length])
        if edits(text, term, distance, transpositions) <= distance
    ]
    if not terms:
        return nothing()
    return constant(tantivy.Query.term_set_query(context.schema, slot_of(field), terms))


def edits(left: str, right: str, limit: int, transpositions: bool = True) -> int:
    """The edit distance, or any number above `limit` once it is exceeded."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before_last: list[int] = []
    last = list(range(len(right) + 1))
    for row, a in enumerate(left, 1):
        current = [row]
        for column, b in enumerate(right, 1):
            cost = min(last[column] + 1, current[-1] + 1, last[column - 1] + (a != b))
            swapped = transpositions and row > 1 and column > 1 and a == right[column - 2] and left[row - 2] == b
            if swapped:
                cost = min(cost, before_last[column - 2] + 1)
            current.append(cost)
        if min(current) > limit:
            return limit + 1
        before_last, last = last, current
    return last[-1]
