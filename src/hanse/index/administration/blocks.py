"""Index blocks against changes of metadata: `index.blocks.read_only`, `metadata` and `read_only_allow_delete`.

Blocks against reading and writing documents are the shards' (index/service.py).
Tests: tests/index/administration/test_lifecycle.py.
"""

from __future__ import annotations

from collections.abc import Collection

from hanse.cluster.state import IndexMetadata
from hanse.errors import ClusterBlockError

_ALLOW_DELETE = "index.blocks.read_only_allow_delete"
_BLOCKS = (
    ("index.blocks.read_only", 403, "FORBIDDEN/5/index read-only (api)"),
    ("index.blocks.metadata", 403, "FORBIDDEN/9/index metadata (api)"),
    (
        _ALLOW_DELETE,
        429,
        "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block",
    ),
)


def refuse_change(index: IndexMetadata, *, deletes: bool = False) -> None:
    """Raises ClusterBlockError when a block forbids to change the index' metadata, or to delete it."""
    for key, status, text in _BLOCKS:
        if index.settings.get(key) == "true" and not (deletes and key == _ALLOW_DELETE):
            error = ClusterBlockError(f"index [{index.name}] blocked by: [{text}];")
            error.status = status
            raise error


def changes_only_blocks(keys: Collection[str]) -> bool:
    """Such a change of settings passes every block, or no block could be taken away again."""
    return all(key.startswith("index.blocks.") for key in keys)
