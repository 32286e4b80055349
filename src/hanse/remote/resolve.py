"""`_resolve/index` for this cluster: the indices and aliases an expression means to the caller.

Tests: tests/remote/test_resolve.py.
"""

from __future__ import annotations

from typing import Any

from hanse.cluster.state import ClusterState
from hanse.index.mapping.parameters import TIMESTAMP
from hanse.transport.actions import Targets


def resolve_local(state: ClusterState, targets: Targets) -> dict[str, Any]:
    indices: list[dict[str, Any]] = []
    aliases: dict[str, set[str]] = {}
    streams: dict[str, list[str]] = {}
    for target in targets.local:
        index = state.indices.get(target.index)
        if index is None:
            continue
        if index.data_stream and target.name == index.data_stream:
            streams.setdefault(target.name, []).append(index.name)
            continue
        if target.name not in ("", target.index):
            aliases.setdefault(target.name, set()).add(index.name)
            continue
        attributes = sorted(["open" if index.is_open else "closed", *(["hidden"] if index.is_hidden else [])])
        entry: dict[str, Any] = {"name": index.name, "attributes": attributes}
        if index.shown_aliases:
            entry["aliases"] = sorted(index.shown_aliases)
            for alias in index.shown_aliases:
                aliases.setdefault(alias, set()).add(index.name)
        if index.data_stream:
            entry["data_stream"] = index.data_stream
            streams.setdefault(index.data_stream, []).append(index.name)
        indices.append(entry)
    return {
        "indices": sorted(indices, key=lambda entry: str(entry["name"])),
        "aliases": [{"name": name, "indices": sorted(found)} for name, found in sorted(aliases.items())],
        "data_streams": [
            {"name": name, "backing_indices": sorted(set(found)), "timestamp_field": TIMESTAMP}
            for name, found in sorted(streams.items())
        ],
    }
