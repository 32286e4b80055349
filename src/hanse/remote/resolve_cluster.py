"""`_resolve/cluster`: which clusters an expression names, whether they answer, and whether anything matches there.

Made to be asked before a search across clusters, so nothing fails: what is wrong with a cluster stands in its entry
(spec: remote-clusters.md §7). Each cluster resolves and authorizes its own part. Tests: tests/remote/test_resolve.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from hanse.errors import ConnectTransportError, HanseError, ReceiveTimeoutError, TimeoutElapsedError
from hanse.remote.clusters_section import LOCAL
from hanse.remote.registry import RemoteClusters
from hanse.settings.node_settings import MINIMUM_INDEX_VERSION, MINIMUM_WIRE_VERSION
from hanse.transport.actions import Action, ActionRegistry, Call, IndicesOptions, Scope

EVERY_REMOTE = ("*:*",)
"""What stands for an expression where none is given: all remote clusters, nothing local."""


class ResolveCluster(msgspec.Struct, frozen=True, omit_defaults=True):
    """The gate leaves out what is missing (`options`); `names_must_exist` says whether that is then an error.

    Without `matches` only the clusters are looked at, not their indices.
    """

    indices: tuple[str, ...]
    options: IndicesOptions = IndicesOptions(ignore_unavailable=True, forbid_closed_indices=False)
    names_must_exist: bool = True
    matches: bool = True
    timeout_s: float | None = None


RESOLVE_CLUSTER: Action[ResolveCluster, dict[str, Any]] = Action(
    "indices:admin/resolve/cluster", ResolveCluster, dict, Scope.INDEX, crosses=True
)


class ClusterResolution:
    def __init__(self, remotes: RemoteClusters, version: str) -> None:
        self._remotes = remotes
        self._version = version

    async def resolve(self, call: Call, request: ResolveCluster) -> dict[str, Any]:
        """Entries by alias, this cluster's own under `(local)`."""
        remotes = call.targets.remotes
        found = await asyncio.gather(*(self._remote(call, alias, names, request) for alias, names in remotes.items()))
        answer = {LOCAL: self._local(call, request)} if call.targets.has_local else {}
        return {**answer, **dict(zip(remotes, found, strict=True))}

    def _local(self, call: Call, request: ResolveCluster) -> dict[str, Any]:
        entry: dict[str, Any] = {"connected": True, "skip_unavailable": False}
        missing = _missing(call) if request.names_must_exist else None
        if missing is not None:
            return {**entry, "error": f"no such index [{missing}]"}
        if request.matches:
            entry["matching_indices"] = bool(call.targets.local)
        entry["version"] = {
            "number": self._version,
            "build_flavor": "default",
            "minimum_wire_compatibility_version": MINIMUM_WIRE_VERSION,
            "minimum_index_compatibility_version": MINIMUM_INDEX_VERSION,
        }
        return entry

    async def _remote(self, call: Call, alias: str, names: tuple[str, ...], request: ResolveCluster) -> dict[str, Any]:
        options = msgspec.structs.replace(request.options, ignore_unavailable=not request.names_must_exist)
        asked = msgspec.structs.replace(request, indices=names, options=options)
        skips = {"skip_unavailable": self._remotes.skip_unavailable(alias)}
        try:
            answer = await self._remotes.call(
                alias,
                RESOLVE_CLUSTER,
                asked,
                call.identity,
                timeout_s=request.timeout_s,
                opaque_id=call.origin.opaque_id,
            )
        except ConnectTransportError:
            return {"connected": False, **skips}
        except (ReceiveTimeoutError, TimeoutElapsedError):
            late = "Request timed out before receiving a response from the remote cluster"
            return {"connected": False, **skips, "error": late}
        except HanseError as error:
            return {"connected": True, **skips, "error": error.reason}
        return {**answer.get(LOCAL, {}), "connected": True, **skips}


def _missing(call: Call) -> str | None:
    """The first name of the expression, without a wildcard or date math, that the caller may not see or that is not."""
    found = {name for target in call.targets.local for name in (target.index, target.name)}
    for part in call.targets.expression:
        if not any(mark in part for mark in "*<,") and not part.startswith("-") and part not in ("_all", *found):
            return part
    return None


def register(registry: ActionRegistry, remotes: RemoteClusters, version: str) -> None:
    registry.register(RESOLVE_CLUSTER, ClusterResolution(remotes, version).resolve)
