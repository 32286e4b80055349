"""What the nodes of a cluster ask one another for when a search needs shards that lie on several of them.

Each request carries the caller's own expression, which the other node's gate resolves for that caller again: nothing
is searched there that he may not see. `shards` says by index which shards are meant, each with its number among all
shards of the search. Tests: tests/search/test_distribute.py.
"""

from __future__ import annotations

import msgspec

from hanse.search.request import SearchRequest, SearchResult
from hanse.transport.actions import Action, IndicesOptions, Scope

Shards = dict[str, tuple[tuple[int, int], ...]]


class SearchShards(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a search. The answer is not reduced; shards that failed are part of it, even when all did."""

    indices: tuple[str, ...]
    search: SearchRequest
    shards: Shards
    state_version: int
    options: IndicesOptions = IndicesOptions()


SEARCH_SHARDS = Action("indices:data/read/search[phase/query]", SearchShards, SearchResult, Scope.INDEX, within=True)
