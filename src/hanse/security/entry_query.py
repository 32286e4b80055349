"""The small query language of `_security/_query/{user,role,api_key}`: filter, sort and page lists of entries.

Knows match_all, ids, term, terms, prefix, wildcard, exists, match, range and bool over dotted field names; everything
else is refused by name. Tests: tests/security/test_entry_query.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.security.patterns import NamePatterns

Entry = Mapping[str, Any]
SIZE_DEFAULT = 10
SIZE_MAX = 10_000
DEPTH_MAX = 20


def run_query(body: Mapping[str, Any], entries: Sequence[Entry], *, key: str, answer: str) -> dict[str, Any]:
    """`{"total", "count", answer: [...]}`. `key` is the field that identifies an entry and orders them by default."""
    for field in body:
        if field not in ("query", "sort", "from", "size", "search_after", "aggs", "aggregations"):
            raise ParsingError(f"Unknown key for a VALUE in [{field}].")
    if "aggs" in body or "aggregations" in body or "search_after" in body:
        raise IllegalArgumentError("aggregations and search_after are not supported here")
    query = body.get("query")
    if query is None or query == {}:
        query = {"match_all": {}}
    found = [entry for entry in entries if _matches(query, entry, key, 0)]
    found = _sorted(found, body.get("sort"), key)
    first, size = _number(body, "from", 0), _number(body, "size", SIZE_DEFAULT)
    if first + size > SIZE_MAX:
        raise IllegalArgumentError(
            f"Result window is too large, from + size must be less than or equal to: [{SIZE_MAX}]"
        )
    page = found[first : first + size]
    return {"total": len(found), "count": len(page), answer: [dict(entry) for entry in page]}


def _number(body: Mapping[str, Any], field: str, default: int) -> int:
    value = body.get(field, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise IllegalArgumentError(f"[{field}] parameter must be a non-negative integer but found [{value}]")
    return value


def values_of(entry: Entry, field: str) -> list[Any]:
    """All values at a dotted path; lists are flattened."""
    found: list[Any] = [entry]
    for part in field.split("."):
        found = [
            item[part]
            for one in found
            for item in (one if isinstance(one, list) else [one])
            if isinstance(item, Mapping) and part in item
        ]
    flat: list[Any] = []
    for value in found:
        flat.extend(value) if isinstance(value, list) else flat.append(value)
    return [value for value in flat if value is not None]


def _matches(query: Any, entry: Entry, key: str, depth: int) -> bool:
    if depth > DEPTH_MAX:
        raise IllegalArgumentError(f"The nested depth of the query exceeds the maximum nested depth of [{DEPTH_MAX}]")
    if not isinstance(query, Mapping) or len(query) != 1:
        raise ParsingError("[query] malformed query, expected an object with one query")
    ((kind, body),) = query.items()
    if kind == "match_all":
        return True
    if not isinstance(body, Mapping):
        raise ParsingError(f"[{kind}] query malformed, no start_object after query name")
    if kind == "bool":
        return _bool(body, entry, key, depth)
    if kind == "ids":
        return any(value in body.get("values", []) for value in values_of(entry, key))
    if kind == "exists":
        return bool(values_of(entry, str(body.get("field", ""))))
    test = _FIELD_QUERIES.get(kind)
    if test is None:
        raise IllegalArgumentError(f"Query type [{kind}] is not supported for this query")
    if len(body) != 1:
        raise ParsingError(f"[{kind}] query doesn't support multiple fields, found {sorted(body)}")
    ((field, wanted),) = body.items()
    return test(values_of(entry, field), wanted)


def _bool(body: Mapping[str, Any], entry: Entry, key: str, depth: int) -> bool:
    def answers(clause: str) -> list[bool]:
        queries = body.get(clause) or []
        return [_matches(q, entry, key, depth + 1) for q in (queries if isinstance(queries, list) else [queries])]

    if not all(answers("must")) or not all(answers("filter")) or any(answers("must_not")):
        return False
    optional = answers("should")
    needed = body.get("minimum_should_match", 0 if body.get("must") or body.get("filter") else 1)
    return not optional or sum(optional) >= int(needed)


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _value(wanted: Any, *names: str) -> Any:
    if isinstance(wanted, Mapping):
        return next((wanted[name] for name in names if name in wanted), None)
    return wanted


def _term(values: Sequence[Any], wanted: Any) -> bool:
    return any(_text(value) == _text(_value(wanted, "value")) for value in values)


def _terms(values: Sequence[Any], wanted: Any) -> bool:
    return isinstance(wanted, list) and any(_term(values, one) for one in wanted)


def _prefix(values: Sequence[Any], wanted: Any) -> bool:
    return any(_text(value).startswith(_text(_value(wanted, "value"))) for value in values)


def _wildcard(values: Sequence[Any], wanted: Any) -> bool:
    pattern = NamePatterns([_text(_value(wanted, "value", "wildcard"))])
    return any(pattern.matches(_text(value)) for value in values)


def _match(values: Sequence[Any], wanted: Any) -> bool:
    words = _text(_value(wanted, "query")).lower().split()
    return any(word in _text(value).lower().split() for value in values for word in words)


def _range(values: Sequence[Any], wanted: Any) -> bool:
    def holds(value: Any) -> bool:
        try:
            return (
                ("gt" not in wanted or value > wanted["gt"])
                and ("gte" not in wanted or value >= wanted["gte"])
                and ("lt" not in wanted or value < wanted["lt"])
                and ("lte" not in wanted or value <= wanted["lte"])
            )
        except TypeError:
            return False

    return isinstance(wanted, Mapping) and any(holds(value) for value in values)


_FIELD_QUERIES: Mapping[str, Callable[[Sequence[Any], Any], bool]] = {
    "term": _term,
    "terms": _terms,
    "prefix": _prefix,
    "wildcard": _wildcard,
    "match": _match,
    "range": _range,
}


def _sorted(entries: list[Entry], sort: Any, key: str) -> list[Entry]:
    ordered = sorted(entries, key=lambda entry: _text(entry.get(key)))
    for clause in reversed(sort if isinstance(sort, list) else [sort] if sort else []):
        if isinstance(clause, Mapping):
            ((field, how),) = clause.items()
            order = how.get("order", "asc") if isinstance(how, Mapping) else how
        else:
            field, order = clause, "asc"
        ordered = _by_field(ordered, str(field), descending=order == "desc")
    return ordered


def _by_field(entries: list[Entry], field: str, *, descending: bool) -> list[Entry]:
    """Stable; entries without the field come last."""
    with_field = [entry for entry in entries if values_of(entry, field)]
    numeric = all(isinstance(values_of(entry, field)[0], int | float) for entry in with_field)
    with_field.sort(
        key=lambda entry: values_of(entry, field)[0] if numeric else _text(values_of(entry, field)[0]),
        reverse=descending,
    )
    return with_field + [entry for entry in entries if not values_of(entry, field)]
