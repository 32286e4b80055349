"""What a set of roles may do: the union of their descriptors, compiled once and asked per action and name.

A `Permission` is immutable. Where it has a `ceiling` (an API key's owner snapshot) both must allow. Union of roles:
document queries are ORed and any role without one lifts the restriction; the same for fields, independently.
Tests: tests/security/test_permission.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from hanse.security.patterns import NamePatterns
from hanse.security.privileges import Privilege, cluster_privilege, index_privilege
from hanse.security.roles import ApplicationPrivileges, IndexPrivileges, RoleDescriptor
from hanse.transport.actions import FULL_ACCESS, Access, FieldRule

_RESTRICTED = NamePatterns([".security", ".security-*", ".async-search", ".async-search*"])
NO_ACCESS = Access((({"match_none": {}},),))
"""For a name that nothing grants: asked only by mistake, and then it shows no document."""
_keys = itertools.count(1)


def is_restricted(name: str) -> bool:
    """Names that patterns reach only with `allow_restricted_indices`."""
    return name.startswith(".") and _RESTRICTED.matches(name)


@dataclass(frozen=True, slots=True)
class IndexGrant:
    """One entry of one role, compiled."""

    role: str
    names: NamePatterns
    privileges: tuple[Privilege, ...]
    with_restricted: bool
    query: dict[str, Any] | None
    fields: FieldRule | None
    source: IndexPrivileges

    def on(self, name: str) -> bool:
        return self.names.matches(name) and (self.with_restricted or not is_restricted(name))


@dataclass(frozen=True, slots=True)
class Reason:
    """One row of an explanation: which role allowed or did not, and why."""

    allowed: bool
    role: str
    text: str


class Permission:
    """The union of roles. `found` are the effective role names, `missing` those this cluster does not define."""

    def __init__(
        self, descriptors: Sequence[RoleDescriptor], missing: Sequence[str] = (), ceiling: Permission | None = None
    ) -> None:
        self.key = next(_keys)
        self.descriptors = tuple(descriptors)
        self.found = tuple(sorted(role.name for role in descriptors))
        self.missing = tuple(sorted(missing))
        self.ceiling = ceiling
        self.cluster = tuple((cluster_privilege(text), role.name) for role in descriptors for text in role.cluster)
        self.index = tuple(_compile(entry, role.name) for role in descriptors for entry in role.indices)
        self.run_as = NamePatterns(pattern for role in descriptors for pattern in role.run_as)
        self.applications: tuple[ApplicationPrivileges, ...] = tuple(
            entry for role in descriptors for entry in role.applications
        )
        self._cluster_answers: dict[str, bool] = {}
        self._grants: dict[str, tuple[IndexGrant, ...]] = {}

    def allows_cluster(self, action: str) -> bool:
        answer = self._cluster_answers.get(action)
        if answer is None:
            answer = any(privilege.grants(action) for privilege, _ in self.cluster)
            answer = answer and (self.ceiling is None or self.ceiling.allows_cluster(action))
            _remember(self._cluster_answers, action, answer)
        return answer

    def grants(self, action: str) -> tuple[IndexGrant, ...]:
        """The entries that grant an index action on some name."""
        found = self._grants.get(action)
        if found is None:
            found = tuple(
                grant for grant in self.index if any(privilege.grants(action) for privilege in grant.privileges)
            )
            _remember(self._grants, action, found)
        return found

    def allows_somewhere(self, action: str) -> bool:
        """Whether the action is granted on any name pattern at all."""
        return bool(self.grants(action)) and (self.ceiling is None or self.ceiling.allows_somewhere(action))

    def allows_index(self, action: str, name: str) -> bool:
        if not any(grant.on(name) for grant in self.grants(action)):
            return False
        return self.ceiling is None or self.ceiling.allows_index(action, name)

    def allows_run_as(self, username: str) -> bool:
        return self.run_as.matches(username) and (self.ceiling is None or self.ceiling.allows_run_as(username))

    def access(self, action: str, names: Iterable[str]) -> Access:
        """What may be seen of an index reached under these names (itself, aliases); one name suffices to grant."""
        names = tuple(names)
        grants = [grant for grant in self.grants(action) if any(grant.on(name) for name in names)]
        own = _access_of(grants)
        if self.ceiling is None:
            return own
        above = self.ceiling.access(action, names)
        if above.is_full:
            return own
        return Access(own.documents + above.documents, own.fields + above.fields)

    def explain(self, action: str, name: str | None) -> tuple[Reason, ...]:
        """Why an action is allowed or not, role by role. For `_security/_explain` and tests, not on the hot path."""
        rows = [Reason(False, role, "this cluster has no role of this name") for role in self.missing]
        return (*rows, *(self._explain_role(role.name, action, name) for role in self.descriptors))

    def _explain_role(self, role: str, action: str, name: str | None) -> Reason:
        if name is None:
            for privilege, source in self.cluster:
                if source == role and privilege.grants(action):
                    return Reason(True, role, f"cluster privilege [{privilege.name}] grants it")
            return Reason(False, role, "no cluster privilege of the role grants it")
        granting = [grant for grant in self.grants(action) if grant.role == role]
        for grant in granting:
            if grant.on(name):
                privileges = ",".join(privilege.name for privilege in grant.privileges)
                return Reason(True, role, f"[{privileges}] on [{','.join(grant.names.texts)}] grants it")
        if granting:
            return Reason(False, role, "the role grants the action, but on other names")
        return Reason(False, role, "no index privilege of the role grants the action")


def _remember(answers: dict[str, Any], action: str, answer: Any) -> None:
    # Action names come from the registry, so this cannot grow by what clients send; the bound guards has_privileges.
    if len(answers) < 4096:
        answers[action] = answer


def _compile(entry: IndexPrivileges, role: str) -> IndexGrant:
    rule = None
    if entry.field_security is not None:
        rule = FieldRule(entry.field_security.grant, entry.field_security.deny or ())
        if rule == FieldRule():
            rule = None
    return IndexGrant(
        role=role,
        names=NamePatterns(entry.names),
        privileges=tuple(index_privilege(text) for text in entry.privileges),
        with_restricted=entry.allow_restricted_indices,
        query=None if entry.query is None else msgspec.json.decode(entry.query),
        fields=rule,
        source=entry,
    )


def _access_of(grants: Sequence[IndexGrant]) -> Access:
    if not grants:
        return NO_ACCESS
    queries: list[dict[str, Any]] = []
    rules: list[FieldRule] = []
    all_documents = all_fields = False
    for grant in grants:
        if grant.query is None:
            all_documents = True
        elif grant.query not in queries:
            queries.append(grant.query)
        if grant.fields is None:
            all_fields = True
        elif grant.fields not in rules:
            rules.append(grant.fields)
    if all_documents and all_fields:
        return FULL_ACCESS
    return Access(
        () if all_documents or not queries else (tuple(queries),), () if all_fields or not rules else (tuple(rules),)
    )


class Unlimited(Permission):
    """Everything, restricted names too: for a node with security disabled."""

    def __init__(self) -> None:
        super().__init__(())

    def allows_cluster(self, action: str) -> bool:
        return True

    def allows_somewhere(self, action: str) -> bool:
        return True

    def allows_index(self, action: str, name: str) -> bool:
        return True

    def allows_run_as(self, username: str) -> bool:
        return True

    def access(self, action: str, names: Iterable[str]) -> Access:
        return FULL_ACCESS
