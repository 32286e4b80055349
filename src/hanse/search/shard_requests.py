"""What the nodes of a cluster ask one another for when a search needs shards that lie on several of them.

Each request carries the caller's own expression, which the other node's gate resolves for that caller again: nothing
is searched there that he may not see. `shards` says by index which shards are meant, each with its number among all
shards of the search. Tests: tests/search/test_distribute.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.search.request import (
    ExplainRequest,
    FieldCapsRequest,
    JsonResult,
    SearchRequest,
    SearchResult,
    ValidateQueryRequest,
)
from hanse.transport.actions import Action, Empty, IndicesOptions, Scope
from hanse.transport.wire_errors import WireError

Shards = dict[str, tuple[tuple[int, int], ...]]


class SearchShards(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a search. The answer is not reduced; shards that failed are part of it, even when all did.

    `context`: instead of `shards` those that a point in time holds there.
    """

    indices: tuple[str, ...]
    search: SearchRequest
    shards: Shards
    state_version: int
    options: IndicesOptions = IndicesOptions()
    context: str = ""
    keep_alive: str | None = None


class OpenShards(msgspec.Struct, frozen=True, omit_defaults=True):
    """Opens a context for some shards: a point in time or, with `scroll`, a scroll that begins with its first page.

    `context` is the id that it gets.
    """

    indices: tuple[str, ...]
    shards: Shards
    keep_alive: str
    state_version: int
    scroll: SearchRequest | None = None
    options: IndicesOptions = IndicesOptions()
    context: str = ""


class OpenedShards(msgspec.Struct, frozen=True, omit_defaults=True):
    """`context` is empty when no shard could be opened. `result` counts them and has the first page of a scroll."""

    context: str
    result: SearchResult


class ScrollShards(msgspec.Struct, frozen=True, omit_defaults=True):
    context: str
    keep_alive: str | None = None


class ScrolledShards(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of the next page; `search` is what the scroll began with."""

    result: SearchResult
    search: SearchRequest


class GoOn(msgspec.Struct, frozen=True):
    """The page that all nodes made together ended at the sort values `last`."""

    context: str
    last: list[Any]


class FreeContexts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Frees contexts of the caller, or all his scrolls."""

    contexts: tuple[str, ...] = ()
    all_scrolls: bool = False


class FreedContexts(msgspec.Struct, frozen=True):
    """How many shards they held."""

    shards: int


class ExplainShard(msgspec.Struct, frozen=True, omit_defaults=True):
    """A document that lies there is to be explained."""

    indices: tuple[str, ...]
    explain: ExplainRequest
    state_version: int
    options: IndicesOptions = IndicesOptions()


class ValidateShards(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...]
    validate: ValidateQueryRequest
    shards: Shards
    state_version: int
    options: IndicesOptions = IndicesOptions()


class ValidatedShards(msgspec.Struct, frozen=True):
    """What became of the query on each, as the answer shows it."""

    explanations: list[dict[str, Any]]


class FilterShards(msgspec.Struct, frozen=True, omit_defaults=True):
    """Asks whether anything in some shards may match the `index_filter` of a field_caps request."""

    indices: tuple[str, ...]
    field_caps: FieldCapsRequest
    shards: Shards
    state_version: int
    options: IndicesOptions = IndicesOptions()


class FilteredShards(msgspec.Struct, frozen=True):
    """By index whether something matches, or why that cannot be said."""

    matches: dict[str, bool]
    errors: dict[str, WireError]


SEARCH_SHARDS = Action("indices:data/read/search[phase/query]", SearchShards, SearchResult, Scope.INDEX, within=True)
OPEN_SHARDS = Action("indices:data/read/open_point_in_time[s]", OpenShards, OpenedShards, Scope.INDEX, within=True)
BEGIN_SCROLL = Action("indices:data/read/search[open_context]", OpenShards, OpenedShards, Scope.INDEX, within=True)
SCROLL_SHARDS = Action(
    "indices:data/read/search[phase/query+fetch/scroll]", ScrollShards, ScrolledShards, Scope.COMPOSITE, within=True
)
GO_ON = Action("indices:data/read/search[phase/fetch/scroll]", GoOn, Empty, Scope.COMPOSITE, within=True)
FREE_CONTEXTS = Action(
    "indices:data/read/search[free_context]", FreeContexts, FreedContexts, Scope.COMPOSITE, within=True
)
EXPLAIN_SHARD = Action("indices:data/read/explain[s]", ExplainShard, JsonResult, Scope.INDEX, within=True)
VALIDATE_SHARDS = Action("indices:admin/validate/query[s]", ValidateShards, ValidatedShards, Scope.INDEX, within=True)
FILTER_SHARDS = Action("indices:data/read/field_caps[s]", FilterShards, FilteredShards, Scope.INDEX, within=True)
