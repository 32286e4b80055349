"""Index administration as a node has it: state on disk, shards, and every action behind a gate without security."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.index.shards import node

from hanse.cluster.broadcast import Broadcast
from hanse.cluster.names import ClusterNames
from hanse.cluster.security_entries import ClusterSecurityStore
from hanse.cluster.state import IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.index.administration import register, requests
from hanse.index.administration.requests import (
    EVERY,
    AliasAction,
    ByNames,
    CreateIndex,
    GetAliases,
    PutMapping,
    PutSettings,
    UpdateAliases,
)
from hanse.index.primaries import Primaries
from hanse.index.refreshing import Refreshing
from hanse.index.service import Indices
from hanse.security.gate import Gate
from hanse.security.role_store import RoleStore
from hanse.transport.actions import Action, ActionRegistry, Origin
from hanse.transport.identity import Identity

ANYBODY = Identity("anybody", ())


class Administration:
    def __init__(self, cluster: ClusterService, indices: Indices) -> None:
        self.cluster = cluster
        self.indices = indices
        self.registry = ActionRegistry()
        register.register(self.registry, cluster, indices, Refreshing(Primaries(cluster, indices)), Broadcast(cluster))
        self.gate = Gate(
            registry=self.registry,
            catalogue=ClusterNames(lambda: cluster.state),
            realms=cast(Any, None),
            roles=RoleStore(ClusterSecurityStore(cluster)),
            enabled=False,
        )

    async def run(self, action: Action[Any, Any], request: Any) -> Any:
        return await self.gate.run(action, request, ANYBODY, Origin())

    def index(self, name: str) -> IndexMetadata:
        return self.cluster.state.indices[name]

    async def create(self, name: str, **body: Any) -> IndexMetadata:
        await self.run(requests.CREATE, CreateIndex((name,), body))
        return self.index(name)

    async def put_mapping(self, names: str, body: dict[str, Any]) -> None:
        await self.run(requests.PUT_MAPPING, PutMapping(tuple(names.split(",")), body))

    async def put_settings(self, names: str, body: dict[str, Any], **how: bool) -> None:
        await self.run(requests.PUT_SETTINGS, PutSettings(tuple(names.split(",")), body, **how))

    async def aliases(self, *actions: AliasAction) -> None:
        await self.run(requests.UPDATE_ALIASES, UpdateAliases(actions))

    async def get_aliases(self, *aliases: str, indices: tuple[str, ...] = ()) -> dict[str, Any]:
        return cast(dict[str, Any], await self.run(requests.GET_ALIASES, GetAliases(indices, aliases, EVERY)))

    async def by_names(self, action: Action[Any, Any], *names: str, **options: Any) -> Any:
        return await self.run(action, ByNames(names, **options))


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Administration]:
    async with node(tmp_path) as made:
        yield Administration(made.cluster, made.indices)


def add(index: str, *aliases: str, **body: Any) -> AliasAction:
    return AliasAction("add", (index,), aliases, body)


def remove(index: str, *aliases: str, must_exist: bool | None = None) -> AliasAction:
    return AliasAction("remove", tuple(index.split(",")), aliases, must_exist=must_exist)
