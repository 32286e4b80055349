"""The cluster state: immutable values. `cluster/updates.py` is the only way to change them.

Tests: tests/cluster/test_state.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.cluster.routing import RoutingTable
from hanse.errors import IndexNotFoundError
from hanse.settings.registry import RawValue, Settings


class AliasMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    filter: dict[str, Any] | None = None
    index_routing: str | None = None
    search_routing: str | None = None
    is_write_index: bool | None = None
    is_hidden: bool | None = None


class IndexMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """One index. `settings` is flat with the `index.` prefix; `mappings` is the mapping body as the API shows it.

    `slots` gives each mapped field its slot in the search index (design: slots), so that all copies agree; the
    mapping code owns its content. The four versions rise by one with each change of their part; a follower compares.
    `data_stream`: which one it is a backing index of; that is among its aliases, too.
    """

    name: str
    uuid: str
    settings: dict[str, RawValue]
    mappings: dict[str, Any] = {}
    aliases: dict[str, AliasMetadata] = {}
    state: str = "open"
    number_of_shards: int = 1
    number_of_replicas: int = 1
    creation_date_ms: int = 0
    version: int = 1
    mapping_version: int = 1
    settings_version: int = 1
    aliases_version: int = 1
    primary_terms: tuple[int, ...] = (1,)
    slots: dict[str, Any] = {}
    custom: dict[str, dict[str, Any]] = {}
    data_stream: str = ""

    @property
    def shown_aliases(self) -> dict[str, AliasMetadata]:
        """Without the data stream's, which is shown as what it is."""
        return {name: alias for name, alias in self.aliases.items() if name != self.data_stream}

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    @property
    def is_hidden(self) -> bool:
        return self.settings.get("index.hidden") == "true"

    @property
    def is_follower(self) -> bool:
        """A follower index refuses direct writes and takes the leader's seq_no instead of giving its own."""
        return self.settings.get("index.xpack.ccr.following_index") == "true"

    @property
    def typed_settings(self) -> Settings:
        return Settings(self.settings)


class NodeMetadata(msgspec.Struct, frozen=True):
    """A member as other nodes and clients see it. Addresses are publish addresses, `host:port`."""

    id: str
    name: str
    transport_address: str
    http_address: str
    roles: tuple[str, ...] = ("data", "ingest", "master", "remote_cluster_client")
    attributes: dict[str, str] = {}
    version: str = ""
    ephemeral_id: str = ""

    @property
    def holds_data(self) -> bool:
        """Tiers are not told apart: any of their roles makes a data node."""
        return any(role == "data" or role.startswith("data_") for role in self.roles)

    @property
    def is_remote_client(self) -> bool:
        """It may call other clusters."""
        return "remote_cluster_client" in self.roles


class ClusterState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything the cluster agrees on. `customs` holds what upper rooms keep here under a key of their own."""

    cluster_name: str
    cluster_uuid: str
    version: int = 0
    indices: dict[str, IndexMetadata] = {}
    index_templates: dict[str, dict[str, Any]] = {}
    component_templates: dict[str, dict[str, Any]] = {}
    legacy_templates: dict[str, dict[str, Any]] = {}
    persistent: dict[str, RawValue] = {}
    transient: dict[str, RawValue] = {}
    users: dict[str, dict[str, Any]] = {}
    roles: dict[str, dict[str, Any]] = {}
    customs: dict[str, dict[str, Any]] = {}
    nodes: dict[str, NodeMetadata] = {}
    master_node: str | None = None
    routing: RoutingTable = {}

    def index(self, name: str) -> IndexMetadata:
        """Raises IndexNotFoundError: a change may come after another one deleted the index."""
        found = self.indices.get(name)
        if found is None:
            raise IndexNotFoundError.of(name)
        return found

    def with_index(self, index: IndexMetadata) -> ClusterState:
        """The very same state when the index is the one it holds, so that it makes no new version."""
        if self.indices.get(index.name) is index:
            return self
        return msgspec.structs.replace(self, indices={**self.indices, index.name: index})

    def without_index(self, name: str) -> ClusterState:
        return msgspec.structs.replace(self, indices={k: v for k, v in self.indices.items() if k != name})

    def with_custom(self, key: str, value: dict[str, Any] | None) -> ClusterState:
        customs = {k: v for k, v in self.customs.items() if k != key}
        return msgspec.structs.replace(self, customs=customs if value is None else {**customs, key: value})
