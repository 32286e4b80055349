"""`_security/_explain`: why a user may or may not do something here, link by link.

Asks the same permission, resolution and ceiling that the gate decides with. For a remote index it says what this
cluster would send and asks the remote cluster, as the calling administrator: it decides for itself what to tell.
Tests: tests/journeys/test_peer_ceilings.py.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from hanse.errors import HanseError, IllegalArgumentError, ResourceNotFoundError
from hanse.security import expressions, names
from hanse.security.ceilings import Ceiling, RemotePeers
from hanse.security.peer_requests import EXPLAIN, Explain
from hanse.security.permission import Permission
from hanse.security.privileges import (
    cluster_privileges_granting,
    index_privileges_granting,
    is_cluster_action,
)
from hanse.security.realms.chain import RealmChain
from hanse.security.refusals import Refusals
from hanse.security.requests import Answer
from hanse.security.role_store import RoleStore
from hanse.security.store import NameCatalogue
from hanse.transport.actions import Access, Action, ActionRegistry, Call, IndicesOptions
from hanse.transport.identity import Identity, RealmRef

AskRemote = Callable[[str, Action[Any, Any], Any, Identity], Awaitable[Any]]
NAMES_MAX = 100
"""Names of one expression that are explained one by one."""
_ALL_NAMES = IndicesOptions(expand_closed=True, expand_hidden=True)


async def _no_remotes(alias: str, action: Action[Any, Any], request: Any, identity: Identity) -> Any:
    raise IllegalArgumentError("this node does not connect to remote clusters")


@dataclass(frozen=True, slots=True)
class _Person:
    """Whom the question is about. `identity` None: no realm knows the name."""

    identity: Identity | None
    shown: dict[str, Any]
    problem: str


class Explanations:
    """The handler. `ask_remote` runs an action at a connected remote cluster, or raises why it cannot."""

    def __init__(
        self,
        registry: ActionRegistry,
        catalogue: NameCatalogue,
        realms: RealmChain,
        roles: RoleStore,
        peers: RemotePeers,
        *,
        remote_aliases: Callable[[], Collection[str]] = tuple,
        ask_remote: AskRemote | None = None,
    ) -> None:
        self._registry = registry
        self._catalogue = catalogue
        self._realms = realms
        self._roles = roles
        self._peers = peers
        self._remote_aliases = remote_aliases
        self._ask_remote = ask_remote or _no_remotes
        self._refusals = Refusals(roles)

    def register(self, registry: ActionRegistry) -> None:
        registry.register(EXPLAIN, self.explain)

    async def explain(self, call: Call, request: Explain) -> Answer:
        if self._registry.action(request.action) is None:
            raise IllegalArgumentError(f"unknown action [{request.action}]")
        ceiling = self._ceiling(request.peer)
        person = self._person(request)
        body: dict[str, Any] = {"user": person.shown, "action": request.action}
        if is_cluster_action(request.action):
            if request.indices:
                raise IllegalArgumentError(f"action [{request.action}] is a cluster action and has no [index]")
            body["granted_by"] = {"cluster": list(cluster_privileges_granting(request.action))}
            local: dict[str, Any] | None = self._cluster(request.action, person, ceiling)
            remotes: dict[str, Any] = {}
        else:
            if not request.indices:
                raise IllegalArgumentError(f"[index] is missing: action [{request.action}] is an action on indices")
            body["granted_by"] = {"index": list(index_privileges_granting(request.action))}
            split = expressions.split(request.indices, self._remote_aliases())
            local = self._indices(request.action, split.local, person, ceiling) if split.has_local else None
            remotes = {
                alias: await self._remote(call, request, alias, parts, person) for alias, parts in split.remotes.items()
            }
        answers = [*([local] if local is not None else []), *remotes.values()]
        # None where a remote cluster did not say.
        verdicts = [answer["allowed"] for answer in answers]
        body["allowed"] = False if False in verdicts else None if None in verdicts else True
        if local is not None:
            body["local"] = local
        if remotes:
            body["remotes"] = remotes
        return Answer(body)

    # Who.

    def _person(self, request: Explain) -> _Person:
        if request.roles is not None:
            realm = RealmRef(request.realm or "given", "given")
            identity = Identity(request.username, request.roles, realm)
            shown = {"username": request.username, "roles": list(request.roles), "roles_given_by_request": True}
            return _Person(identity, shown if request.realm is None else {**shown, "realm": request.realm}, "")
        for realm_of_chain in self._realms.realms:
            account = realm_of_chain.find(request.username)
            if account is None:
                continue
            found = account.identity
            shown = {
                "username": found.username,
                "found": True,
                "enabled": found.enabled,
                "realm": {"name": found.realm.name, "type": found.realm.type},
                "roles": list(found.roles),
            }
            problem = "" if found.enabled else f"the user [{found.username}] is disabled and cannot log in"
            return _Person(found, shown, problem)
        asked = ",".join(realm.name for realm in self._realms.realms)
        problem = f"no realm of [{asked}] knows the user [{request.username}]"
        return _Person(None, {"username": request.username, "found": False}, problem)

    def _ceiling(self, name: str | None) -> Ceiling | None:
        if name is None:
            return None
        ceiling = self._peers.named(name)
        if ceiling is None:
            raise ResourceNotFoundError(f"remote peer [{name}] does not exist")
        return ceiling

    # What this cluster decides.

    def _cluster(self, action: str, person: _Person, ceiling: Ceiling | None) -> dict[str, Any]:
        if person.identity is None or person.problem:
            return {"allowed": False, "why": person.problem}
        permission, section = self._links(person.identity, ceiling)
        section["reasons"] = _reasons(permission, action, None)
        section["allowed"] = permission.allows_cluster(action)
        if not section["allowed"]:
            section["why"] = self._refusals.of_cluster(action, person.identity, ceiling).reason
        return section

    def _indices(self, action: str, parts: tuple[str, ...], person: _Person, ceiling: Ceiling | None) -> dict[str, Any]:
        if person.identity is None or person.problem:
            return {"allowed": False, "expression": list(parts), "why": person.problem}
        permission, section = self._links(person.identity, ceiling)
        section["expression"] = list(parts)
        declared = self._registry.action(action)
        creates = declared is not None and declared.creates
        parts = names.prepare(parts, time.time_ns() // 1_000_000)
        meant = names.meant(names.Asked(action, parts, _ALL_NAMES, creates), self._catalogue)
        section["names"] = [self._name(action, name, permission, ceiling) for name in meant[:NAMES_MAX]]
        if len(meant) > NAMES_MAX:
            section["names_left_out"] = len(meant) - NAMES_MAX
        options = IndicesOptions(forbid_closed_indices=False)
        section["allowed"] = True
        try:
            reached = names.resolve(names.Asked(action, parts, options, creates), permission, self._catalogue)
            section["reaches"] = [target.index for target in reached[:NAMES_MAX]]
        except names.NotGrantedError as refused:
            section["allowed"] = False
            section["why"] = self._refusals.of_index(action, person.identity, refused.names, ceiling).reason
        except HanseError as error:  # allowed, and then there is nothing of this name
            section["why"] = error.reason
        return section

    def _links(self, identity: Identity, ceiling: Ceiling | None) -> tuple[Permission, dict[str, Any]]:
        """The roles and the ceiling between the user and the names."""
        own = self._roles.permission(identity)
        section: dict[str, Any] = {"roles": {"found": list(own.found), "missing": list(own.missing)}}
        if ceiling is None:
            return own, section
        limited = ceiling.limit(identity)
        peer: dict[str, Any] = {"name": ceiling.label, "accepted_roles": list(limited.roles)}
        dropped = [role for role in identity.roles if role not in limited.roles]
        if dropped:
            peer["dropped_roles"] = dropped
            peer["why"] = ceiling.why_roles()
        if ceiling.refusal:
            peer["why"] = ceiling.refusal
        section["peer"] = peer
        return ceiling.permission_of(identity, self._roles), section

    def _name(self, action: str, name: str, permission: Permission, ceiling: Ceiling | None) -> dict[str, Any]:
        row: dict[str, Any] = {"name": name, "is": self._kind(name)}
        row["allowed"] = permission.allows_index(action, name)
        row["reasons"] = _reasons(permission, action, name)
        if ceiling is not None:
            allowed = ceiling.permission.allows_index(action, name)
            text = "its limits allow it" if allowed else ceiling.why(action)
            row["reasons"].append({"peer": ceiling.label, "allowed": allowed, "why": text})
        if row["allowed"]:
            row.update(_filters(permission.access(action, (name,))))
        return row

    def _kind(self, name: str) -> Any:
        if name in self._catalogue.concrete():
            return "index" if self._catalogue.concrete()[name].is_open else "closed index"
        entries = self._catalogue.aliases().get(name)
        return {"alias_of": sorted(entry.index for entry in entries)} if entries else "not there"

    # What a remote cluster decides.

    async def _remote(
        self, call: Call, request: Explain, alias: str, parts: Sequence[str], person: _Person
    ) -> dict[str, Any]:
        section: dict[str, Any] = {"expression": list(parts)}
        identity = person.identity
        if identity is None or person.problem:
            return {"allowed": False, **section, "why": person.problem}
        section["sends"] = {
            "user": identity.username,
            "realm": identity.realm.name,
            "roles": list(identity.roles),
        }
        asked = msgspec.structs.replace(
            request, indices=tuple(parts), peer=None, roles=identity.roles, realm=identity.realm.name
        )
        try:
            answer = await self._ask_remote(alias, EXPLAIN, asked, call.identity)
        except HanseError as error:
            why = f"remote cluster [{alias}] does not say: {error.reason}"
            return {"allowed": None, **section, "why": why, "error": {"type": error.name, "reason": error.reason}}
        told = answer.body if isinstance(answer.body, Mapping) else {}
        return {"allowed": told.get("allowed"), **section, "answer": told}


def _reasons(permission: Permission, action: str, name: str | None) -> list[dict[str, Any]]:
    return [
        {"role": reason.role, "allowed": reason.allowed, "why": reason.text}
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
