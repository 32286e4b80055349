"""Asks several nodes the same thing, side by side, and gathers what they answer and who did not.

A node that is gone, slow or refuses is an entry among the failures and never an error of the whole. Each is asked on
behalf of the caller, so that its own gate judges again; this node takes the same way without the wire.
Tests: tests/cluster/test_broadcast.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from hanse.cluster.node_selection import chosen_nodes
from hanse.cluster.nodes import Nodes
from hanse.cluster.updates import ClusterService
from hanse.errors import HanseError, ReceiveTimeoutError
from hanse.transport.actions import Action, Call

Q = TypeVar("Q")
R = TypeVar("R")

TIMEOUT_S = 30.0
"""How long a node may take when the request does not say."""


@dataclass(slots=True)
class Gathered(Generic[R]):
    """By node id: what was answered, and why there was no answer. Both in the order in which the nodes were named."""

    answers: dict[str, R] = field(default_factory=dict)
    failures: dict[str, HanseError] = field(default_factory=dict)

    def lacking(self, more: Mapping[str, HanseError]) -> Gathered[R]:
        """The same without nodes that left something else unanswered."""
        answers = {node: answer for node, answer in self.answers.items() if node not in more}
        return Gathered(answers, {**self.failures, **more})

    def header(self) -> dict[str, Any]:
        """The member `_nodes` of Elasticsearch's answers; `failures` only where there are some."""
        counts: dict[str, Any] = {
            "total": len(self.answers) + len(self.failures),
            "successful": len(self.answers),
            "failed": len(self.failures),
        }
        if self.failures:
            counts["failures"] = self.shown_failures()
        return {"_nodes": counts}

    def shown_failures(self) -> list[dict[str, Any]]:
        return [failed_node(node, error) for node, error in self.failures.items()]


def failed_node(node: str, error: HanseError) -> dict[str, Any]:
    """How Elasticsearch shows a node that did not answer."""
    return {
        "type": "failed_node_exception",
        "reason": f"Failed node [{node}]",
        "node_id": node,
        "caused_by": {"type": error.name, "reason": error.reason},
    }


class Broadcast:
    def __init__(self, cluster: ClusterService, nodes: Nodes | None = None) -> None:
        """Without `nodes` this node stands alone: whoever is asked, it is this one."""
        self.cluster = cluster
        self._nodes = nodes

    @property
    def own_id(self) -> str:
        if self._nodes is not None:
            return self._nodes.own_id
        return next(iter(self.cluster.state.nodes), "")

    async def ask(
        self, call: Call, node_ids: Iterable[str], action: Action[Q, R], request: Q, *, timeout_s: float | None = None
    ) -> Gathered[R]:
        """`request` goes to each of the nodes; one that has not answered after `timeout_s` has failed."""
        named = list(dict.fromkeys(node_ids))
        limit_s = TIMEOUT_S if timeout_s is None else timeout_s
        outcomes: list[R | HanseError] = await asyncio.gather(
            *(self._ask_one(call, node, action, request, limit_s) for node in named)
        )
        gathered: Gathered[R] = Gathered()
        for node, outcome in zip(named, outcomes, strict=True):
            if isinstance(outcome, HanseError):
                gathered.failures[node] = outcome
            else:
                gathered.answers[node] = outcome
        return gathered

    async def ask_chosen(
        self, call: Call, filters: tuple[str, ...], action: Action[Q, R], request: Q, timeout_s: float | None = None
    ) -> Gathered[R]:
        """The same for the nodes that node filters mean; without any, for all."""
        chosen = chosen_nodes(self.cluster.state, filters, self.own_id)
        return await self.ask(call, [node.id for node in chosen], action, request, timeout_s=timeout_s)

    async def _ask_one(self, call: Call, node: str, action: Action[Any, Any], request: Any, timeout_s: float) -> Any:
        """The answer, or the HanseError why there is none."""
        try:
            async with asyncio.timeout(timeout_s):
                if self._nodes is None or node == self._nodes.own_id:
                    return await call.run(action, request)
                return await self._nodes.forward(node, call, action, request, timeout_s=timeout_s)
        except TimeoutError:
            return ReceiveTimeoutError(f"[{node}][{action.name}] did not answer after [{timeout_s:g}s]")
        except HanseError as error:
            return error
