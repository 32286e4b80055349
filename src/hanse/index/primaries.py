"""Finds the primary of a shard and does a piece of work there, on whatever node that is.

While a shard has no primary, or the one that was asked is none any more, the work waits and is tried again: nothing
was done then. When the connection is lost under way nobody knows whether it was done, and only work that may be
repeated is.
Tests: tests/index/test_primaries.py.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hanse.cluster.nodes import Nodes
from hanse.cluster.updates import ClusterService
from hanse.errors import (
    ConnectTransportError,
    HanseError,
    IndexClosedError,
    IndexNotFoundError,
    NodeDisconnectedError,
    ReceiveTimeoutError,
    RetryOnPrimaryError,
    ShardFailedError,
    UnavailableShardsError,
)
from hanse.index.index_service import IndexService
from hanse.index.service import Indices
from hanse.index.shard import Shard

R = TypeVar("R")

TIMEOUT_S = 60.0
"""How long a write waits for its primary when the request does not say."""
RETRY_S = 0.1
_UNKNOWN = (NodeDisconnectedError, ReceiveTimeoutError)
_NOT_DONE = (RetryOnPrimaryError, ConnectTransportError, ShardFailedError)


class Primaries:
    def __init__(
        self,
        cluster: ClusterService,
        indices: Indices,
        nodes: Nodes | None = None,
        is_in_touch: Callable[[], bool] = lambda: True,
    ) -> None:
        """Without `nodes` this node stands alone. `is_in_touch`: it would know if its primaries were none any more."""
        self.is_in_touch = is_in_touch
        self.cluster = cluster
        self.indices = indices
        self.nodes = nodes

    async def run(
        self,
        service: IndexService,
        number: int,
        here: Callable[[Shard], Awaitable[R]],
        there: Callable[[str], Awaitable[R]],
        *,
        timeout_s: float = TIMEOUT_S,
        may_repeat: bool = False,
    ) -> R:
        """`here` gets the shard where this node has the primary, `there` the id of the node that has it.

        Raises UnavailableShardsError (503) when the time is over, and at once when nobody knows whether the work was
        done and it may not be repeated.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            primary = service.routing(number).active_primary
            try:
                if primary is None:
                    raise RetryOnPrimaryError("primary shard is not active")
                if self.nodes is None or primary.node == self.nodes.own_id:
                    return await here(service.shard(number))
                return await there(primary.node)
            except _UNKNOWN as error:
                if not may_repeat:
                    raise UnavailableShardsError(
                        f"[{service.name}][{number}] the primary was lost before it answered; it is not known whether "
                        f"the operation was done",
                        caused_by=error,
                    ) from error
                failure: HanseError = error
            except _NOT_DONE as error:
                failure = error
            if time.monotonic() >= deadline or self._is_alone_and_refusing(service, number, failure):
                raise self._gave_up(service, number, timeout_s, failure) from failure
            await self._change(service, deadline)

    def _is_alone_and_refusing(self, service: IndexService, number: int, failure: HanseError) -> bool:
        """A shard that failed here for good comes back by no waiting."""
        copy = service.copies.get(number)
        return copy is not None and copy.failure is not None and failure is copy.failure

    def _gave_up(self, service: IndexService, number: int, timeout_s: float, failure: HanseError) -> HanseError:
        shards = self.cluster.state.routing.get(service.name, ())
        details = next(
            (one.details for one in (shards[number].unassigned if number < len(shards) else ()) if one.is_primary), None
        )
        why = f": {details}" if details else ""
        return UnavailableShardsError(
            f"[{service.name}][{number}] primary shard is not active{why} Timeout: [{timeout_s:g}s]", caused_by=failure
        )

    async def _change(self, service: IndexService, deadline: float) -> None:
        """Returns at the next change of the index or its routing, or after a moment. Raises when it is gone."""
        index = self.cluster.state.indices.get(service.name)
        if index is None:
            raise IndexNotFoundError.of(service.name)
        if not index.is_open:
            raise IndexClosedError("closed", index_uuid=index.uuid, index=index.name)
        before = self.cluster.state.routing.get(service.name)
        left_s = max(0.0, deadline - time.monotonic())
        await self.cluster.until(lambda state: state.routing.get(service.name) is not before, min(RETRY_S, left_s))

    async def enough_copies(self, service: IndexService, number: int, wanted: str, timeout_s: float) -> None:
        """Waits until a shard has so many active copies (`all`: every one it shall have). UnavailableShardsError."""
        deadline = time.monotonic() + timeout_s
        while True:
            needed = service.metadata.number_of_replicas + 1 if wanted == "all" else int(wanted)
            active = sum(1 for _ in service.routing(number).active())
            if active >= needed:
                return
            if time.monotonic() >= deadline:
                raise UnavailableShardsError(
                    f"[{service.name}][{number}] Not enough active copies to meet shard count of [{wanted.upper()}] "
                    f"(have {active}, needed {needed}). Timeout: [{timeout_s:g}s]"
                )
            await self._change(service, deadline)
