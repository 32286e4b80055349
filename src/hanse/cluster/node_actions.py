"""`_nodes`, `_nodes/stats`, `_nodes/reload_secure_settings`: every node is asked about itself, and answers for itself.

Tests: tests/cluster/test_node_actions.py, tests/journeys/test_every_node.py.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from typing import Any

from hanse import __version__, clock
from hanse.cluster import requests
from hanse.cluster.broadcast import Broadcast
from hanse.cluster.machine import Machine
from hanse.cluster.node_selection import chosen_nodes, host_of
from hanse.cluster.requests import OfNode, ReadNodes
from hanse.cluster.state import NodeMetadata
from hanse.settings.registry import Scope, Settings, SettingsRegistry, nest
from hanse.transport.actions import Action, ActionRegistry, Call

NO_SECTIONS = ("_none",)
"""The metrics of a caller who only wants to know which nodes there are: nobody has to be asked for that."""

Gauge = Callable[[], Any]


def build_hash() -> str:
    return "hanse" + __version__.replace(".", "")


def is_secret(registry: SettingsRegistry, key: str) -> bool:
    setting = registry.find(key)
    return "password" in key or "passphrase" in key or (setting is not None and bool(setting.scope & Scope.SECURE))


class NodeActions:
    """Handlers: those that ask every node, and those by which this node answers.

    `gauges` are further sections of `_nodes/stats`, by name, which rooms above measure.
    """

    def __init__(
        self,
        broadcast: Broadcast,
        node_settings: Settings,
        registry: SettingsRegistry,
        *,
        version: str,
        gauges: Mapping[str, Gauge] | None = None,
    ) -> None:
        self._broadcast = broadcast
        self._cluster = broadcast.cluster
        self._node_settings = node_settings
        self._registry = registry
        self._version = version
        self._gauges = gauges or {}
        self._machine = Machine()

    def register(self, registry: ActionRegistry) -> None:
        registry.register(requests.NODES_INFO, self.info)
        registry.register(requests.NODES_STATS, self.stats)
        registry.register(requests.RELOAD_SECURE_SETTINGS, self.reload_secure_settings)
        registry.register(requests.NODE_INFO, self.own_info)
        registry.register(requests.NODE_STATS, self.own_stats)
        registry.register(requests.RELOAD_ON_NODE, self.reload_own)

    # -- asking all

    async def info(self, call: Call, request: ReadNodes) -> dict[str, Any]:
        if request.metrics == NO_SECTIONS:
            chosen = chosen_nodes(self._cluster.state, request.nodes, self._broadcast.own_id)
            nodes = {node.id: self._described(node) for node in chosen}
            count = {"total": len(nodes), "successful": len(nodes), "failed": 0}
            return {"_nodes": count, "cluster_name": self._cluster.state.cluster_name, "nodes": nodes}
        return await self._from_each(call, request, requests.NODE_INFO)

    async def stats(self, call: Call, request: ReadNodes) -> dict[str, Any]:
        return await self._from_each(call, request, requests.NODE_STATS)

    async def reload_secure_settings(self, call: Call, request: ReadNodes) -> dict[str, Any]:
        return await self._from_each(call, request, requests.RELOAD_ON_NODE)

    async def _from_each(
        self, call: Call, request: ReadNodes, action: Action[OfNode, dict[str, Any]]
    ) -> dict[str, Any]:
        asked = OfNode(request.metrics)
        gathered = await self._broadcast.ask_chosen(call, request.nodes, action, asked, request.timeout_s)
        return {
            **gathered.header(),
            "cluster_name": self._cluster.state.cluster_name,
            "nodes": gathered.answers,
        }

    # -- answering

    async def own_info(self, call: Call, request: OfNode) -> dict[str, Any]:
        node = self._own()
        info = self._described(node)
        sections: dict[str, Gauge] = {
            "settings": lambda: nest(
                {key: value for key, value in self._node_settings.items() if not is_secret(self._registry, key)}
            ),
            "os": lambda: {
                "name": platform.system(),
                "arch": platform.machine(),
                "version": platform.release(),
                "available_processors": os.cpu_count(),
                "allocated_processors": os.cpu_count(),
            },
            "process": lambda: {"id": os.getpid(), "mlockall": False, "refresh_interval_in_millis": 1000},
            "jvm": lambda: {
                "pid": os.getpid(),
                "version": platform.python_version(),
                "vm_name": platform.python_implementation(),
                "start_time_in_millis": self._machine.started_at_ms,
                "mem": {"heap_max_in_bytes": 0},
            },
            "thread_pool": dict,
            "transport": lambda: {
                "bound_address": [node.transport_address],
                "publish_address": node.transport_address,
                "profiles": {},
            },
            "http": lambda: {
                "bound_address": [node.http_address],
                "publish_address": node.http_address,
                "max_content_length_in_bytes": 104_857_600,
            },
            "plugins": list,
            "modules": list,
            "ingest": lambda: {"processors": []},
        }
        return info | _wanted(sections, request.metrics)

    async def own_stats(self, call: Call, request: OfNode) -> dict[str, Any]:
        node = self._own()
        shown = {
            "timestamp": clock.now_ms(),
            "name": node.name,
            "transport_address": node.transport_address,
            "host": host_of(node),
            "ip": node.transport_address,
            "roles": sorted(node.roles),
            "attributes": node.attributes,
        }
        return shown | _wanted({**self._machine.gauges(), **self._gauges}, request.metrics)

    async def reload_own(self, call: Call, request: OfNode) -> dict[str, Any]:
        return {"name": self._own().name}

    def _own(self) -> NodeMetadata:
        return self._cluster.state.nodes[self._broadcast.own_id]

    def _described(self, node: NodeMetadata) -> dict[str, Any]:
        """What every node of a cluster knows of a member."""
        return {
            "name": node.name,
            "transport_address": node.transport_address,
            "host": host_of(node),
            "ip": host_of(node),
            "version": node.version or self._version,
            "build_flavor": "default",
            "build_type": "tar",
            "build_hash": build_hash(),
            "hanse_version": __version__,
            "roles": sorted(node.roles),
            "attributes": node.attributes,
        }


def _wanted(sections: Mapping[str, Gauge], metrics: tuple[str, ...]) -> dict[str, Any]:
    every = not metrics or "_all" in metrics
    return {name: section() for name, section in sections.items() if every or name in metrics}
