"""The `index.*` settings that steer where the copies of an index lie; `index/settings.py` declares the others.

They stand here since the cluster room, which allocates, lies below the index room.
Tests: tests/cluster/allocation/test_deciders.py.
"""

from __future__ import annotations

import re
from typing import Any

from hanse.errors import IllegalArgumentError
from hanse.settings.registry import (
    RawValue,
    Scope,
    Setting,
    choice,
    integer,
    time_s,
)

_DYNAMIC = Scope.INDEX | Scope.DYNAMIC
_RANGE = re.compile(r"^(\d+)-(\d+|all)$")

Expansion = tuple[int, int | None]


def _auto_expand(raw: RawValue, key: str) -> Expansion | None:
    """`0-5` and `0-all` give the fewest and the most replicas (None: one on each node); `false` gives None."""
    text = str(raw)
    if text == "false":
        return None
    match = _RANGE.match(text)
    if match is None:
        raise IllegalArgumentError(f"failed to parse [{key}] from value: [{text}] at index -1")
    least, most = int(match[1]), None if match[2] == "all" else int(match[2])
    if most is not None and least > most:
        raise IllegalArgumentError(
            f"[{key}] minReplicas must be =< maxReplicas but wasn't {least} > {most}",
        )
    return least, most


AUTO_EXPAND_REPLICAS: Setting[Expansion | None] = Setting(
    "index.auto_expand_replicas", _auto_expand, None, _DYNAMIC, "Range of replicas by data nodes, or false.", "false"
)
INDEX_ALLOCATION_ENABLE = choice(
    "index.routing.allocation.enable",
    "all",
    ("all", "primaries", "new_primaries", "none"),
    _DYNAMIC,
    "Which copies of the index are allocated.",
)
INDEX_REBALANCE_ENABLE = choice(
    "index.routing.rebalance.enable",
    "all",
    ("all", "primaries", "replicas", "none"),
    _DYNAMIC,
    "Which copies of the index move for balance.",
)
INDEX_TOTAL_SHARDS_PER_NODE = integer(
    "index.routing.allocation.total_shards_per_node",
    -1,
    _DYNAMIC,
    "The most copies of the index on a node; -1 sets no bound.",
    min=-1,
)
MAX_RETRIES = integer(
    "index.allocation.max_retries", 5, _DYNAMIC, "Failures in a row after which a copy is not tried again.", min=0
)
DELAYED_TIMEOUT = time_s(
    "index.unassigned.node_left.delayed_timeout", 60.0, _DYNAMIC, "Wait before a lost copy is made anew."
)
INDEX_ALLOCATION_FILTERS: tuple[Setting[RawValue | None], ...] = tuple(
    Setting(f"index.routing.allocation.{kind}.*", lambda raw, name: raw, None, _DYNAMIC, help)
    for kind, help in (
        ("include", "Nodes that copies may lie on: any of these names, ids, addresses, hosts or attributes."),
        ("exclude", "Nodes that copies may not lie on."),
        ("require", "What a node must have for copies to lie on it."),
    )
)

INDEX_ALLOCATION_SETTINGS: list[Setting[Any]] = [
    AUTO_EXPAND_REPLICAS,
    INDEX_ALLOCATION_ENABLE,
    INDEX_REBALANCE_ENABLE,
    INDEX_TOTAL_SHARDS_PER_NODE,
    MAX_RETRIES,
    DELAYED_TIMEOUT,
    *INDEX_ALLOCATION_FILTERS,
]
"""Every setting of this page, for the index room's registry."""
