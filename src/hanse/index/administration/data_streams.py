"""Data streams: hidden backing indices under one name, to which documents are only added.

A stream has no state of its own. Its backing indices name it (`IndexMetadata.data_stream`) and carry it as an alias
whose write index is the newest of them, so that rights, routing, searches within and across clusters and rollover are
those of aliases; what differs is who may make one (a template says so), what may be written, and how it is shown.
Tests: tests/index/administration/test_data_streams.py, tests/journeys/test_data_streams.py.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from hanse.cluster.state import AliasMetadata, ClusterState, IndexMetadata
from hanse.errors import IllegalArgumentError
from hanse.index.administration.templates import composable_for
from hanse.index.mapping.parameters import TIMESTAMP
from hanse.settings.registry import RawValue

PREFIX = ".ds-"
_GENERATION = re.compile(r"-(\d{6,})$")


def template_of(state: ClusterState, name: str) -> str | None:
    """The composable template under which a name is a data stream's; None where it is not."""
    template = composable_for(state, name)
    return template if template is not None and state.index_templates[template].get("data_stream") is not None else None


def backing_indices(state: ClusterState, stream: str) -> list[IndexMetadata]:
    """Oldest first; the last one takes what is written. Empty when there is no such stream."""
    return sorted((one for one in state.indices.values() if one.data_stream == stream), key=generation)


def generation(index: IndexMetadata) -> int:
    counted = _GENERATION.search(index.name)
    return int(counted[1]) if counted is not None else 0


def backing_name(stream: str, number: int, now_ms: int) -> str:
    """`.ds-logs-2026.11.29-000001`"""
    return f"{PREFIX}{stream}-{datetime.fromtimestamp(now_ms / 1000, UTC):%Y.%m.%d}-{number:06d}"


def backing(index: IndexMetadata, stream: str, before: IndexMetadata | None = None) -> IndexMetadata:
    """A new index as the stream's newest. It takes over the aliases of the one before, which are the stream's."""
    inherited = {} if before is None else before.shown_aliases
    alias = AliasMetadata(is_write_index=True)
    return msgspec.structs.replace(index, data_stream=stream, aliases={**index.aliases, **inherited, stream: alias})


def stream_settings(settings: dict[str, RawValue]) -> dict[str, RawValue]:
    """Nobody means a backing index by a wildcard unless he says so."""
    return {**settings, "index.hidden": "true"}


def stream_mappings(updates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the field that every document of a stream has. Raises IllegalArgumentError when it is no date."""
    given = [update.get("properties", {}).get(TIMESTAMP) for update in updates]
    types = [field.get("type", "object") for field in given if field is not None]
    if types and types[-1] not in ("date", "date_nanos"):
        raise IllegalArgumentError(
            f"data stream timestamp field [{TIMESTAMP}] is of type [{types[-1]}], but [date,date_nanos] is expected"
        )
    field = {} if types else {"properties": {TIMESTAMP: {"type": "date"}}}
    return [*updates, {"_data_stream_timestamp": {"enabled": True}, **field}]


def refuse_stream_name(state: ClusterState, name: str) -> None:
    """An index may not have a name under which a template makes data streams."""
    template = template_of(state, name)
    if template is not None:
        raise IllegalArgumentError(
            f"cannot create index with name [{name}], because it matches with template [{template}] that creates data "
            f"streams only, use create data stream api instead"
        )


def is_stream(state: ClusterState, name: str, index: str) -> bool:
    """Whether the index was named by that of its stream."""
    return index in state.indices and name == state.indices[index].data_stream


def refuse_overwriting(state: ClusterState, name: str, index: str, op: str) -> None:
    """Through the name of a stream documents are only added; its backing indices take other writes."""
    if op != "create" and is_stream(state, name, index):
        raise IllegalArgumentError("only write ops with an op_type of create are allowed in data streams")


def refuse_newest(state: ClusterState, index: IndexMetadata) -> None:
    """What takes the writes of a stream goes with the stream alone."""
    if index.data_stream and backing_indices(state, index.data_stream)[-1].name == index.name:
        raise IllegalArgumentError(
            f"index [{index.name}] is the write index for data stream [{index.data_stream}] and cannot be deleted"
        )
