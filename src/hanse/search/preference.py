"""The `preference` of a search: which copies of the shards it is asked of.

Elasticsearch's forms: `_local`, `_only_local`, `_prefer_nodes:a,b`, `_only_nodes:a*,b`, `_shards:0,2` (alone or in
front of another, `_shards:0|_local`), and any text that does not begin with `_`, which always picks the same copies.
Tests: tests/search/test_preference.py.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from hanse.cluster.state import NodeMetadata
from hanse.errors import IllegalArgumentError
from hanse.search.views import SHARDS

LOCAL = "_local"
ONLY_LOCAL = "_only_local"
PREFER_NODES = "_prefer_nodes"
ONLY_NODES = "_only_nodes"
CUSTOM = "custom"


class Preference(NamedTuple):
    """`kind` is empty where nothing is preferred; `nodes` are what the form names, `text` is a custom text."""

    kind: str = ""
    nodes: tuple[str, ...] = ()
    text: str = ""

    def names(self, node_id: str, node: NodeMetadata | None) -> bool:
        """Whether a node is among those named: by its id, name or address, with wildcards."""
        if node is None:
            return node_id in self.nodes
        known = (node_id, node.name, node.transport_address, node.transport_address.rpartition(":")[0])
        return any(fnmatchcase(one, pattern) for pattern in self.nodes for one in known)


NONE = Preference()


def parse_preference(text: str | None) -> Preference:
    """What is said of nodes; `_shards:` is read where the shards are chosen. Raises IllegalArgumentError."""
    if text is not None and text.startswith(SHARDS):
        text = text.partition("|")[2]
    if not text:
        return NONE
    if not text.startswith("_"):
        return Preference(CUSTOM, text=text)
    kind, _, argument = text.partition(":")
    if text in (LOCAL, ONLY_LOCAL):
        return Preference(text)
    if kind in (PREFER_NODES, ONLY_NODES) and argument:
        return Preference(kind, tuple(argument.split(",")))
    raise IllegalArgumentError(f"no Preference for [{text}]")
