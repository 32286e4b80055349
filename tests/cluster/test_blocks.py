from __future__ import annotations

from collections.abc import Callable

import pytest

from hanse.cluster.blocks import refuse_change, refuse_creation, refuse_delete
from hanse.cluster.state import ClusterState
from hanse.errors import ClusterBlockError

FORBIDDEN = {
    "read_only": (refuse_change, refuse_delete, refuse_creation),
    "read_only_allow_delete": (refuse_change, refuse_creation),
    "create_index": (refuse_creation,),
}


@pytest.mark.parametrize("kind", ["persistent", "transient"])
@pytest.mark.parametrize("block", FORBIDDEN)
@pytest.mark.parametrize("refuse", [refuse_change, refuse_delete, refuse_creation])
def test_what_each_block_forbids(kind: str, block: str, refuse: Callable[[ClusterState], None]) -> None:
    blocked = ClusterState("c", "u", **{kind: {f"cluster.blocks.{block}": "true"}})
    if refuse in FORBIDDEN[block]:
        with pytest.raises(ClusterBlockError, match=r"^blocked by: \[FORBIDDEN/\d+/cluster "):
            refuse(blocked)
    else:
        refuse(blocked)
    refuse(ClusterState("c", "u", **{kind: {f"cluster.blocks.{block}": "false"}}))
