"""The cluster actions: state, settings, licence and usage, as monitoring tools and clients read them.

Tests: tests/cluster/test_administration.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from hanse.cluster import requests
from hanse.cluster.allocation_actions import AllocationActions
from hanse.cluster.health import HealthAction
from hanse.cluster.node_actions import build_hash, is_secret
from hanse.cluster.selection import selected_indices
from hanse.cluster.state import ClusterState
from hanse.cluster.state_view import shown_state
from hanse.cluster.updates import ClusterService
from hanse.errors import ActionRequestValidationError, IllegalArgumentError
from hanse.settings.node_settings import NODE_NAME
from hanse.settings.registry import RawValue, Scope, Settings, SettingsRegistry
from hanse.transport.actions import ActionRegistry, Call, Empty

Validator = Callable[[Settings], None]
"""Checks settings as they would be in force; raises IllegalArgumentError."""
AfterUpdate = Callable[[requests.UpdateSettings], Awaitable[list[str]]]
"""Looks at what an update led to; its sentences become Warning headers."""


class ClusterAdministration:
    """Handlers over the cluster state and this node's settings."""

    def __init__(
        self,
        cluster: ClusterService,
        node_settings: Settings,
        registry: SettingsRegistry,
        *,
        version: str,
        validators: tuple[Validator, ...] = (),
        after_update: AfterUpdate | None = None,
    ) -> None:
        self._cluster = cluster
        self._node_settings = node_settings
        self._registry = registry
        self._version = version
        self._validators = validators
        self._after_update = after_update

    async def read_settings(self, call: Call, request: requests.ReadSettings) -> dict[str, Any]:
        """Flat settings; REST nests them."""
        state = self._cluster.state
        answer: dict[str, Any] = {"persistent": dict(state.persistent), "transient": dict(state.transient)}
        if request.include_defaults:
            defaults = {s.key: s.default_text for s in self._registry.all() if s.default_text is not None}
            shown = {**{k: v for k, v in defaults.items() if "*" not in k}, **self._node_settings}
            answer["defaults"] = {key: value for key, value in shown.items() if not is_secret(self._registry, key)}
        return answer

    async def update_settings(self, call: Call, request: requests.UpdateSettings) -> dict[str, Any]:
        if not request.persistent and not request.transient:
            raise ActionRequestValidationError.of("no settings to update")

        def change(state: ClusterState) -> ClusterState:
            for what, values in (("persistent", request.persistent), ("transient", request.transient)):
                self._check(what, values)
            persistent = dict(Settings(state.persistent).merged(_expanded(state.persistent, request.persistent)))
            transient = dict(Settings(state.transient).merged(_expanded(state.transient, request.transient)))
            effective = Settings({**self._node_settings, **persistent, **transient})
            for validate in self._validators:
                validate(effective)
            if persistent == state.persistent and transient == state.transient:
                return state
            return msgspec.structs.replace(state, persistent=persistent, transient=transient)

        await self._cluster.update("cluster-settings", change)
        # Only a person gets to read warnings; what the node does for itself does not wait for them.
        if self._after_update is not None and call.origin.kind == "rest":
            call.warnings.extend(await self._after_update(request))
        return {
            "acknowledged": True,
            "persistent": {key: value for key, value in request.persistent.items() if value is not None},
            "transient": {key: value for key, value in request.transient.items() if value is not None},
        }

    def _check(self, what: str, values: Mapping[str, RawValue | None]) -> None:
        for key, value in values.items():
            setting = self._registry.find(key)
            if setting is None:
                if value is None:
                    continue
                raise IllegalArgumentError(f"{what} setting [{key}], not recognized")
            if not Scope.DYNAMIC & setting.scope:
                raise IllegalArgumentError(f"{what} setting [{key}], not dynamically updateable")
            if value is not None:
                setting.parse(value, key)

    async def state(self, call: Call, request: requests.ReadState) -> dict[str, Any]:
        """The whole state as Elasticsearch shapes it; security entries are never part of it."""
        state = self._cluster.state
        return shown_state(state, selected_indices(state, request.indices, request.options), set(request.metrics))

    async def pending_tasks(self, call: Call, request: Empty) -> dict[str, Any]:
        return {"tasks": []}

    async def main(self, call: Call, request: Empty) -> dict[str, Any]:
        state = self._cluster.state
        return {
            "name": self._node_settings.read(NODE_NAME),
            "cluster_name": state.cluster_name,
            "cluster_uuid": state.cluster_uuid,
            "version": self._version,
        }

    async def license(self, call: Call, request: Empty) -> dict[str, Any]:
        """Hanse has no licences; tools look for an active one before they work."""
        return {
            "license": {
                "status": "active",
                "uid": self._cluster.state.cluster_uuid,
                "type": "basic",
                "issue_date": "2026-01-01T00:00:00.000Z",
                "issue_date_in_millis": 1_767_225_600_000,
                "max_nodes": 1000,
                "max_resource_units": None,
                "issued_to": self._cluster.state.cluster_name,
                "issuer": "hanse (free software, everything is enabled)",
                "start_date_in_millis": -1,
            }
        }

    async def xpack_info(self, call: Call, request: Empty) -> dict[str, Any]:
        license = (await self.license(call, request))["license"]
        features = {
            name: {"available": on, "enabled": on}
            for name, on in {"ccr": True, "security": True, "ml": False, "graph": False, "watcher": False}.items()
        }
        return {
            "build": {"hash": build_hash(), "date": "2026-01-01T00:00:00.000Z"},
            "license": {"uid": license["uid"], "type": "basic", "mode": "basic", "status": "active"},
            "features": features,
            "tagline": "You know, for X",
        }

    async def xpack_usage(self, call: Call, request: Empty) -> dict[str, Any]:
        followers = [index for index in self._cluster.state.indices.values() if index.is_follower]
        patterns = self._cluster.state.customs.get("ccr_auto_follow", {})
        return {
            "security": {"available": True, "enabled": True},
            "ccr": {
                "available": True,
                "enabled": True,
                "follower_indices_count": len(followers),
                "auto_follow_patterns_count": len(patterns),
            },
            "remote_clusters": {"size": len(_aliases(self._cluster.state, self._node_settings))},
        }


def register(registry: ActionRegistry, cluster: ClusterService, administration: ClusterAdministration) -> None:
    registry.register(requests.HEALTH, HealthAction(cluster).health)
    registry.register(requests.STATE, administration.state)
    registry.register(requests.GET_SETTINGS, administration.read_settings)
    registry.register(requests.UPDATE_SETTINGS, administration.update_settings)
    registry.register(requests.PENDING_TASKS, administration.pending_tasks)
    registry.register(requests.MAIN, administration.main)
    registry.register(requests.LICENSE, administration.license)
    registry.register(requests.XPACK_INFO, administration.xpack_info)
    registry.register(requests.XPACK_USAGE, administration.xpack_usage)
    AllocationActions(cluster).register(registry)


def _expanded(current: Mapping[str, RawValue], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`cluster.remote.berlin: null` and `cluster.remote.berlin.*: null` remove everything below."""
    expanded: dict[str, Any] = {}
    for key, value in changes.items():
        prefix = key[:-1] if key.endswith("*") else key + "."
        below = [name for name in current if name.startswith(prefix)] if value is None else []
        for name in below or [key]:
            expanded[name] = value
    return expanded


def _aliases(state: ClusterState, node_settings: Settings) -> set[str]:
    keys = [*node_settings, *state.persistent, *state.transient]
    return {key.split(".")[2] for key in keys if key.startswith("cluster.remote.") and key.count(".") >= 3}
