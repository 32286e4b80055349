"""What this cluster's roles and a peer's ceiling make of a question, link by link: the local part of `_explain`.

Asks the same permission, resolution and ceiling that the gate decides with. An administrator of this cluster is shown
every link. A peer that asks through its ceiling (`for_peer`) is told what it could find out by trying requests with
the same role names, and nothing more: of roles it has not to name, of names outside its ceiling and of what roles say
beyond the name that was asked there is no word.
Tests: tests/security/test_explanation.py, tests/journeys/test_peer_ceilings.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hanse import clock
from hanse.errors import HanseError, IllegalArgumentError, SecurityError
from hanse.security import names
from hanse.security.ceilings import Ceiling
from hanse.security.permission import Permission
from hanse.security.privileges import cluster_privileges_granting, index_privileges_granting, is_cluster_action
from hanse.security.refusals import Refusals
from hanse.security.role_store import RoleStore
from hanse.security.store import NameCatalogue
from hanse.transport.actions import Access, ActionRegistry, IndicesOptions, Target
from hanse.transport.identity import Identity

NAMES_MAX = 100
"""Names of one expression that are explained one by one."""
PARTS_MAX = 100
"""Parts of an expression that a peer may ask about at once."""
SEARCH_ACTION = "indices:data/read/search"
_ALL_NAMES = IndicesOptions(expand_closed=True, expand_hidden=True)
_REACHED = IndicesOptions(forbid_closed_indices=False)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be allowed: every one of these actions. `whole`: on indices of which nothing may be hidden."""

    shown: str
    index: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()
    whole: bool = False

    @classmethod
    def of(cls, text: str, registry: ActionRegistry) -> Question:
        """An action's name, or `search` or `replication`: what a search or a follower needs on the side it reads."""
        if text in _HALVES:
            return _HALVES[text]
        if registry.action(text) is None:
            raise IllegalArgumentError(f"unknown action [{text}]")
        return cls(text, cluster=(text,)) if is_cluster_action(text) else cls(text, index=(text,))

    @property
    def granted_by(self) -> dict[str, list[str]]:
        """Of each action the named privileges that grant it, least powerful first; one that grants all comes first."""
        granted: dict[str, list[str]] = {}
        for kind, actions, granting in (
            ("cluster", self.cluster, cluster_privileges_granting),
            ("index", self.index, index_privileges_granting),
        ):
            if actions:
                others = [set(granting(action)) for action in actions]
                granted[kind] = [name for name in granting(actions[0]) if all(name in one for one in others)]
        return granted


_HALVES = {
    "search": Question(SEARCH_ACTION, index=(SEARCH_ACTION,)),
    "replication": Question(
        "replication",
        index=(
            "indices:data/read/xpack/ccr/leader_metadata",
            "indices:monitor/stats",
            "indices:data/read/xpack/ccr/shard_changes",
        ),
        cluster=("cluster:monitor/state",),
        whole=True,
    ),
}
"""The two halves of a ceiling. A follower reads its leader's metadata, which asks for the other two, and then its feed
(replication/leader.py); it is refused where documents or fields are hidden."""


class ExplainedRights:
    """Judges identities. Sections are `{"allowed", "why"?, "roles", "peer"?, "expression"?, "names"?, "reaches"?}`."""

    def __init__(self, registry: ActionRegistry, catalogue: NameCatalogue, roles: RoleStore) -> None:
        self._registry = registry
        self._catalogue = catalogue
        self._roles = roles
        self._refusals = Refusals(roles)

    def cluster(
        self, question: Question, identity: Identity, ceiling: Ceiling | None, *, for_peer: bool
    ) -> dict[str, Any]:
        """Of a cluster action."""
        (action,) = question.cluster
        permission = self._permission(identity, ceiling)
        section = self._links(identity, ceiling, for_peer=for_peer)
        section["allowed"] = permission.allows_cluster(action)
        if not for_peer:
            section["reasons"] = _reasons(permission, action, None)
        if not section["allowed"]:
            section["why"] = self._refusals.of_cluster(action, identity, ceiling).reason
        return section

    def indices(
        self,
        question: Question,
        parts: Sequence[str],
        identity: Identity,
        ceiling: Ceiling | None,
        *,
        for_peer: bool,
    ) -> dict[str, Any]:
        """Of actions on an index expression."""
        if for_peer and len(parts) > PARTS_MAX:
            raise IllegalArgumentError(f"[index] has [{len(parts)}] parts, at most [{PARTS_MAX}] are explained")
        permission = self._permission(identity, ceiling)
        section = self._links(identity, ceiling, for_peer=for_peer)
        section["expression"] = list(parts)
        prepared = names.prepare(parts, clock.now_ms())
        meant = self._meant(question, prepared, permission if for_peer else None)
        rows = [self._name(question, name, permission, ceiling, for_peer=for_peer) for name in meant[:NAMES_MAX]]
        section["names"] = rows
        if len(meant) > NAMES_MAX:
            section["names_left_out"] = len(meant) - NAMES_MAX
        section["allowed"] = True
        try:
            self._check_cluster(question, identity, ceiling)
            section["reaches"] = self._reaches(question, prepared, identity, permission, ceiling)[:NAMES_MAX]
        except SecurityError as refused:
            section["allowed"] = False
            section["why"] = refused.reason
        except HanseError as error:  # allowed, and then there is nothing of this name
            section["why"] = error.reason
        return section

    def _permission(self, identity: Identity, ceiling: Ceiling | None) -> Permission:
        return self._roles.permission(identity) if ceiling is None else ceiling.permission_of(identity, self._roles)

    def _links(self, identity: Identity, ceiling: Ceiling | None, *, for_peer: bool) -> dict[str, Any]:
        """The roles and the ceiling between the user and the names."""
        limited = identity if ceiling is None else ceiling.limit(identity)
        own = self._roles.permission(limited if for_peer else identity)
        section: dict[str, Any] = {"roles": {"found": list(own.found), "missing": list(own.missing)}}
        if ceiling is None:
            return section
        accepted, dropped = ceiling.sorted_roles(identity)
        peer: dict[str, Any] = {"name": ceiling.label, "accepted_roles": list(accepted)}
        if dropped:
            peer["dropped_roles"] = list(dropped)
            peer["why"] = ceiling.why_roles()
        if ceiling.refusal:
            peer["why"] = ceiling.refusal
        section["peer"] = peer
        return section

    def _meant(self, question: Question, parts: tuple[str, ...], permission: Permission | None) -> list[str]:
        """The names of the expression: those that the permission grants, without one all; explicit ones anyhow."""
        meant: dict[str, None] = {}
        for action in question.index:
            asked = names.Asked(action, parts, _ALL_NAMES, self._creates(action))
            meant.update(dict.fromkeys(names.meant(asked, self._catalogue, permission)))
        return list(meant)

    def _reaches(
        self,
        question: Question,
        parts: tuple[str, ...],
        identity: Identity,
        permission: Permission,
        ceiling: Ceiling | None,
    ) -> list[str]:
        """The indices on which every action would work. Raises what the gate would raise."""
        common: dict[str, Target] | None = None
        for action in question.index:
            try:
                reached = names.resolve(
                    names.Asked(action, parts, _REACHED, self._creates(action)), permission, self._catalogue
                )
            except names.NotGrantedError as refused:
                raise self._refusals.of_index(action, identity, refused.names, ceiling) from None
            found = {target.index: target for target in reached}
            common = found if common is None else {name: found[name] for name in common if name in found}
        targets = list((common or {}).values())
        if not question.whole:
            return [target.index for target in targets]
        whole = [target.index for target in targets if target.access.is_full and not target.filters]
        if targets and not whole:
            raise SecurityError(_hidden([target.index for target in targets[:NAMES_MAX]]), 403)
        return whole

    def _check_cluster(self, question: Question, identity: Identity, ceiling: Ceiling | None) -> None:
        """What the actions on indices ask for besides; a ceiling limits the roles of that and no more."""
        own = self._roles.permission(identity) if ceiling is None else ceiling.own_permission_of(identity, self._roles)
        for action in question.cluster:
            if not own.allows_cluster(action):
                raise self._refusals.of_cluster(action, identity, ceiling, is_within=True)

    def _name(
        self, question: Question, name: str, permission: Permission, ceiling: Ceiling | None, *, for_peer: bool
    ) -> dict[str, Any]:
        refused = [action for action in question.index if not permission.allows_index(action, name)]
        decisive = refused[0] if refused else question.index[-1]
        access = permission.access(decisive, (name,))
        row: dict[str, Any] = {"name": name, "allowed": not refused}
        if len(question.index) > 1:
            row["action"] = decisive
        is_within = ceiling is None or ceiling.permission.allows_index(decisive, name)
        if not for_peer:
            row["is"] = self._kind(name)
            row["reasons"] = _reasons(permission, decisive, name)
        else:
            # What roles say of names outside the ceiling is not the peer's business.
            row["reasons"] = _reasons_for_peer(permission, decisive, name) if is_within else []
        if ceiling is not None:
            text = "its limits allow it" if is_within else ceiling.why(decisive)
            row["reasons"].append({"peer": ceiling.label, "allowed": is_within, "why": text})
        if row["allowed"] and question.whole and not access.is_full:
            row["allowed"] = False
            row["reasons"].append({"allowed": False, "why": _hidden([name])})
        if row["allowed"] and not for_peer:
            row.update(_filters(access))
        return row

    def _kind(self, name: str) -> Any:
        if name in self._catalogue.concrete():
            return "index" if self._catalogue.concrete()[name].is_open else "closed index"
        entries = self._catalogue.aliases().get(name)
        return {"alias_of": sorted(entry.index for entry in entries)} if entries else "not there"

    def _creates(self, action: str) -> bool:
        declared = self._registry.action(action)
        return declared is not None and declared.creates


def _hidden(indices: Sequence[str]) -> str:
    return f"documents or fields of [{','.join(indices)}] are hidden, and a copy would hold what may not be seen"


def _reasons(permission: Permission, action: str, name: str | None) -> list[dict[str, Any]]:
    return [
        {"role": reason.role, "allowed": reason.allowed, "why": reason.text}
        for reason in permission.explain(action, name)
    ]


def _reasons_for_peer(permission: Permission, action: str, name: str) -> list[dict[str, Any]]:
    """The same without the names and privileges that stand in the roles."""
    return [
        {
            "role": reason.role,
            "allowed": reason.allowed,
            "why": "the role grants it" if reason.allowed else reason.text,
        }
        for reason in permission.explain(action, name)
    ]


def _filters(access: Access) -> dict[str, Any]:
    """Of each `any_of` one has to match, of several groups every one: the roles', and the ceiling's."""
    found: dict[str, Any] = {}
    if access.documents:
        found["document_level_security"] = [{"any_of": list(queries)} for queries in access.documents]
    if access.fields:
        found["field_level_security"] = [
            {"any_of": [{"grant": list(rule.grant), "except": list(rule.deny)} for rule in rules]}
            for rules in access.fields
        ]
    return found
