"""`_rollover`: a new index behind an alias' write index, when conditions are met.

The new name is the old one counted up, and then index and alias change in one step under the right on the alias alone.
Whoever chooses the name, or gives the new index further aliases, needs the right to create that index, too: else a
right on one alias would reach any name. Tests: tests/index/administration/test_rollover.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hanse import clock
from hanse.cluster.broadcast import Broadcast
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import ActionRequestValidationError, IllegalArgumentError, ParsingError
from hanse.index.administration.blocks import refuse_change
from hanse.index.administration.copies import Copies
from hanse.index.administration.create import build, replaced
from hanse.index.administration.data_streams import backing, backing_name, generation
from hanse.index.administration.names import check_index_name
from hanse.index.administration.requests import CREATE, STATS_OF_COPIES, CreateIndex, Rollover
from hanse.index.service import Indices
from hanse.settings.units import parse_bytes, parse_time_s
from hanse.transport.actions import Call

_COUNTED = re.compile(r"^(.*)-(\d+)$", re.DOTALL)
_BODY_KEYS = frozenset({"conditions", "settings", "mappings", "aliases"})
_DIGITS = 6


class Measures(msgspec.Struct, frozen=True):
    """What conditions compare: of the whole index, and of its largest primary. An empty index has no size."""

    age: float
    docs: int
    size: int
    primary_shard_docs: int
    primary_shard_size: int


def count_of(text: str, name: str) -> int:
    """A number of documents in a condition."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise IllegalArgumentError(f"failed to parse condition [{name}] with value [{text}] as a number")
    return int(text)


_KINDS: dict[str, Callable[[str, str], float]] = {
    "age": parse_time_s,
    "docs": count_of,
    "size": parse_bytes,
    "primary_shard_docs": count_of,
    "primary_shard_size": parse_bytes,
}


class RolloverAction:
    def __init__(self, cluster: ClusterService, indices: Indices, broadcast: Broadcast) -> None:
        self._cluster = cluster
        self._indices = indices
        self._copies = Copies(broadcast)

    async def rollover(self, call: Call, request: Rollover) -> dict[str, Any]:
        alias = request.indices[0]
        unknown = sorted(set(request.body) - _BODY_KEYS)
        if unknown:
            raise ParsingError(f"[rollover_request] unknown field [{unknown[0]}]")
        new_body = {key: value for key, value in request.body.items() if key != "conditions"}
        state = self._cluster.state
        old = write_index(state, alias)
        stream = alias if old.data_stream == alias else ""
        new = request.new_index or (_next_backing(old) if stream else next_name(old.name))
        check_index_name(new)
        build(state, new, new_body, stream)
        conditions = request.body.get("conditions")
        met = evaluate(conditions, await self._measures(call, old)) if conditions else {}
        answer = {"old_index": old.name, "new_index": new, "dry_run": request.dry_run, "conditions": met}
        if request.dry_run or not is_due(met):
            return {"acknowledged": False, "shards_acknowledged": False, **answer, "rolled_over": False}
        by_the_caller = request.new_index is not None or bool(new_body.get("aliases"))
        if by_the_caller and stream:
            raise IllegalArgumentError(
                "aliases, mappings, and index settings may not be specified when rolling over a data stream"
                if request.new_index is None
                else "new index name may not be specified when rolling over a data stream"
            )
        if by_the_caller:
            await call.run(CREATE, CreateIndex((new,), new_body))

        def change(state: ClusterState) -> ClusterState:
            if not by_the_caller:
                state = state.with_index(build(state, new, new_body, stream))
            return turned(state, alias, old.name, new)

        await self._cluster.update(f"rollover [{alias}]", change)
        active = await self._indices.ready(new)
        return {"acknowledged": True, "shards_acknowledged": active, **answer, "rolled_over": True}

    async def _measures(self, call: Call, index: IndexMetadata) -> Measures:
        """Of the primaries, wherever they are. Raises why one cannot be measured, when its node does not say."""
        told = await self._copies.ask(call, [index.name], STATS_OF_COPIES)
        primaries = [copy.body for copy in told.of(index.name) if copy.routing.is_primary]
        if told.failed and len(primaries) < index.number_of_shards:
            raise told.failed[0].error
        docs = [body["docs"]["count"] for body in primaries]
        sizes = [body["store"]["size_in_bytes"] if body["docs"]["count"] else 0 for body in primaries]
        age = (clock.now_ms() - index.creation_date_ms) / 1000
        return Measures(age, sum(docs), sum(sizes), max(docs, default=0), max(sizes, default=0))


def write_index(state: ClusterState, alias: str) -> IndexMetadata:
    """The index that the alias is turned away from."""
    if alias in state.indices:
        raise IllegalArgumentError(
            f"rollover target [{alias}] is a [CONCRETE_INDEX] but one of [ALIAS, DATA_STREAM] was expected"
        )
    behind = [index for index in state.indices.values() if alias in index.aliases]
    chosen = [index for index in behind if index.aliases[alias].is_write_index]
    if not chosen and len(behind) == 1 and behind[0].aliases[alias].is_write_index is None:
        chosen = behind
    if not chosen:
        raise IllegalArgumentError(f"rollover target [{alias}] does not point to a write index")
    refuse_change(chosen[0])
    return chosen[0]


def next_name(old: str) -> str:
    """`logs-9` becomes `logs-000010`."""
    counted = _COUNTED.match(old)
    if counted is None:
        raise IllegalArgumentError(f"index name [{old}] does not match pattern '^.*-\\d+$'")
    return f"{counted[1]}-{int(counted[2]) + 1:0{_DIGITS}d}"


def _next_backing(old: IndexMetadata) -> str:
    return backing_name(old.data_stream, generation(old) + 1, clock.now_ms())


def evaluate(conditions: Any, measures: Measures) -> dict[str, bool]:
    """Each condition as the answer shows it, and whether it is met. Raises on unknown ones."""
    if not isinstance(conditions, Mapping):
        raise ParsingError("[conditions] must be an object")
    met = {}
    for name, value in conditions.items():
        bound, _, kind = name.partition("_")
        if bound not in ("max", "min") or kind not in _KINDS:
            raise ParsingError(f"[conditions] unknown field [{name}]")
        met[f"[{name}: {value}]"] = getattr(measures, kind) >= _KINDS[kind](str(value), name)
    if met and not any(name.startswith("[max_") for name in met):
        raise ActionRequestValidationError.of(
            "at least one max_* rollover condition must be set when using min_* conditions"
        )
    return met


def is_due(met: Mapping[str, bool]) -> bool:
    """Without conditions at once; else one `max_*` must be met, and every `min_*`."""
    if not met:
        return True
    is_over = any(holds for name, holds in met.items() if name.startswith("[max_"))
    return is_over and all(holds for name, holds in met.items() if name.startswith("[min_"))


def turned(state: ClusterState, alias: str, old_name: str, new_name: str) -> ClusterState:
    """The alias writes to the new index. It still names the old one only where its write index was marked as such."""
    old, new = write_index(state, alias), state.index(new_name)
    if old.name != old_name:
        raise IllegalArgumentError(f"rollover target [{alias}] has meanwhile been turned to [{old.name}]")
    if old.data_stream == alias:
        new = backing(new, alias, old)
    properties = old.aliases[alias]
    of_old = {name: one for name, one in old.aliases.items() if name != alias}
    if properties.is_write_index:
        of_old[alias] = msgspec.structs.replace(properties, is_write_index=False)
    of_new = {**new.aliases, alias: properties}
    for index, aliases in ((old, of_old), (new, of_new)):
        state = state.with_index(replaced(index, aliases=aliases, aliases_version=index.aliases_version + 1))
    return state
