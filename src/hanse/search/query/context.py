"""What every query is built from and into: the `Part`, and the context that knows the index.

A query is built once per index and reused while mapping and search index stay the same, unless `depends_on_now` or
`depends_on_searcher` was set while building. Tests: tests/search/test_queries.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

import tantivy

from hanse.errors import ExpensiveQueryError, HanseError, IllegalArgumentError, ParsingError, QueryShardError
from hanse.index.mapping import Mapping
from hanse.search.json_input import as_float, as_text, token_of

BM25_FACTOR = 1 / 2.2
"""Lucene dropped the constant k1 + 1 from BM25, the engine has it: scores equal Lucene's after this factor."""
NESTING_MAX = 30
CLAUSES_MAX = 4096
MUST, SHOULD, MUST_NOT = tantivy.Occur.Must, tantivy.Occur.Should, tantivy.Occur.MustNot


@dataclass(slots=True)
class Part:
    """A built query. `score`: every match has exactly this score; None when scores differ between documents."""

    query: tantivy.Query
    score: float | None = None
    is_uniform: bool = False
    """All matches have the same score, which only the index knows (a term of a field without length norms)."""
    matches_none: bool = False
    known_score: tuple[tantivy.Searcher, float] | None = None
    """What the one score of a uniform query was, and in which searcher."""
    known_count: tuple[tantivy.Searcher, int] | None = None
    """How many documents matched, and in which searcher: the engine need not count them again."""


@dataclass(slots=True)
class Matched:
    """What a leaf looked for in a field, for highlighting. `kind` is terms, phrase, prefix, wildcard, regex, fuzzy."""

    field: str
    kind: str
    texts: tuple[str, ...]
    extra: int = 0


@dataclass(slots=True)
class QueryContext:
    """One index as queries see it. `mapping` is already restricted to what the caller may see."""

    index: str
    mapping: Mapping
    schema: tantivy.Schema
    now_ms: int
    default_fields: tuple[str, ...] = ("*",)
    terms_max: int = 65_536
    regex_length_max: int = 1000
    searcher: tantivy.Searcher | None = None
    cluster_alias: str = ""
    aliases: tuple[str, ...] = ()
    """The index's other names, which queries on `_index` find it by."""
    depends_on_now: bool = False
    depends_on_searcher: bool = False
    named: dict[str, tantivy.Query] = field(default_factory=dict)
    matched: list[Matched] = field(default_factory=list)
    looked_up: list[tuple[str, Any]] = field(default_factory=list)
    """Terms whose document frequencies bound the cost of the query, unless it is costly."""
    allows_expensive: bool = True
    has_ranges: bool = False
    """Some part is a range of numbers or dates, which a shard's extents may rule out."""
    extent: Callable[[str], tuple[float, float] | None] | None = None
    """The least and the greatest value of a column, where ranges are to be held against them."""
    is_costly: bool = False
    """Some part may look at every document or at much of a dictionary."""
    depth: int = 0
    clauses: int = 0

    @property
    def shown_index(self) -> str:
        """What `_index` holds: the index's name, of a remote cluster with its alias in front."""
        return f"{self.cluster_alias}:{self.index}" if self.cluster_alias else self.index

    def now(self) -> int:
        self.depends_on_now = True
        return self.now_ms

    def fresh(self) -> QueryContext:
        """The same index, with nothing recorded: for queries built beside the main one, also in other threads."""
        return replace(
            self,
            named={},
            matched=[],
            looked_up=[],
            depends_on_now=False,
            depends_on_searcher=False,
            depth=0,
            clauses=0,
        )

    def refuse_expensive(self, kind: str, more: str = "") -> None:
        """For queries that the documentation of `search.allow_expensive_queries` lists."""
        if not self.allows_expensive:
            raise ExpensiveQueryError(
                f"{kind} cannot be executed when 'search.allow_expensive_queries' is set to false.{more}"
            )

    def is_ruled_out(self, column: str, lower: float | None, upper: float | None) -> bool:
        """Whether a range of numbers lies beside everything the shard has in the column."""
        self.has_ranges = True
        if self.extent is None:
            return False
        found = self.extent(column)
        return found is None or (lower is not None and lower > found[1]) or (upper is not None and upper < found[0])

    def need_searcher(self) -> tantivy.Searcher | None:
        self.depends_on_searcher = True
        return self.searcher

    def build(self, clause: Any) -> Part:
        """One query object of the DSL. Raises ParsingError for malformed ones, QueryShardError for this index."""
        name, body = _single_clause(clause)
        builder = _BUILDERS.get(name)
        if builder is None:
            raise ParsingError(f"unknown query [{name}]{_did_you_mean(name)}", line=1, col=1)
        if self.depth >= NESTING_MAX:
            raise IllegalArgumentError(
                f"The nested depth of the query exceeds the maximum nested depth [{NESTING_MAX}]"
            )
        self.is_costly = self.is_costly or name in _COSTLY
        self.clauses += 1
        if self.clauses > CLAUSES_MAX:
            raise self.failure(f"Query contains too many nested clauses; maxClauseCount is set to {CLAUSES_MAX}")
        self.depth += 1
        try:
            return builder(self, body)
        finally:
            self.depth -= 1

    def filter(self, clause: Any) -> tantivy.Query:
        """The query without a score of its own."""
        return unscored(self.build(clause).query)

    def failure(self, reason: str, caused_by: HanseError | None = None) -> QueryShardError:
        return QueryShardError(reason, caused_by=caused_by, index_uuid="_na_", index=self.index)

    def cannot_create(self, cause: HanseError) -> QueryShardError:
        return self.failure(f"failed to create query: {cause.reason}", cause)


_COSTLY = frozenset(
    (
        "match_all",
        "range",
        "exists",
        "prefix",
        "wildcard",
        "regexp",
        "fuzzy",
        "query_string",
        "simple_query_string",
        "match_phrase_prefix",
        "match_bool_prefix",
        "more_like_this",
        "boosting",
        "function_score",
    )
)
Builder = Callable[[QueryContext, Any], Part]
_BUILDERS: dict[str, Builder] = {}


def query_type(*names: str) -> Callable[[Builder], Builder]:
    """Registers the builder of a query type."""

    def register(builder: Builder) -> Builder:
        for name in names:
            _BUILDERS[name] = builder
        return builder

    return register


def _single_clause(clause: Any) -> tuple[str, Any]:
    if not isinstance(clause, dict):
        raise ParsingError(f"[_na] query malformed, must start with start_object, found [{token_of(clause)}]")
    if not clause:
        raise IllegalArgumentError("query malformed, empty clause found")
    names = list(clause)
    name, body = names[0], clause[names[0]]
    if not isinstance(body, dict):
        raise ParsingError(f"[{name}] query malformed, no start_object after query name", line=1, col=1)
    if len(names) > 1:
        raise ParsingError(f"[{name}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]", line=1, col=1)
    return name, body


def _did_you_mean(name: str) -> str:
    close = get_close_matches(name, sorted(_BUILDERS), n=3, cutoff=0.7)
    if not close:
        return ""
    return f" did you mean [{close[0]}]?" if len(close) == 1 else f" did you mean any of [{', '.join(close)}]?"


def nothing() -> Part:
    return Part(tantivy.Query.empty_query(), 0.0, matches_none=True)


def everything(boost: float = 1.0) -> Part:
    return constant(tantivy.Query.all_query(), boost)


def constant(query: tantivy.Query, score: float = 1.0) -> Part:
    return Part(tantivy.Query.const_score_query(query, score), score)


def scored(query: tantivy.Query, boost: float = 1.0) -> Part:
    """A leaf with the engine's BM25 score, made Lucene's."""
    return Part(tantivy.Query.boost_query(query, boost * BM25_FACTOR))


def boosted(part: Part, boost: float) -> Part:
    if boost == 1.0:
        return part
    score = None if part.score is None else part.score * boost
    return Part(tantivy.Query.boost_query(part.query, boost), score, part.is_uniform, part.matches_none)


def unscored(query: tantivy.Query) -> tantivy.Query:
    return tantivy.Query.const_score_query(query, 0.0)


def any_of(queries: list[tantivy.Query]) -> tantivy.Query:
    if not queries:
        return tantivy.Query.empty_query()
    return queries[0] if len(queries) == 1 else tantivy.Query.boolean_query([(SHOULD, query) for query in queries])


def all_of(queries: list[tantivy.Query]) -> tantivy.Query:
    return queries[0] if len(queries) == 1 else tantivy.Query.boolean_query([(MUST, query) for query in queries])


def without(query: tantivy.Query, excluded: list[tantivy.Query]) -> tantivy.Query:
    return tantivy.Query.boolean_query([(MUST, query), *((MUST_NOT, item) for item in excluded)])


class Options:
    """The members of a query's body, taken one by one; `finish` refuses what nobody took."""

    def __init__(self, query: str, members: dict[str, Any]) -> None:
        self.query = query
        self._members = dict(members)

    def take(self, name: str, default: Any = None) -> Any:
        return self._members.pop(name, default)

    def boost(self) -> float:
        value = as_float(self._members.pop("boost", 1.0), "boost")
        if value < 0:
            raise IllegalArgumentError(
                f"negative [boost] are not allowed in [{self.query}], use a value between 0 and 1 to deboost"
            )
        return value

    def name(self) -> str | None:
        value = self._members.pop("_name", None)
        return None if value is None else as_text(value, "_name")

    def finish(self) -> None:
        for name, value in self._members.items():
            if isinstance(value, dict):
                raise ParsingError(f"[{self.query}] unknown token [START_OBJECT] after [{name}]", line=1, col=1)
            raise ParsingError(f"[{self.query}] query does not support [{name}]", line=1, col=1)


def named(context: QueryContext, name: str | None, part: Part) -> Part:
    if name is not None:
        context.named[name] = part.query
    return part


def field_and_options(query: str, body: dict[str, Any], value_key: str) -> tuple[str, Options, str | None]:
    """`{"f": value}` and `{"f": {value_key: value, ...}}` alike, with `boost` and `_name` beside the field too."""
    fields = [key for key in body if key not in ("boost", "_name")]
    if not fields:
        raise IllegalArgumentError("fieldName must not be null or empty")
    if len(fields) > 1:
        raise ParsingError(
            f"[{query}] query doesn't support multiple fields, found [{fields[0]}] and [{fields[1]}]", line=1, col=1
        )
    value = body[fields[0]]
    if isinstance(value, list):
        raise (
            ParsingError(f"[{query}] query does not support arrays", line=1, col=1)
            if query == "term"
            else ParsingError(f"[{query}] unknown token [START_ARRAY] after [{fields[0]}]", line=1, col=1)
        )
    outer: dict[str, Any] = {key: body[key] for key in ("boost", "_name") if key in body}
    options = Options(query, {**outer, **(value if isinstance(value, dict) else {value_key: value})})
    return fields[0], options, options.name()
