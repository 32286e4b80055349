"""Handlers for index templates, component templates and legacy templates.

Tests: tests/index/administration/test_templates.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.errors import IllegalArgumentError, ResourceNotFoundError
from hanse.index.administration.bodies import alias_json
from hanse.index.administration.create import build
from hanse.index.administration.requests import ByName, PutTemplate
from hanse.index.administration.templates import (
    applies,
    check_component,
    check_composable,
    check_legacy,
    composable_for,
    matching,
)
from hanse.settings.registry import nest
from hanse.transport.actions import Acknowledged, Call


class TemplateActions:
    def __init__(self, cluster: ClusterService) -> None:
        self._cluster = cluster

    async def put_component(self, call: Call, request: PutTemplate) -> Acknowledged:
        def change(state: ClusterState) -> ClusterState:
            self._refuse_existing("component template", request, state.component_templates)
            template = check_component(request.name, request.body)
            return msgspec.structs.replace(
                state, component_templates={**state.component_templates, request.name: template}
            )

        await self._cluster.update(f"create-component-template [{request.name}]", change)
        return Acknowledged()

    async def get_component(self, call: Call, request: ByName) -> dict[str, Any]:
        known = self._cluster.state.component_templates
        names = matching(known, request.name, "component template")
        return {"component_templates": [{"name": name, "component_template": _shown(known[name])} for name in names]}

    async def delete_component(self, call: Call, request: ByName) -> Acknowledged:
        def change(state: ClusterState) -> ClusterState:
            names = matching(state.component_templates, request.name, "component template")
            used = sorted(
                name
                for name, template in state.index_templates.items()
                if set(names) & set(template.get("composed_of") or ())
            )
            if used:
                raise IllegalArgumentError(
                    f"component templates [{', '.join(names)}] cannot be removed as they are still in use by index "
                    f"templates [{', '.join(used)}]"
                )
            kept = {name: body for name, body in state.component_templates.items() if name not in names}
            return msgspec.structs.replace(state, component_templates=kept)

        await self._cluster.update(f"remove-component-template [{request.name}]", change)
        return Acknowledged()

    async def put_composable(self, call: Call, request: PutTemplate) -> Acknowledged:
        def change(state: ClusterState) -> ClusterState:
            self._refuse_existing("index template", request, state.index_templates)
            template = check_composable(state, request.name, request.body)
            return msgspec.structs.replace(state, index_templates={**state.index_templates, request.name: template})

        await self._cluster.update(f"create-index-template [{request.name}]", change)
        return Acknowledged()

    async def get_composable(self, call: Call, request: ByName) -> dict[str, Any]:
        known = self._cluster.state.index_templates
        names = matching(known, request.name, "index template")
        return {"index_templates": [{"name": name, "index_template": _shown(known[name])} for name in names]}

    async def delete_composable(self, call: Call, request: ByName) -> Acknowledged:
        def change(state: ClusterState) -> ClusterState:
            names = matching(state.index_templates, request.name, "index_template")
            kept = {name: body for name, body in state.index_templates.items() if name not in names}
            return msgspec.structs.replace(state, index_templates=kept)

        await self._cluster.update(f"remove-index-template [{request.name}]", change)
        return Acknowledged()

    async def simulate_index(self, call: Call, request: PutTemplate) -> dict[str, Any]:
        """What a new index of this name would get."""
        state = self._cluster.state
        if request.body:
            body = check_composable(state, "simulate_index_template", request.body)
            state = msgspec.structs.replace(
                state, index_templates={**state.index_templates, "simulate_index_template": body}
            )
        return _simulated(state, request.name)

    async def simulate(self, call: Call, request: PutTemplate) -> dict[str, Any]:
        """What a stored template, or the one in the body, resolves to."""
        state = self._cluster.state
        body = request.body or state.index_templates.get(request.name)
        if body is None:
            raise IllegalArgumentError(f"unable to simulate template [{request.name}] that does not exist")
        only = msgspec.structs.replace(state, index_templates={}, indices={})
        checked = check_composable(only, request.name or "simulated", body)
        only = msgspec.structs.replace(only, index_templates={"simulated": {**checked, "index_patterns": ["*"]}})
        return _simulated(only, "simulated_index")

    async def put_legacy(self, call: Call, request: PutTemplate) -> Acknowledged:
        def change(state: ClusterState) -> ClusterState:
            if request.create and request.name in state.legacy_templates:
                raise IllegalArgumentError(f"index_template [{request.name}] already exists")
            template = check_legacy(request.body)
            return msgspec.structs.replace(state, legacy_templates={**state.legacy_templates, request.name: template})

        await self._cluster.update(f"create-index-template [{request.name}]", change)
        return Acknowledged()

    async def get_legacy(self, call: Call, request: ByName) -> dict[str, Any]:
        known = self._cluster.state.legacy_templates
        names = matching(known, request.name, "index template") if request.name else sorted(known)
        return {name: {"mappings": {}, "aliases": {}, "settings": {}, **_shown_parts(known[name])} for name in names}

    async def delete_legacy(self, call: Call, request: ByName) -> Acknowledged:
        def change(state: ClusterState) -> ClusterState:
            if "*" not in request.name and request.name not in state.legacy_templates:
                raise ResourceNotFoundError(f"index_template [{request.name}] missing")
            names = matching(state.legacy_templates, request.name, "index_template")
            kept = {name: body for name, body in state.legacy_templates.items() if name not in names}
            return msgspec.structs.replace(state, legacy_templates=kept)

        await self._cluster.update(f"remove-index-template [{request.name}]", change)
        return Acknowledged()

    def _refuse_existing(self, what: str, request: PutTemplate, known: dict[str, dict[str, Any]]) -> None:
        if request.create and request.name in known:
            raise IllegalArgumentError(f"{what} [{request.name}] already exists")


def _simulated(state: ClusterState, index: str) -> dict[str, Any]:
    """{} where no composable template matches."""
    chosen = composable_for(state, index)
    if chosen is None:
        return {}
    metadata = build(msgspec.structs.replace(state, indices={}), index, {})
    private = ("index.uuid", "index.creation_date", "index.provided_name", "index.version.created")
    settings = {key: value for key, value in metadata.settings.items() if key not in private}
    overlapping = [
        {"name": name, "index_patterns": template["index_patterns"]}
        for known in (state.legacy_templates, state.index_templates)
        for name, template in sorted(known.items())
        if name != chosen and applies(template, index)
    ]
    return {
        "template": {
            "settings": nest(settings),
            "mappings": metadata.mappings,
            "aliases": {name: alias_json(alias) for name, alias in metadata.aliases.items()},
        },
        "overlapping": overlapping,
    }


def _shown(template: dict[str, Any]) -> dict[str, Any]:
    inner = template.get("template")
    return template if inner is None else {**template, "template": _shown_parts(inner)}


def _shown_parts(parts: dict[str, Any]) -> dict[str, Any]:
    return {**parts, "settings": nest(parts["settings"])} if parts.get("settings") else parts
