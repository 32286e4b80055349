"""query_string and simple_query_string: their syntax trees as queries. Tests: tests/search/test_query_string.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hanse.errors import HanseError, IllegalArgumentError, ParsingError
from hanse.search.json_input import as_bool, as_float, as_int, as_strings, as_text
from hanse.search.query import fields
from hanse.search.query.compound import best_of, combine_parts
from hanse.search.query.context import Options, Part, QueryContext, boosted, everything, named, nothing, query_type
from hanse.search.query.fulltext import MatchOptions, operator_of
from hanse.search.query.multi_match import BoostedField, boosted_fields, multi_part
from hanse.search.query.query_string_grammar import QuerySyntaxError, parse_query_string
from hanse.search.query.simple_query_string_syntax import parse_flags, parse_simple_query_string
from hanse.search.query.syntax import (
    AllNode,
    ExistsNode,
    Group,
    Node,
    PhraseNode,
    PrefixNode,
    RangeNode,
    RegexNode,
    WildcardNode,
    Words,
)
from hanse.search.query.terms import exists_part, prefix_part, regexp_part, wildcard_part

_IGNORED = (
    "allow_leading_wildcard",
    "enable_position_increments",
    "max_determinized_states",
    "fuzzy_max_expansions",
    "fuzzy_rewrite",
    "rewrite",
    "quote_field_suffix",
    "auto_generate_synonyms_phrase_query",
    "escape",
    "locale",
)


class _ParseError(IllegalArgumentError):
    type = "parse_exception"


@dataclass(slots=True)
class _Setting:
    """What the whole text shares."""

    targets: list[BoostedField]
    how: MatchOptions
    kind: str = "best_fields"
    tie_breaker: float = 0.0
    fuzziness: Any = "AUTO"
    phrase_slop: int = 0
    quote_analyzer: str | None = None
    time_zone: str | None = None


@query_type("query_string")
def query_string(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("query_string", body)
    boost, name = options.boost(), options.name()
    text = options.take("query")
    if text is None:
        raise ParsingError("[query_string] must be provided with a [query]", line=1, col=1)
    default_field = options.take("default_field")
    wanted = options.take("fields")
    operator = operator_of(options.take("default_operator", "OR"))
    setting = _common(context, options, operator, wanted if wanted is not None else default_field)
    setting.kind = str(options.take("type", "best_fields"))
    setting.tie_breaker = as_float(options.take("tie_breaker", 0.0), "tie_breaker")
    setting.phrase_slop = as_int(options.take("phrase_slop", 0), "phrase_slop")
    setting.fuzziness = options.take("fuzziness", "AUTO")
    quote_analyzer = options.take("quote_analyzer")
    setting.quote_analyzer = None if quote_analyzer is None else as_text(quote_analyzer, "quote_analyzer")
    time_zone = options.take("time_zone")
    setting.time_zone = None if time_zone is None else as_text(time_zone, "time_zone")
    for ignored in _IGNORED:
        options.take(ignored)
    options.finish()
    node = _parse(context, as_text(text, "query"), operator, setting.how.lenient)
    if node is None:
        return named(context, name, nothing())
    return named(context, name, boosted(_Builder(context, setting).build(node), boost))


def _common(context: QueryContext, options: Options, operator: str, wanted: Any) -> _Setting:
    analyzer = options.take("analyzer")
    how = MatchOptions(
        operator=operator,
        minimum_should_match=options.take("minimum_should_match"),
        lenient=as_bool(options.take("lenient", False), "lenient"),
        analyzer=None if analyzer is None else as_text(analyzer, "analyzer"),
        prefix_length=as_int(options.take("fuzzy_prefix_length", 0), "fuzzy_prefix_length"),
        transpositions=as_bool(options.take("fuzzy_transpositions", True), "fuzzy_transpositions"),
    )
    as_bool(options.take("analyze_wildcard", False), "analyze_wildcard")
    names = as_strings(wanted, "fields") if wanted else list(context.default_fields)
    if not wanted or "*" in names:
        how.lenient = True
    return _Setting(boosted_fields(context, names), how)


def _parse(context: QueryContext, text: str, operator: str, lenient: bool) -> Node | None:
    if not text.strip():
        return None
    try:
        return parse_query_string(text, operator)
    except QuerySyntaxError as error:
        raise context.failure(f"Failed to parse query [{text}]", _ParseError(str(error))) from error


@query_type("simple_query_string")
def simple_query_string(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("simple_query_string", body)
    boost, name = options.boost(), options.name()
    text = options.take("query")
    if text is None:
        raise ParsingError("[simple_query_string] query text missing", line=1, col=1)
    operator = operator_of(options.take("default_operator", "OR"))
    flags = parse_flags(options.take("flags", "ALL"))
    setting = _common(context, options, operator, options.take("fields"))
    setting.how.lenient = True
    setting.kind = "most_fields"
    for ignored in _IGNORED:
        options.take(ignored)
    options.finish()
    node = parse_simple_query_string(as_text(text, "query"), operator, flags)
    if isinstance(node, Group) and not node.clauses:
        return named(context, name, nothing())
    return named(context, name, boosted(_Builder(context, setting).build(node), boost))


class _Builder:
    def __init__(self, context: QueryContext, setting: _Setting) -> None:
        self._context = context
        self._setting = setting

    def build(self, node: Node, top: bool = True) -> Part:
        return boosted(self._build(node, top), node.boost)

    def _build(self, node: Node, top: bool) -> Part:
        if isinstance(node, Group):
            return self._group(node, top)
        if isinstance(node, AllNode):
            return everything()
        if isinstance(node, ExistsNode):
            return exists_part(self._context, node.field or "*")
        if isinstance(node, Words):
            return self._words(node)
        if isinstance(node, PhraseNode):
            return self._phrase(node)
        return self._over_fields(node, self._leaf(node))

    def _group(self, node: Group, top: bool) -> Part:
        by_occurrence: dict[str, list[Part]] = {"must": [], "should": [], "must_not": []}
        for occurrence, inner in node.clauses:
            if occurrence != "must_not":
                by_occurrence[occurrence].append(self.build(inner, False))
                continue
            unhighlighted = len(self._context.matched)
            by_occurrence[occurrence].append(self.build(inner, False))
            del self._context.matched[unhighlighted:]
        minimum = self._setting.how.minimum_should_match if top and by_occurrence["should"] else None
        if not any(by_occurrence.values()):
            return nothing()
        return combine_parts(by_occurrence["must"], [], by_occurrence["should"], by_occurrence["must_not"], minimum)

    def _targets(self, node: Node) -> list[BoostedField]:
        return self._setting.targets if node.field is None else boosted_fields(self._context, [node.field])

    def _words(self, node: Words) -> Part:
        how = replace(self._setting.how, lenient=self._lenient(node))
        if node.fuzzy is not None:
            how.fuzziness = node.fuzzy or self._setting.fuzziness
        if self._is_index_name(node):
            return fields.index_matches(self._context, node.text)
        kind = self._setting.kind if how.fuzziness is None else "best_fields"
        return multi_part(self._context, self._targets(node), node.text, kind, how, self._tie_breaker(kind))

    def _tie_breaker(self, kind: str) -> float | None:
        return None if kind in ("most_fields", "bool_prefix") else self._setting.tie_breaker

    def _lenient(self, node: Node) -> bool:
        return self._setting.how.lenient or (node.field is not None and "*" in node.field)

    def _is_index_name(self, node: Node) -> bool:
        return node.field == "_index"

    def _phrase(self, node: PhraseNode) -> Part:
        how = replace(
            self._setting.how,
            slop=self._setting.phrase_slop if node.slop is None else node.slop,
            analyzer=self._setting.quote_analyzer or self._setting.how.analyzer,
            lenient=self._lenient(node),
        )
        return multi_part(self._context, self._targets(node), node.text, "phrase", how, self._setting.tie_breaker)

    def _leaf(self, node: Node) -> Callable[[str], Part]:
        context = self._context
        if isinstance(node, PrefixNode):
            return lambda path: prefix_part(context, path, _analyzed(context, path, node.text))
        if isinstance(node, WildcardNode):
            return lambda path: wildcard_part(context, path, _analyzed(context, path, node.pattern))
        if isinstance(node, RegexNode):
            return lambda path: regexp_part(context, path, node.pattern)
        assert isinstance(node, RangeNode)
        span = fields.Span(
            node.lower, node.upper, node.include_lower, node.include_upper, None, self._setting.time_zone
        )
        return lambda path: _range_part(context, path, span)

    def _over_fields(self, node: Node, leaf: Callable[[str], Part]) -> Part:
        return best_of(self._each(self._targets(node), leaf, self._lenient(node)), self._setting.tie_breaker)

    def _each(self, targets: Sequence[BoostedField], leaf: Callable[[str], Part], lenient: bool) -> list[Part]:
        parts = []
        for field, factor in targets:
            try:
                parts.append(boosted(leaf(field.path), factor))
            except HanseError:
                if not lenient:
                    raise
        return parts


def _analyzed(context: QueryContext, path: str, text: str) -> str:
    """Prefixes and patterns are not split into words, but written as the analyzer writes words."""
    field = fields.resolve(context, path)
    return text if field is None or field.kind != "text" else fields.normalized_pattern(context, field, text)


def _range_part(context: QueryContext, path: str, span: fields.Span) -> Part:
    field = fields.resolve(context, path)
    return nothing() if field is None else fields.between(context, field, span)
