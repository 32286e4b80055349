"""Analysis: from text to terms, for indexing, queries and `_analyze`."""

from hanse.index.analysis.analyzer import Analyzer, Normalizer
from hanse.index.analysis.analyzers import Analyzers
from hanse.index.analysis.tokens import Token

__all__ = ["Analyzer", "Analyzers", "Normalizer", "Token"]
