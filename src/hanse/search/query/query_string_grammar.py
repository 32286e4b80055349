"""The query_string language (Lucene's classic query parser) as a grammar, parsed to `syntax.py` nodes.

Known differences: none intended. Parsed texts are cached. Tests: tests/search/test_query_string.py.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import LarkError, VisitError

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

_GRAMMAR = r"""
start: query?
query: _item+
_item: AND | OR | clause
clause: MODIFIER* _field? primary suffix*
_field: FIELD
primary: "(" query? ")" -> group
    | PHRASE -> phrase
    | REGEX -> regex
    | range
    | TERM -> term
range: RANGE_OPEN bound RANGE_TO bound RANGE_CLOSE -> between
    | COMPARE bound_single -> compared
bound: RANGE_TERM | PHRASE
bound_single: TERM | PHRASE
suffix: BOOST -> boost
    | FUZZY -> fuzzy

AND.5: /(AND(?=[\s()]|$)|&&)/
OR.5: /(OR(?=[\s()]|$)|\|\|)/
MODIFIER.5: /[+\-!]|NOT(?=[\s(]|$)/
FIELD.4: /(?:\\.|[^\s+\-!(){}\[\]^"~:\\\/<>=])(?:\\.|[^\s(){}\[\]^"~:\\])*\s*:/
PHRASE.3: /"(?:\\.|[^"\\])*"/
REGEX.3: /\/(?:\\.|[^\/\\])*\//
RANGE_OPEN.3: /[\[{]\s*/
RANGE_TO.6: /\s+TO\s+/
RANGE_CLOSE.3: /\s*[\]}]/
COMPARE.4: /[<>]=?\s*/
BOOST.4: /\^\d+(?:\.\d+)?/
FUZZY.4: /~(?:\d+(?:\.\d+)?)?/
TERM.1: /(?:\\.|[^\s+\-!(){}\[\]^"~:\\\/<>=])(?:\\.|[^\s!(){}\[\]^"~:\\])*/
RANGE_TERM.2: /(?:\\.|[^\s"\]}\\])+/
%ignore /\s+/
"""


class QuerySyntaxError(ValueError):
    """The text is not a query; the message says what was met and where."""


@lru_cache(maxsize=1024)
def parse_query_string(text: str, default_operator: str = "OR") -> Node:
    """Raises QuerySyntaxError."""
    try:
        tree = _parser().parse(text)
        node = _ToNodes(default_operator).transform(tree)
    except VisitError as error:
        raise QuerySyntaxError(str(error.orig_exc)) from error
    except LarkError as error:
        raise QuerySyntaxError(_explain(text, error)) from error
    assert isinstance(node, Node)
    return node


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=False)


def _explain(text: str, error: LarkError) -> str:
    line, column = getattr(error, "line", -1), getattr(error, "column", -1)
    if isinstance(line, int) and line > 0:
        return f"Cannot parse '{text}': Encountered unexpected text at line {line}, column {column}."
    return f"Cannot parse '{text}': Encountered \"<EOF>\" at line 1, column {len(text)}."


def unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def has_wildcard(text: str) -> bool:
    return re.search(r"(?<!\\)(?:\\\\)*[*?]", text) is not None


def word_node(text: str) -> Node:
    """A bare term: words, a prefix, a pattern, or everything."""
    if text == "*":
        return AllNode()
    if not has_wildcard(text):
        return Words(text=unescape(text))
    if text.endswith("*") and not text.endswith("\\*") and not has_wildcard(text[:-1]):
        return PrefixNode(text=unescape(text[:-1]))
    return WildcardNode(pattern=text)


class _Suffix:
    def __init__(self, kind: str, value: str) -> None:
        self.kind = kind
        self.value = value


class _ToNodes(Transformer[Token, Any]):
    def __init__(self, default_operator: str) -> None:
        super().__init__()
        self._default = "must" if default_operator == "AND" else "should"

    def start(self, children: list[Any]) -> Node:
        return children[0] if children else Group()

    def group(self, children: list[Any]) -> Node:
        return children[0] if children else Group()

    @v_args(inline=True)
    def phrase(self, token: Token) -> Node:
        return PhraseNode(text=unescape(str(token)[1:-1]))

    @v_args(inline=True)
    def regex(self, token: Token) -> Node:
        return RegexNode(pattern=str(token)[1:-1].replace("\\/", "/"))

    @v_args(inline=True)
    def term(self, token: Token) -> Node:
        return word_node(str(token))

    @v_args(inline=True)
    def primary(self, node: Node) -> Node:
        return node

    @v_args(inline=True)
    def bound(self, token: Token) -> str | None:
        return self._bound_text(token)

    @v_args(inline=True)
    def bound_single(self, token: Token) -> str | None:
        return self._bound_text(token)

    def _bound_text(self, token: Token) -> str | None:
        text = str(token)
        if text == "*":
            return None
        return unescape(text[1:-1] if text.startswith('"') else text)

    def between(self, children: list[Any]) -> Node:
        opening, lower, _, upper, closing = children
        return RangeNode(
            lower=lower,
            upper=upper,
            include_lower=str(opening).strip() == "[",
            include_upper=str(closing).strip() == "]",
        )

    @v_args(inline=True)
    def compared(self, sign: Token, value: str | None) -> Node:
        text = str(sign).strip()
        inclusive = text.endswith("=")
        if text.startswith(">"):
            return RangeNode(lower=value, include_lower=inclusive)
        return RangeNode(upper=value, include_upper=inclusive)

    @v_args(inline=True)
    def boost(self, token: Token) -> _Suffix:
        return _Suffix("boost", str(token)[1:])

    @v_args(inline=True)
    def fuzzy(self, token: Token) -> _Suffix:
        return _Suffix("fuzzy", str(token)[1:])

    def clause(self, children: list[Any]) -> tuple[str, Node]:
        modifier, field, node = "", None, None
        for child in children:
            if isinstance(child, Token) and child.type == "MODIFIER":
                modifier = str(child)
            elif isinstance(child, Token):
                field = unescape(str(child).rstrip()[:-1].rstrip())
            elif isinstance(child, _Suffix):
                assert node is not None
                node = _with_suffix(node, child)
            else:
                node = child
        assert node is not None
        if field is not None:
            node = in_field(node, field)
        return {"+": "must", "": ""}.get(modifier, "must_not"), node

    def query(self, children: list[Any]) -> Node:
        """Lucene's rule: AND makes both neighbours required, OR leaves the default, a bare pair takes the default."""
        clauses: list[tuple[str, Node]] = []
        pending = ""
        for child in children:
            if isinstance(child, Token):
                if not clauses or pending:
                    raise QuerySyntaxError(
                        f'Encountered " <{child.type}> "{child} "" at line 1, column {child.column}.'
                    )
                pending = child.type
                continue
            occur, node = child
            if pending == "AND" and clauses and clauses[-1][0] != "must_not":
                clauses[-1] = ("must", clauses[-1][1])
            elif pending == "OR" and self._default == "must" and clauses and clauses[-1][0] == "must":
                clauses[-1] = ("should", clauses[-1][1])
            if not occur:
                occur = "must" if pending == "AND" else "should" if pending == "OR" else self._default
            clauses.append((occur, node))
            pending = ""
        if pending:
            raise QuerySyntaxError('Encountered "<EOF>" after an operator.')
        if len(clauses) == 1 and clauses[0][0] != "must_not":
            return clauses[0][1]
        return Group(clauses=tuple(clauses))


def _with_suffix(node: Node, suffix: _Suffix) -> Node:
    if suffix.kind == "boost":
        return node.boosted(float(suffix.value))
    if isinstance(node, PhraseNode):
        return replace(node, slop=int(float(suffix.value or 0)))
    if isinstance(node, Words):
        return replace(node, fuzzy=suffix.value)
    return node


def in_field(node: Node, field: str) -> Node:
    """The node with `field` on every part that names none itself."""
    if field == "_exists_":
        name = node.text if isinstance(node, Words | PhraseNode | PrefixNode) else "*"
        return ExistsNode(field=name, boost=node.boost)
    if isinstance(node, Group):
        return replace(node, clauses=tuple((occur, in_field(inner, field)) for occur, inner in node.clauses))
    if isinstance(node, AllNode) and node.field is None:
        return AllNode(boost=node.boost) if field == "*" else ExistsNode(field=field, boost=node.boost)
    return node if node.field is not None else replace(node, field=field)
