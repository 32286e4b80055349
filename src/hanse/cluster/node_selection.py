"""Which nodes a list of node filters means.

Filters are applied in the order in which they are written; one that ends in `:false` takes nodes out again
(https://www.elastic.co/guide/en/elasticsearch/reference/8.19/cluster.html#cluster-nodes).
Tests: tests/cluster/test_node_selection.py.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from hanse.cluster.state import ClusterState, NodeMetadata

_ROLES = frozenset(
    {
        "master",
        "data",
        "ingest",
        "voting_only",
        "ml",
        "transform",
        "remote_cluster_client",
        "data_content",
        "data_hot",
        "data_warm",
        "data_cold",
        "data_frozen",
        "coordinating_only",
    }
)


def chosen_nodes(state: ClusterState, filters: tuple[str, ...], own_id: str) -> list[NodeMetadata]:
    """In the order of the cluster state. Without filters every node; a filter that fits none chooses none."""
    if not filters:
        return list(state.nodes.values())
    chosen: set[str] = set()
    for one in filters:
        name, colon, value = one.partition(":")
        if colon and name in _ROLES and value in ("true", "false"):
            having = {node.id for node in state.nodes.values() if _has_role(node, name)}
            chosen = chosen | having if value == "true" else chosen - having
        else:
            chosen |= {node.id for node in state.nodes.values() if _is_meant(state, node, one, own_id)}
    return [node for node in state.nodes.values() if node.id in chosen]


def host_of(node: NodeMetadata) -> str:
    return node.transport_address.rpartition(":")[0]


def _has_role(node: NodeMetadata, role: str) -> bool:
    if role == "coordinating_only":
        return not node.roles
    return node.holds_data if role == "data" else role in node.roles


def _is_meant(state: ClusterState, node: NodeMetadata, one: str, own_id: str) -> bool:
    if one in ("_all", "*"):
        return True
    if one == "_local":
        return node.id == own_id
    if one == "_master":
        return node.id == state.master_node
    if any(fnmatchcase(known, one) for known in (node.id, node.name, host_of(node), node.transport_address)):
        return True
    name, colon, value = one.partition(":")
    return bool(colon) and any(
        fnmatchcase(key, name) and fnmatchcase(has, value) for key, has in node.attributes.items()
    )
