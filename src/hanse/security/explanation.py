"""`_security/_explain`: why a user may or may not do something here, link by link.

Finds whom the question is about and says what this cluster decides (explained_rights.py). For a remote index it says
what this cluster would send and asks the remote cluster, as the calling administrator: it decides for itself what to
tell. What a peer with a ceiling asks is answered for role names that it gives, never about users of this cluster.
Tests: tests/security/test_explanation.py, tests/journeys/test_peer_ceilings.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from hanse.errors import HanseError, IllegalArgumentError, ResourceNotFoundError
from hanse.security import denial, expressions
from hanse.security.ceilings import Ceiling, RemotePeers
from hanse.security.explained_rights import ExplainedRights, Question
from hanse.security.peer_requests import EXPLAIN, Explain
from hanse.security.realms.chain import RealmChain
from hanse.security.requests import Answer
from hanse.security.role_store import RoleStore
from hanse.security.store import NameCatalogue
from hanse.transport.actions import Action, ActionRegistry, Call
from hanse.transport.identity import Identity, RealmRef

AskRemote = Callable[[str, Action[Any, Any], Any, Identity], Awaitable[Any]]


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
        self._realms = realms
        self._peers = peers
        self._rights = ExplainedRights(registry, catalogue, roles)
        self._remote_aliases = remote_aliases
        self._ask_remote = ask_remote or _no_remotes

    def register(self, registry: ActionRegistry) -> None:
        registry.register(EXPLAIN, self.explain)

    async def explain(self, call: Call, request: Explain) -> Answer:
        if call.ceiling is not None:  # the gate's, not looked up again: it let the question pass for that one only
            return self._explain_to_peer(call.ceiling, call, request)
        question = Question.of(request.action, self._registry)
        ceiling = self._ceiling(request.peer)
        person = self._person(request)
        body = _body(question, person)
        if not question.index:
            if request.indices:
                raise IllegalArgumentError(f"action [{request.action}] is a cluster action and has no [index]")
            local: dict[str, Any] | None = self._local(question, None, person, ceiling)
            remotes: dict[str, Any] = {}
        else:
            if not request.indices:
                raise IllegalArgumentError(f"[index] is missing: action [{request.action}] is an action on indices")
            split = expressions.split(request.indices, self._remote_aliases())
            local = self._local(question, split.local, person, ceiling) if split.has_local else None
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

    def _explain_to_peer(self, ceiling: Ceiling, call: Call, request: Explain) -> Answer:
        """The gate lets this question pass a ceiling that is not refused altogether: see `for_peer`."""
        if request.roles is None or request.peer is not None or request.dn is not None:
            why = f"peer [{ceiling.label}] has a ceiling and may ask about role names only, not about users or peers"
            raise denial.beyond_ceiling(EXPLAIN.name, call.identity, (), why)
        if expressions.names_remotes(request.indices):
            raise denial.beyond_ceiling(EXPLAIN.name, call.identity, (), ceiling.why_remote())
        question = Question.of(request.action, self._registry)
        if bool(question.index) is not bool(request.indices):
            raise IllegalArgumentError("[index] is to be given for actions on indices, and for those only")
        person = self._person(request)
        assert person.identity is not None
        if question.index:
            local = self._rights.indices(question, request.indices, person.identity, ceiling, for_peer=True)
        else:
            local = self._rights.cluster(question, person.identity, ceiling, for_peer=True)
        return Answer({**_body(question, person), "allowed": local["allowed"], "local": local})

    # Who.

    def _person(self, request: Explain) -> _Person:
        if request.dn is not None:
            return self._person_of_dn(request.dn)
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
        shown = {"username": request.username, "found": False}
        not_asked = [realm.name for realm in self._realms.certificate_realms]
        if not_asked:
            shown["realms_not_asked"] = not_asked
            problem += f"; [{','.join(not_asked)}] know users by certificate and were not asked: give a subject as [dn]"
        return _Person(None, shown, problem)

    def _person_of_dn(self, dn: str) -> _Person:
        """The user that a verified certificate with this subject would be, as its role mappings stand now."""
        problems = []
        for realm in self._realms.certificate_realms:
            try:
                found = realm.user_of_subject(dn)
            except ValueError as error:
                problems.append(f"realm [{realm.name}]: {error}")
                continue
            shown = {
                "username": found.username,
                "dn": dn,
                "found": True,
                "realm": {"name": found.realm.name, "type": found.realm.type},
                "roles": list(found.roles),
            }
            return _Person(found, shown, "")
        why = "; ".join(problems) or "no realm of this cluster knows users by certificate"
        return _Person(None, {"dn": dn, "found": False}, f"the subject [{dn}] is not a user: {why}")

    def _ceiling(self, name: str | None) -> Ceiling | None:
        if name is None:
            return None
        ceiling = self._peers.named(name)
        if ceiling is None:
            raise ResourceNotFoundError(f"remote peer [{name}] does not exist")
        return ceiling

    def _local(
        self, question: Question, parts: tuple[str, ...] | None, person: _Person, ceiling: Ceiling | None
    ) -> dict[str, Any]:
        if person.identity is None or person.problem:
            shown = {} if parts is None else {"expression": list(parts)}
            return {"allowed": False, **shown, "why": person.problem}
        if parts is None:
            return self._rights.cluster(question, person.identity, ceiling, for_peer=False)
        return self._rights.indices(question, parts, person.identity, ceiling, for_peer=False)

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
            request,
            username=identity.username,
            indices=tuple(parts),
            peer=None,
            roles=identity.roles,
            realm=identity.realm.name,
            dn=None,
        )
        try:
            answer = await self._ask_remote(alias, EXPLAIN, asked, call.identity)
        except HanseError as error:
            why = f"remote cluster [{alias}] does not say: {error.reason}"
            return {"allowed": None, **section, "why": why, "error": {"type": error.name, "reason": error.reason}}
        told = answer.body if isinstance(answer.body, Mapping) else {}
        return {"allowed": told.get("allowed"), **section, "answer": told}


def _body(question: Question, person: _Person) -> dict[str, Any]:
    return {"user": person.shown, "action": question.shown, "granted_by": question.granted_by}
