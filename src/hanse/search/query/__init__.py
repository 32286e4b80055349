"""The query DSL, one module per family. Importing the package registers every query type."""

from hanse.search.query import compound, fulltext, more_like_this, multi_match, query_string, spans, terms
from hanse.search.query.context import Matched, Part, QueryContext

__all__ = [
    "Matched",
    "Part",
    "QueryContext",
    "compound",
    "fulltext",
    "more_like_this",
    "multi_match",
    "query_string",
    "spans",
    "terms",
]
