"""How handlers of this room ask all nodes, which they do not know: the room of the cluster gives the way.

Tests: tests/security/test_task_actions.py, tests/journeys/test_every_node.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

from hanse.errors import HanseError
from hanse.transport.actions import Action, Call


class Answers(Protocol):
    """By node id: what was answered, and why there was no answer."""

    @property
    def answers(self) -> Mapping[str, Any]: ...

    @property
    def failures(self) -> Mapping[str, HanseError]: ...

    def shown_failures(self) -> list[dict[str, Any]]: ...

    def header(self) -> dict[str, Any]: ...


AskNodes = Callable[[Call, tuple[str, ...], Action[Any, Any], Any, float | None], Awaitable[Answers]]
"""Call, node filters (none: every node), action, request, and how long a node may take in seconds."""


class _Alone(NamedTuple):
    answers: Mapping[str, Any]
    failures: Mapping[str, HanseError] = {}

    def shown_failures(self) -> list[dict[str, Any]]:
        return []

    def header(self) -> dict[str, Any]:
        return {"_nodes": {"total": 1, "successful": 1, "failed": 0}}


def only(node_id: Callable[[], str]) -> AskNodes:
    """The way of a node that stands alone."""

    async def ask(
        call: Call, filters: tuple[str, ...], action: Action[Any, Any], request: Any, timeout_s: float | None
    ) -> Answers:
        return _Alone({node_id(): await call.run(action, request)})

    return ask
