"""The cluster state as Elasticsearch's API shapes it. Users and roles are never part of it.

Tests: tests/cluster/test_state_view.py.
"""

from __future__ import annotations

from typing import Any

from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.settings.registry import nest


def shown_state(state: ClusterState, names: list[str], metrics: set[str]) -> dict[str, Any]:
    """`names` limits what is said about indices; no metrics means all."""

    def wanted(name: str) -> bool:
        return not metrics or bool(metrics & {"_all", name})

    answer: dict[str, Any] = {"cluster_name": state.cluster_name, "cluster_uuid": state.cluster_uuid}
    if wanted("version") or wanted("master_node") or wanted("metadata"):
        answer["version"] = state.version
        answer["state_uuid"] = state.cluster_uuid
    if wanted("master_node"):
        answer["master_node"] = state.master_node
    if wanted("blocks"):
        answer["blocks"] = _blocks(state, names)
    if wanted("nodes"):
        answer["nodes"] = {node.id: _node_entry(node) for node in state.nodes.values()}
    if wanted("metadata"):
        answer["metadata"] = _metadata(state, names)
    if wanted("routing_table"):
        answer["routing_table"] = {"indices": {name: {"shards": _routing(state, name)} for name in names}}
    if wanted("routing_nodes"):
        shards = [copy for name in names for copies in _routing(state, name).values() for copy in copies]
        master = state.master_node or ""
        answer["routing_nodes"] = {
            "unassigned": [copy for copy in shards if copy["node"] is None],
            "nodes": {master: [copy for copy in shards if copy["node"] is not None]},
        }
    return answer


def _node_entry(node: NodeMetadata) -> dict[str, Any]:
    return {
        "name": node.name,
        "ephemeral_id": node.ephemeral_id,
        "transport_address": node.transport_address,
        "attributes": node.attributes,
        "roles": sorted(node.roles),
        "version": node.version,
    }


def _blocks(state: ClusterState, names: list[str]) -> dict[str, Any]:
    numbers = {"read_only": "5", "read": "7", "write": "8", "metadata": "9", "read_only_allow_delete": "12"}
    indices: dict[str, Any] = {}
    for name in names:
        index = state.indices[name]
        found = {
            number: {"description": f"index {block} (api)", "retryable": False, "levels": [block]}
            for block, number in numbers.items()
            if index.settings.get(f"index.blocks.{block}") == "true"
        }
        if not index.is_open:
            found["4"] = {"description": "index closed", "retryable": False, "levels": ["read", "write"]}
        if found:
            indices[name] = found
    return {"indices": indices} if indices else {}


def _metadata(state: ClusterState, names: list[str]) -> dict[str, Any]:
    return {
        "cluster_uuid": state.cluster_uuid,
        "cluster_uuid_committed": True,
        "cluster_coordination": {"term": 1, "last_committed_config": [], "last_accepted_config": []},
        "templates": {
            name: {**body, "mappings": body.get("mappings", {})} for name, body in state.legacy_templates.items()
        },
        "index_template": {"index_template": state.index_templates},
        "component_template": {"component_template": state.component_templates},
        "indices": {
            name: {
                "version": index.version,
                "mapping_version": index.mapping_version,
                "settings_version": index.settings_version,
                "aliases_version": index.aliases_version,
                "state": index.state,
                "settings": nest(index.settings),
                "mappings": {"_doc": index.mappings} if index.mappings else {},
                "aliases": sorted(index.aliases),
                "primary_terms": {str(n): term for n, term in enumerate(index.primary_terms)},
            }
            for name in names
            if (index := state.indices[name])
        },
        "index-graveyard": {"tombstones": []},
    }


def _routing(state: ClusterState, name: str) -> dict[str, list[dict[str, Any]]]:
    index = state.indices[name]
    table: dict[str, list[dict[str, Any]]] = {}
    for number in range(index.number_of_shards):
        primary = {
            "state": "STARTED",
            "primary": True,
            "node": state.master_node,
            "relocating_node": None,
            "shard": number,
            "index": name,
        }
        replica = {**primary, "state": "UNASSIGNED", "primary": False, "node": None}
        table[str(number)] = [primary, *[replica] * index.number_of_replicas]
    return table
