"""more_like_this: documents that share the telling words of given texts or documents.

Documents named by id arrive here with their source (`lookups.py`). Words are chosen by how often they stand in the text
and how few documents have them. Tests: tests/search/test_lookups.py.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import tantivy

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.search.document_fields import values_at
from hanse.search.json_input import as_bool, as_int, as_strings, as_text
from hanse.search.query import fields
from hanse.search.query.compound import combine_parts
from hanse.search.query.context import Options, Part, QueryContext, boosted, named, nothing, query_type
from hanse.search.query.fulltext import word_part


@dataclass(slots=True)
class _Limits:
    words: int
    in_text: int
    in_documents: int
    in_documents_max: int
    length: int
    length_max: int
    stop_words: frozenset[str]


@query_type("more_like_this")
def more_like_this(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("more_like_this", body)
    boost, name = options.boost(), options.name()
    like, unlike = _items(options.take("like")), _items(options.take("unlike"))
    if not like:
        raise ParsingError("more_like_this requires 'like' to be specified", line=1, col=1)
    wanted = options.take("fields")
    if wanted is not None and not wanted:
        raise IllegalArgumentError("more_like_this requires 'fields' to be non-empty")
    limits = _limits(options)
    minimum = options.take("minimum_should_match", "30%")
    include = as_bool(options.take("include", False), "include")
    for ignored in ("analyzer", "boost_terms", "fail_on_unsupported_field"):
        options.take(ignored)
    options.finish()
    targets = _targets(context, wanted)
    chosen = _chosen(context, targets, like, unlike, limits)
    if not chosen:
        return named(context, name, nothing())
    part = combine_parts([], [], [word_part(context, field, word) for field, word in chosen], [], minimum)
    ids = [as_text(item["_id"], "_id") for item in like if isinstance(item, dict) and "_id" in item]
    if ids and not include and not part.matches_none:
        own = tantivy.Query.term_set_query(context.schema, "_id", ids)
        part = combine_parts([part], [], [], [Part(own)])
    return named(context, name, boosted(part, boost))


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _limits(options: Options) -> _Limits:
    def number(name: str, default: int) -> int:
        return as_int(options.take(name, default), name)

    limits = _Limits(
        number("max_query_terms", 25),
        number("min_term_freq", 2),
        number("min_doc_freq", 5),
        number("max_doc_freq", 2**31 - 1),
        number("min_word_length", 0),
        number("max_word_length", 0),
        frozenset(as_strings(options.take("stop_words", []), "stop_words")),
    )
    if limits.words <= 0:
        raise IllegalArgumentError("requires 'maxQueryTerms' to be greater than 0")
    return limits


def _targets(context: QueryContext, wanted: Any) -> list[fields.Field]:
    names = as_strings(wanted, "fields") if wanted else list(context.default_fields)
    found: list[fields.Field] = []
    for name in names:
        if "*" in name:
            found += [field for field in fields.expand(context, name, searchable_text=True) if field.is_textual]
        else:
            field = fields.resolve(context, name)
            if field is not None and field.is_textual:
                found.append(field)
    return found


def _chosen(
    context: QueryContext, targets: list[fields.Field], like: list[Any], unlike: list[Any], limits: _Limits
) -> list[tuple[fields.Field, str]]:
    """The most telling words, each in its field."""
    searcher = context.need_searcher()
    weighed = []
    for field in targets:
        unwanted = set(_words(context, field, unlike))
        for word, times in Counter(_words(context, field, like)).items():
            if word in unwanted or times < limits.in_text or word in limits.stop_words:
                continue
            if len(word) < limits.length or (limits.length_max and len(word) > limits.length_max):
                continue
            frequency = searcher.doc_freq(fields.slot_of(field), word) if searcher is not None else 1
            if not max(1, limits.in_documents) <= frequency <= limits.in_documents_max:
                continue
            total = searcher.num_docs if searcher is not None else 1
            weighed.append((times * (1 + math.log(total / (frequency + 1))), field, word))
    weighed.sort(key=lambda item: -item[0])
    return [(field, word) for _, field, word in weighed[: limits.words]]


def _words(context: QueryContext, field: fields.Field, items: list[Any]) -> list[str]:
    found: list[str] = []
    for item in items:
        texts = [item] if isinstance(item, str) else values_at(item.get("doc", {}), _source_path(field))
        for text in texts:
            if text is None or isinstance(text, dict):
                continue
            found += [word for _, word in fields.analyze(context, field, str(text), None)]
    return found


def _source_path(field: fields.Field) -> str:
    return str(getattr(field, "source_path", "") or field.path)
