"""The cluster state as Elasticsearch's API shapes it. Users and roles are never part of it.

Tests: tests/cluster/test_state_view.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.cluster.allocation.explain import shown_info
from hanse.cluster.routing import ShardCopy, ShardRouting, Unassigned
from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.cluster.voting import voting
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
        answer["routing_nodes"] = _routing_nodes(state, names)
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
        "cluster_coordination": _coordination(state),
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
                "aliases": sorted(index.shown_aliases),
                "primary_terms": {str(n): term for n, term in enumerate(index.primary_terms)},
                "in_sync_allocations": _in_sync(state, name),
            }
            for name in names
            if (index := state.indices[name])
        },
        "index-graveyard": {"tombstones": []},
    }


def _coordination(state: ClusterState) -> dict[str, Any]:
    known = voting(state)
    return {
        "term": 1,
        "last_committed_config": known.voting_ids,
        "last_accepted_config": known.voting_ids,
        "voting_config_exclusions": [msgspec.to_builtins(one) for one in known.exclusions],
    }


def _in_sync(state: ClusterState, name: str) -> dict[str, list[str]]:
    """By shard number the allocation ids of the copies that have everything. Hanse itself remembers nodes, not ids, so
    a node that is gone for the moment is shown by its own id."""
    return {
        str(number): [copy.allocation_id if (copy := shard.on(node)) else node for node in shard.in_sync]
        for number, shard in enumerate(state.routing.get(name, ()))
    }


def _routing(state: ClusterState, name: str) -> dict[str, list[dict[str, Any]]]:
    """By shard number its copies, the primary first. Where one moves to is not one of them, but a matter of nodes."""
    table: dict[str, list[dict[str, Any]]] = {}
    for number, shard in enumerate(state.routing.get(name, ())):
        copies = sorted(shard.copies, key=lambda copy: not copy.is_primary)
        waiting = sorted(shard.unassigned, key=lambda info: not info.is_primary)
        table[str(number)] = [
            *(_assigned(shard, copy) | {"shard": number, "index": name} for copy in copies if not copy.is_target),
            *(_unassigned(shard, info) | {"shard": number, "index": name} for info in waiting),
        ]
    return table


def _assigned(shard: ShardRouting, copy: ShardCopy) -> dict[str, Any]:
    """What moves to take the primary's place is shown as a primary, as Elasticsearch does."""
    source = shard.on(copy.relocating_node or "") if copy.is_target else None
    is_primary = copy.is_primary or (source is not None and source.is_primary)
    entry: dict[str, Any] = {
        "state": copy.state,
        "primary": is_primary,
        "node": copy.node,
        "relocating_node": copy.relocating_node,
        "allocation_id": {"id": copy.allocation_id},
    }
    if not copy.is_active:
        entry["recovery_source"] = {"type": _recovery_source(shard, copy, is_primary)}
    if copy.unassigned_info is not None:
        entry["unassigned_info"] = shown_info(copy.unassigned_info)
    return entry


def _unassigned(shard: ShardRouting, info: Unassigned) -> dict[str, Any]:
    source = "PEER" if not info.is_primary else "EXISTING_STORE" if shard.in_sync else "EMPTY_STORE"
    return {
        "state": "UNASSIGNED",
        "primary": info.is_primary,
        "node": None,
        "relocating_node": None,
        "recovery_source": {"type": source},
        "unassigned_info": {**shown_info(info), "delayed": info.delayed_until_ms > 0},
    }


def _recovery_source(shard: ShardRouting, copy: ShardCopy, is_primary: bool) -> str:
    if copy.is_target or not is_primary:
        return "PEER"
    return "EXISTING_STORE" if shard.in_sync and not copy.begins_empty else "EMPTY_STORE"


def _routing_nodes(state: ClusterState, names: list[str]) -> dict[str, Any]:
    """The same copies by node; every data node is there, also without one."""
    nodes: dict[str, list[dict[str, Any]]] = {node.id: [] for node in state.nodes.values() if node.holds_data}
    unassigned: list[dict[str, Any]] = []
    for name in names:
        for number, shard in enumerate(state.routing.get(name, ())):
            named = {"shard": number, "index": name}
            unassigned += [_unassigned(shard, info) | named for info in shard.unassigned]
            for copy in shard.copies:
                nodes.setdefault(copy.node, []).append(_assigned(shard, copy) | named)
    return {"unassigned": unassigned, "nodes": nodes}
