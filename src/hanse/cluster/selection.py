"""Which indices a request about the cluster names: health and state filter by index without being index requests.

The gate resolves index requests; these are cluster actions, so they resolve their filter here, after authorization.
Tests: tests/cluster/test_selection.py.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.errors import IndexNotFoundError
from hanse.transport.actions import IndicesOptions


def selected_indices(state: ClusterState, parts: tuple[str, ...], options: IndicesOptions) -> list[str]:
    """Sorted names; an empty filter is every index. Raises IndexNotFoundError where the options ask for it."""
    if not parts or parts == ("_all",):
        parts = ("*",)
    found: set[str] = set()
    for part in parts:
        if part == "_all" or "*" in part:
            found |= {index.name for index in state.indices.values() if _expands(index, part, options)}
            continue
        named = named_by(state, part)
        if not named and not options.ignore_unavailable:
            raise IndexNotFoundError.of(part)
        found |= named
    if not found and not options.allow_no_indices:
        raise IndexNotFoundError.of(",".join(parts))
    return sorted(found)


def named_by(state: ClusterState, name: str) -> set[str]:
    """The index with this name, or those behind this alias."""
    return {index.name for index in state.indices.values() if name == index.name or name in index.aliases}


def _expands(index: IndexMetadata, pattern: str, options: IndicesOptions) -> bool:
    if index.is_hidden and not options.expand_hidden and not (pattern.startswith(".") and index.name.startswith(".")):
        return False
    wanted = options.expand_open if index.is_open else options.expand_closed
    return wanted and (pattern == "_all" or any(fnmatchcase(name, pattern) for name in (index.name, *index.aliases)))
