from __future__ import annotations

import pytest

from hanse.cluster.node_selection import chosen_nodes
from hanse.cluster.state import ClusterState, NodeMetadata

NODES = (
    NodeMetadata("id1", "crane", "10.0.0.1:9300", "10.0.0.1:9200", ("master",), {"rack": "r1"}),
    NodeMetadata("id2", "heron", "10.0.0.2:9300", "10.0.0.2:9200", ("data_hot", "ingest"), {"rack": "r2"}),
    NodeMetadata("id3", "stork", "10.0.1.3:9300", "10.0.1.3:9200", (), {"rack": "x1"}),
)
STATE = ClusterState("harbour", "uuid", nodes={node.id: node for node in NODES}, master_node="id1")


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ("", "crane heron stork"),
        ("_all", "crane heron stork"),
        ("*", "crane heron stork"),
        ("_local", "heron"),
        ("_master", "crane"),
        ("stork,id1", "crane stork"),
        ("*r*", "crane heron stork"),
        ("her*", "heron"),
        ("10.0.0.*", "crane heron"),
        ("10.0.1.3:9300", "stork"),
        ("master:true", "crane"),
        ("data:true", "heron"),
        ("data_hot:true", "heron"),
        ("ingest:true", "heron"),
        ("coordinating_only:true", "stork"),
        ("_all,master:false", "heron stork"),
        ("master:false,_all", "crane heron stork"),
        ("_all,data:false,coordinating_only:false", "crane"),
        ("rack:r1", "crane"),
        ("ra*:r*", "crane heron"),
        ("rack:z", ""),
        ("nobody", ""),
    ],
)
def test_filters_in_the_order_they_are_written(filters: str, names: str) -> None:
    chosen = chosen_nodes(STATE, tuple(filters.split(",")) if filters else (), "id2")
    assert [node.name for node in chosen] == names.split()
