"""Blocks of the whole cluster, which `_cluster/settings` sets: no new indices, or nothing but reading.

Tests: tests/cluster/test_blocks.py.
"""

from __future__ import annotations

from hanse.cluster.state import ClusterState
from hanse.errors import ClusterBlockError
from hanse.settings.cluster_settings import CLUSTER_READ_ONLY, CLUSTER_READ_ONLY_ALLOW_DELETE, CREATE_INDEX_BLOCK
from hanse.settings.registry import Setting, Settings

_READ_ONLY = (CLUSTER_READ_ONLY, "FORBIDDEN/6/cluster read-only (api)")
_ALLOW_DELETE = (CLUSTER_READ_ONLY_ALLOW_DELETE, "FORBIDDEN/13/cluster read-only / allow delete (api)")
_CREATE_INDEX = (CREATE_INDEX_BLOCK, "FORBIDDEN/10/cluster create-index blocked (api)")


def refuse_change(state: ClusterState) -> None:
    """Raises ClusterBlockError (403) where documents and metadata must not change."""
    _refuse(state, _READ_ONLY, _ALLOW_DELETE)


def refuse_delete(state: ClusterState) -> None:
    """The same for deleting an index."""
    _refuse(state, _READ_ONLY)


def refuse_creation(state: ClusterState) -> None:
    """The same for a new index."""
    _refuse(state, _READ_ONLY, _ALLOW_DELETE, _CREATE_INDEX)


def _refuse(state: ClusterState, *blocks: tuple[Setting[bool], str]) -> None:
    if not state.persistent and not state.transient:
        return
    settings = Settings({**state.persistent, **state.transient})
    found = [text for setting, text in blocks if settings.read(setting)]
    if found:
        raise ClusterBlockError(f"blocked by: [{'];['.join(found)}];")
