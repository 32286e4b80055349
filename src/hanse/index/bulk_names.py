"""Within one bulk request the names of an index stand and fall together, as in Elasticsearch.

Every name is put to the gate by itself; what it decided is only ever narrowed here. An item that came through a granted
alias is refused when the same right on the same index was refused under another name: under the index' own name where
the request uses it, else under any alias. Tests: tests/index/test_document_actions.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hanse.cluster.state import ClusterState
from hanse.errors import HanseError, SecurityError
from hanse.index.document_requests import Written


class Named(NamedTuple):
    """How items name their index, and the right they need on it."""

    name: str
    right: str
    require_alias: bool


Places = dict[Named, Written | HanseError]


def refuse_together(places: Places, state: ClusterState) -> None:
    """Replaces the places of items that another name's refusal concerns by that refusal."""
    refused: dict[tuple[str, str], dict[str, SecurityError]] = {}
    for named, place in places.items():
        if isinstance(place, SecurityError):
            index = _write_index(named.name, state)
            if index is not None:
                refused.setdefault((index, named.right), {})[named.name] = place
    if refused:
        _narrow(places, refused)


def _narrow(places: Places, refused: Mapping[tuple[str, str], Mapping[str, SecurityError]]) -> None:
    granted = {(named.name, named.right) for named, place in places.items() if not isinstance(place, HanseError)}
    for named, place in places.items():
        if isinstance(place, HanseError):
            continue
        key = (place.index, named.right)
        if key in refused and key not in granted:
            places[named] = refused[key].get(place.index) or next(iter(refused[key].values()))


def _write_index(name: str, state: ClusterState) -> str | None:
    """Where a write under this name goes."""
    if name in state.indices:
        return name
    behind = {index.name: index.aliases[name] for index in state.indices.values() if name in index.aliases}
    for index, alias in behind.items():
        if alias.is_write_index or (len(behind) == 1 and alias.is_write_index is None):
            return index
    return None
