"""Typed requests and actions about the cluster itself; the names are Elasticsearch's."""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.transport.actions import Action, Empty, IndicesOptions, Scope

_ALL = IndicesOptions(ignore_unavailable=True, expand_closed=True, expand_hidden=True, forbid_closed_indices=False)
"""Both actions are cluster actions; cluster/selection.py reads these options."""


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """`indices` limits the answer; `wait_for_*` hold it back until reached or `timeout_s` is over (then 408)."""

    indices: tuple[str, ...] = ()
    options: IndicesOptions = _ALL
    level: str = "cluster"
    wait_for_status: str | None = None
    wait_for_nodes: str | None = None
    wait_for_active_shards: str | None = None
    wait_for_no_relocating_shards: bool = False
    wait_for_no_initializing_shards: bool = False
    timeout_s: float = 30.0


class ReadState(msgspec.Struct, frozen=True, omit_defaults=True):
    metrics: tuple[str, ...] = ()
    indices: tuple[str, ...] = ()
    options: IndicesOptions = _ALL


class ReadSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    include_defaults: bool = False


class UpdateSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """Flat raw settings; None removes."""

    persistent: dict[str, Any] = {}
    transient: dict[str, Any] = {}


class ReadNodes(msgspec.Struct, frozen=True, omit_defaults=True):
    """`nodes` are node filters (node_selection.py), `metrics` sections; `timeout_s` is how long a node may take."""

    nodes: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    timeout_s: float | None = None


class OfNode(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node is asked about itself."""

    metrics: tuple[str, ...] = ()


class ClusterStats(msgspec.Struct, frozen=True, omit_defaults=True):
    nodes: tuple[str, ...] = ()
    timeout_s: float | None = None


class ReadHealthReport(msgspec.Struct, frozen=True, omit_defaults=True):
    indicator: str | None = None
    verbose: bool = True


class RerouteCommand(msgspec.Struct, frozen=True, omit_defaults=True):
    """One command of `_cluster/reroute`; `kind` is its name, and which of the others it takes depends on that."""

    kind: str
    index: str
    shard: int
    node: str = ""
    from_node: str = ""
    to_node: str = ""
    allow_primary: bool = False
    accept_data_loss: bool = False


class Reroute(msgspec.Struct, frozen=True, omit_defaults=True):
    """`metrics` are the parts of the resulting state that are shown."""

    commands: tuple[RerouteCommand, ...] = ()
    dry_run: bool = False
    explain: bool = False
    retry_failed: bool = False
    metrics: tuple[str, ...] = ()


class ExplainAllocation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Without `index` the first unassigned copy is explained. `current_node`: the copy on it, by id or name."""

    index: str | None = None
    shard: int | None = None
    primary: bool | None = None
    current_node: str | None = None
    include_yes_decisions: bool = False


class AddVotingExclusions(msgspec.Struct, frozen=True, omit_defaults=True):
    """Names or ids of nodes, members or gone; `timeout_s` is how long it may take until they do not vote any more."""

    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    timeout_s: float = 30.0


class ClearVotingExclusions(msgspec.Struct, frozen=True, omit_defaults=True):
    """`timeout_s` is how long is waited until the excluded nodes have left."""

    wait_for_removal: bool = True
    timeout_s: float = 30.0


HEALTH = Action("cluster:monitor/health", Health, dict, Scope.CLUSTER)
HEALTH_REPORT = Action("cluster:monitor/health_api", ReadHealthReport, dict, Scope.CLUSTER)
STATE = Action("cluster:monitor/state", ReadState, dict, Scope.CLUSTER)
GET_SETTINGS = Action("cluster:monitor/settings", ReadSettings, dict, Scope.CLUSTER)
UPDATE_SETTINGS = Action("cluster:admin/settings/update", UpdateSettings, dict, Scope.CLUSTER)
NODES_INFO = Action("cluster:monitor/nodes/info", ReadNodes, dict, Scope.CLUSTER)
NODES_STATS = Action("cluster:monitor/nodes/stats", ReadNodes, dict, Scope.CLUSTER)
STATS = Action("cluster:monitor/stats", ClusterStats, dict, Scope.CLUSTER)
PENDING_TASKS = Action("cluster:monitor/task", Empty, dict, Scope.CLUSTER)
MAIN = Action("cluster:monitor/main", Empty, dict, Scope.CLUSTER)
LICENSE = Action("cluster:monitor/xpack/license/get", Empty, dict, Scope.CLUSTER)
XPACK_INFO = Action("cluster:monitor/xpack/info", Empty, dict, Scope.CLUSTER)
XPACK_USAGE = Action("cluster:monitor/xpack/usage", Empty, dict, Scope.CLUSTER)
RELOAD_SECURE_SETTINGS = Action("cluster:admin/nodes/reload_secure_settings", ReadNodes, dict, Scope.CLUSTER)
ALLOCATION_EXPLAIN = Action("cluster:monitor/allocation/explain", ExplainAllocation, dict, Scope.CLUSTER)
NODE_INFO = Action("cluster:monitor/nodes/info[n]", OfNode, dict, Scope.CLUSTER, within=True)
NODE_STATS = Action("cluster:monitor/nodes/stats[n]", OfNode, dict, Scope.CLUSTER, within=True)
HEALTH_OF_NODE = Action("cluster:monitor/health_api[n]", OfNode, dict, Scope.CLUSTER, within=True)
STATS_OF_NODE = Action("cluster:monitor/stats[n]", OfNode, dict, Scope.CLUSTER, within=True)
RELOAD_ON_NODE = Action("cluster:admin/nodes/reload_secure_settings[n]", OfNode, dict, Scope.CLUSTER, within=True)
REROUTE = Action("cluster:admin/reroute", Reroute, dict, Scope.CLUSTER)
ADD_VOTING_EXCLUSIONS = Action("cluster:admin/voting_config/add_exclusions", AddVotingExclusions, Empty, Scope.CLUSTER)
CLEAR_VOTING_EXCLUSIONS = Action(
    "cluster:admin/voting_config/clear_exclusions", ClearVotingExclusions, Empty, Scope.CLUSTER
)
