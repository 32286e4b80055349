"""The query DSL, one module per family. Importing the package registers every query type."""

from hanse.search.query import compound, fulltext, multi_match, query_string, terms
from hanse.search.query.context import Matched, Part, QueryContext

__all__ = ["Matched", "Part", "QueryContext", "compound", "fulltext", "multi_match", "query_string", "terms"]
