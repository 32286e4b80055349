"""The commands of `_cluster/reroute`: what an operator does to single copies, as Elasticsearch's reference has them.

A command that the rules forbid changes nothing and says why. Tests: tests/cluster/allocation/test_commands.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from hanse.cluster.allocation.copies import assign, begin_anew, begin_move, lose
from hanse.cluster.allocation.deciders import Decision, Question, decisions
from hanse.cluster.allocation.draft import Draft, Shard, replaced
from hanse.cluster.requests import RerouteCommand
from hanse.cluster.routing import Unassigned
from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.errors import IllegalArgumentError, IndexNotFoundError

_FIELDS = {
    "move": ("from_node", "to_node"),
    "cancel": ("node", "allow_primary"),
    "allocate_replica": ("node",),
    "allocate_stale_primary": ("node", "accept_data_loss"),
    "allocate_empty_primary": ("node", "accept_data_loss"),
}
COMMANDS = {kind: ("index", "shard", *fields) for kind, fields in _FIELDS.items()}
"""By command the fields it takes."""


def commanded(
    state: ClusterState, commands: Iterable[RerouteCommand], now_ms: int, *, explain: bool = False
) -> tuple[ClusterState, list[dict[str, Any]]]:
    """The state after the commands, and what was decided about each.

    Raises IllegalArgumentError for a command that is not possible, and with `explain` only for one that names a node
    or shard that is not there; IndexNotFoundError.
    """
    draft = Draft(state, now_ms)
    explanations = []
    for command in commands:
        decided = _carried_out(draft, command)
        if not explain and (refused := [one for one in decided if one.decision == "NO"]):
            raise IllegalArgumentError(refused[0].explanation)
        explanations.append(_explained(command, decided))
    return draft.result(), explanations


def retried(state: ClusterState, now_ms: int) -> ClusterState:
    """Copies that failed too often may be tried again."""
    draft = Draft(state, now_ms)
    for at in list(draft.shards()):
        shard = draft[at]
        draft[at] = replaced(
            shard,
            copies=tuple(replaced(copy, failed_moves=0) for copy in shard.copies),
            unassigned=tuple(replaced(info, failed_allocations=0) for info in shard.unassigned),
        )
    return draft.result()


def _carried_out(draft: Draft, command: RerouteCommand) -> list[Decision]:
    """What was decided; without a NO among it the command has been carried out."""
    if command.index not in draft.indices:
        raise IndexNotFoundError.of(command.index)
    at = Shard(command.index, command.shard)
    if at not in draft:
        raise IllegalArgumentError(f"no such shard [{command.index}][{command.shard}]")
    return _COMMANDS[command.kind](draft, at, command)


def _move(draft: Draft, at: Shard, command: RerouteCommand) -> list[Decision]:
    source, target = _node(draft, command.from_node), _node(draft, command.to_node)
    copy = draft[at].on(source.id)
    said = f"[move_allocation] can't move {at.number}, from {_shown(source)}, to {_shown(target)}"
    if copy is None:
        return _no(command, f"{said}, failed to find it on node {_shown(source)}")
    if copy.state != "STARTED" or draft[at].active_primary is None:
        return _no(command, f"{said}, since its not started (state = {copy.state})")
    asked = Question(at, draft.indices[at.index], draft[at], target, copy.is_primary, moving=copy)
    decided = list(decisions(draft, asked))
    if any(one.decision == "NO" for one in decided):
        reasons = "".join(f"[{one.decision}({one.explanation})]" for one in decided if one.decision == "NO")
        return [*_no(command, f"{said}, since its not allowed, reason: {reasons}"), *decided]
    begin_move(draft, at, copy, target.id)
    return decided


def _cancel(draft: Draft, at: Shard, command: RerouteCommand) -> list[Decision]:
    """A copy that fills up or moves is given up; a started one is dropped and, as a rule, assigned again."""
    node = _node(draft, command.node)
    copy = draft[at].on(node.id)
    said = f"[cancel_allocation] can't cancel [{at.index}][{at.number}] on node {_shown(node)}"
    if copy is None:
        return _no(command, f"{said}, failed to find it")
    if copy.is_primary and not command.allow_primary:
        return _no(command, f"{said}, shard is primary and {copy.state.lower()}")
    info = Unassigned("REROUTE_CANCELLED", draft.now_ms, details="cancelled by a command", last_node=node.id)
    lose(draft, at, copy, info)
    return _yes(command, f"shard [{at.index}][{at.number}] on node {_shown(node)} can be cancelled")


def _allocate_replica(draft: Draft, at: Shard, command: RerouteCommand) -> list[Decision]:
    node = _node(draft, command.node)
    shard = draft[at]
    said = f"[allocate_replica] allocation of [{at.index}][{at.number}] on node {_shown(node)} is not allowed"
    info = next((info for info in shard.unassigned if not info.is_primary), None)
    if shard.active_primary is None:
        return _no(
            command,
            f"[allocate_replica] trying to allocate a replica shard [{at.index}][{at.number}], while "
            "corresponding primary shard is still unassigned",
        )
    if info is None:
        return _no(
            command,
            f"[allocate_replica] all copies of [{at.index}][{at.number}] are already assigned. Use the "
            "move allocation command instead",
        )
    decided = list(decisions(draft, Question(at, draft.indices[at.index], shard, node, False, info=info)))
    if any(one.decision == "NO" for one in decided):
        reasons = "".join(f"[{one.decision}({one.explanation})]" for one in decided if one.decision == "NO")
        return [*_no(command, f"{said}, reason: {reasons}"), *decided]
    assign(draft, at, info, node.id)
    return decided


def _allocate_stale_primary(draft: Draft, at: Shard, command: RerouteCommand) -> list[Decision]:
    return _allocate_primary(draft, at, command, empty=False)


def _allocate_empty_primary(draft: Draft, at: Shard, command: RerouteCommand) -> list[Decision]:
    return _allocate_primary(draft, at, command, empty=True)


def _allocate_primary(draft: Draft, at: Shard, command: RerouteCommand, *, empty: bool) -> list[Decision]:
    """What the other copies, or all of them, held is lost by it, so that must have been accepted.

    A primary that has failed and is being tried again counts as one without a node.
    """
    node = _node(draft, command.node)
    shard = draft[at]
    retrying = shard.primary if shard.active_primary is None else None
    info = next((info for info in shard.unassigned if info.is_primary), None)
    if retrying is not None and retrying.unassigned_info is not None and retrying.unassigned_info.failed_allocations:
        info = retrying.unassigned_info
    if info is None:
        return _no(command, f"[{command.kind}] primary [{at.index}][{at.number}] is already assigned")
    if not node.holds_data:
        return _no(command, f"[{command.kind}] node {_shown(node)} does not have the role [data]")
    if not empty and not shard.in_sync:
        return _no(
            command,
            f"[{command.kind}] trying to allocate an existing primary shard [{at.index}][{at.number}], "
            "while no such shard has ever been active",
        )
    if not command.accept_data_loss and (not empty or shard.in_sync):
        return _no(
            command,
            f"[{command.kind}] allocating an empty primary for [{at.index}][{at.number}] can result in "
            "data loss. Please confirm by setting the accept_data_loss parameter to true",
        )
    if retrying is not None:
        lose(draft, at, retrying, info)
        info = next(info for info in draft[at].unassigned if info.is_primary)
    begin_anew(draft, at, info, node.id, empty=empty)
    return _yes(command, "the primary begins anew from this node")


_Command = Callable[[Draft, Shard, RerouteCommand], list[Decision]]
_COMMANDS: dict[str, _Command] = {
    "move": _move,
    "cancel": _cancel,
    "allocate_replica": _allocate_replica,
    "allocate_stale_primary": _allocate_stale_primary,
    "allocate_empty_primary": _allocate_empty_primary,
}


def _node(draft: Draft, name: str) -> NodeMetadata:
    """By id or name. Raises IllegalArgumentError."""
    found = [node for node in draft.nodes.values() if name in (node.id, node.name)]
    if not found:
        raise IllegalArgumentError(f"failed to resolve [{name}], no matching nodes")
    return found[0]


def _shown(node: NodeMetadata) -> str:
    return f"{{{node.name}}}{{{node.id}}}"


def _no(command: RerouteCommand, explanation: str) -> list[Decision]:
    return [Decision(_decider(command), "NO", explanation)]


def _yes(command: RerouteCommand, explanation: str) -> list[Decision]:
    return [Decision(_decider(command), "YES", explanation)]


def _decider(command: RerouteCommand) -> str:
    return f"{command.kind}_allocation_command" if command.kind in ("move", "cancel") else command.kind


def _explained(command: RerouteCommand, decided: list[Decision]) -> dict[str, Any]:
    return {
        "command": command.kind,
        "parameters": {name: getattr(command, name) for name in COMMANDS[command.kind]},
        "decisions": [msgspec.to_builtins(one) for one in decided],
    }
