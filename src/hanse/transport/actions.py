"""Every operation is a named action. Rooms declare actions and register handlers; only the gate runs them.

An `Action` joins Elasticsearch's action name (roles, audit and error texts are written in them) with its request and
response types and the way the gate authorizes it. Handlers receive a `Call`: who asks, which concrete indices the gate
resolved and what of them may be seen, and `call.run` for sub-actions, which pass the same gate.
Tests: tests/transport/test_actions.py; tests/house/test_one_gate.py finds any way around.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import msgspec

from hanse.transport.identity import Identity

Q = TypeVar("Q")
R = TypeVar("R")


class Scope(Enum):
    """How the gate authorizes an action."""

    CLUSTER = "cluster"
    """By cluster privileges."""
    INDEX = "index"
    """By index privileges on every name the request resolves to; the request is an `IndexRequest`."""
    COMPOSITE = "composite"
    """Bulk, mget, msearch: the role must grant the action on some name; each part is authorized as its own action."""
    AUTHENTICATED = "authenticated"
    """Any authenticated user (who am I, change my password, which privileges have I)."""
    INTERNAL = "internal"
    """Node to node only, also of another cluster: the caller must be `_system`."""
    MEMBER = "member"
    """Between the nodes of this very cluster: the caller must be `_system` on a node of its own authority."""


class Lane(Enum):
    """Which connection of a peer carries the action: a change feed never delays a search."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Action(Generic[Q, R]):
    name: str
    request: type[Q]
    response: type[R]
    scope: Scope
    lane: Lane = Lane.INTERACTIVE
    crosses: bool = False
    """The request may name indices of remote clusters (`alias:index`); the gate splits them off."""
    creates: bool = False
    """Explicit names need not exist (create index, auto-create, put follow)."""
    within: bool = False
    """A part of another action that only nodes of this cluster ask one another for, on behalf of the caller: what that
    action demanded beyond this one's name was checked where the caller came in."""

    def __repr__(self) -> str:
        return f"<Action {self.name}>"


class IndicesOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an index expression is read. Defaults are `_search`'s: open indices, wildcards may match nothing."""

    ignore_unavailable: bool = False
    allow_no_indices: bool = True
    expand_open: bool = True
    expand_closed: bool = False
    expand_hidden: bool = False
    allow_aliases_to_multiple_indices: bool = True
    forbid_closed_indices: bool = True
    ignore_aliases: bool = False


@runtime_checkable
class IndexRequest(Protocol):
    """A request the gate can resolve: `indices` is the expression's comma-separated parts; empty means all."""

    @property
    def indices(self) -> tuple[str, ...]: ...

    @property
    def options(self) -> IndicesOptions: ...


class FieldRule(msgspec.Struct, frozen=True):
    """One role's field-level security: visible when a `grant` pattern matches and no `except` pattern does."""

    grant: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()


class Access(msgspec.Struct, frozen=True):
    """What of an index the caller may see. Outer tuples are all required, of each inner tuple one suffices.

    `documents` holds query DSL objects (document-level security), `fields` field rules (field-level security);
    empty means unrestricted. One inner tuple stands for the caller's roles, another for a peer's ceiling.
    """

    documents: tuple[tuple[dict[str, Any], ...], ...] = ()
    fields: tuple[tuple[FieldRule, ...], ...] = ()

    @property
    def is_full(self) -> bool:
        return not self.documents and not self.fields


FULL_ACCESS = Access()


class Target(msgspec.Struct, frozen=True):
    """One concrete local index a request resolved to.

    `filters`: alias filters, of which one must match; empty when reached by its own name or an unfiltered alias.
    `name`: how the request named it (the alias or the index itself); `routing`: the alias' search routing.
    """

    index: str
    access: Access = FULL_ACCESS
    filters: tuple[dict[str, Any], ...] = ()
    name: str = ""
    routing: str | None = None


class Targets(msgspec.Struct, frozen=True):
    """What an index expression means for this caller: local indices, and per remote alias the expression to send."""

    local: tuple[Target, ...] = ()
    remotes: dict[str, tuple[str, ...]] = {}
    expression: tuple[str, ...] = ()
    """The local parts as the caller wrote them (for `_clusters.details.(local).indices`)."""
    has_local: bool = True
    """False when the request named remote clusters only, so nothing local is to be searched."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(target.index for target in self.local)


class Origin(msgspec.Struct, frozen=True):
    """Where a call came from. `kind` is rest, transport or local; `peer` describes the calling node's certificate."""

    kind: str = "local"
    address: str = ""
    peer: Any = None
    opaque_id: str | None = None
    cluster_uuid: str = ""
    """Which cluster the calling node says it belongs to: a claim, which its certificate has to bear out."""
    parent_task: str = ""
    """The task at the calling node, `node:number`, of which this is a part: to be believed of members only."""


class Call(msgspec.Struct):
    """What a handler gets beside its request. Created by the gate alone."""

    action: Action[Any, Any]
    identity: Identity
    origin: Origin
    targets: Targets
    run: Callable[[Action[Any, Any], Any], Awaitable[Any]]
    """Runs a sub-action as the same caller, through the gate."""
    warnings: list[str] = []
    """Texts for Warning headers of the REST answer."""
    task_id: int = 0
    ceiling: Any = None
    """What a peer's request was held against by the gate; None where nothing limits it beyond the caller's roles."""

    @property
    def onward(self) -> Identity:
        """Who asks, for another node of this cluster: with the ceiling that lies over the call here."""
        if self.ceiling is None or not self.ceiling.label:
            return self.identity
        return msgspec.structs.replace(self.identity, through=self.ceiling.label)


class ActionRegistry:
    """Name to action and handler. Rooms register at start-up (`node.py` wires); the gate looks up."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Action[Any, Any], Callable[[Call, Any], Awaitable[Any]]]] = {}

    def register(self, action: Action[Q, R], handler: Callable[[Call, Q], Awaitable[R]]) -> None:
        if action.name in self._entries:
            raise AssertionError(f"action [{action.name}] is registered twice")
        self._entries[action.name] = (action, handler)

    def handler(self, action: Action[Any, Any]) -> Callable[[Call, Any], Awaitable[Any]]:
        return self._entries[action.name][1]

    def action(self, name: str) -> Action[Any, Any] | None:
        entry = self._entries.get(name)
        return entry[0] if entry else None

    def actions(self) -> Mapping[str, Action[Any, Any]]:
        return {name: entry[0] for name, entry in self._entries.items()}


class Empty(msgspec.Struct, frozen=True):
    """A request or response without content."""


class Acknowledged(msgspec.Struct, frozen=True):
    acknowledged: bool = True
