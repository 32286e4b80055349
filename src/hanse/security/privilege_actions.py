"""What may I do: `_has_privileges`, `_privileges`, built-in privilege names, and application privileges.

Answers come from the same `Permission` that the gate decides with. Tests: tests/security/test_privilege_actions.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hanse.errors import ActionRequestValidationError, IllegalArgumentError, ParsingError
from hanse.security import requests
from hanse.security.patterns import NamePatterns
from hanse.security.permission import IndexGrant, Permission, is_restricted
from hanse.security.privileges import CLUSTER, INDEX, Privilege, cluster_privilege, index_privilege
from hanse.security.requests import Answer
from hanse.security.role_store import RoleStore
from hanse.security.roles import ApplicationPrivileges, IndexPrivileges, render_index_entry
from hanse.security.store import SecurityStore
from hanse.transport.actions import ActionRegistry, Call, Empty

APPLICATION = "application_privilege"


class PrivilegeActions:
    """Handlers over the role store."""

    def __init__(self, store: SecurityStore, roles: RoleStore) -> None:
        self._store = store
        self._roles = roles

    def register(self, registry: ActionRegistry) -> None:
        registry.register(requests.HAS_PRIVILEGES, self.has_privileges)
        registry.register(requests.LIST_PRIVILEGES, self.list_privileges)
        registry.register(requests.BUILTIN_PRIVILEGES, self.builtin)
        registry.register(requests.PUT_PRIVILEGES, self.put_applications)
        registry.register(requests.GET_PRIVILEGES, self.get_applications)
        registry.register(requests.DELETE_PRIVILEGES, self.delete_applications)
        registry.register(requests.CLEAR_PRIVILEGES_CACHE, self.clear_cache)

    async def has_privileges(self, call: Call, request: requests.HasPrivileges) -> Answer:
        body = request.body
        for field in body:
            if field not in ("cluster", "index", "application"):
                raise ParsingError(f"failed to parse privilege check. unexpected field [{field}]")
        if not any(body.get(field) for field in ("cluster", "index", "application")):
            raise ActionRequestValidationError.of("must specify at least one privilege")
        if request.username not in (None, call.identity.username):
            raise IllegalArgumentError("users may only check the privileges of their own account")
        permission = self._roles.permission(call.identity)
        cluster = {name: has_cluster(permission, cluster_privilege(name)) for name in body.get("cluster") or ()}
        index: dict[str, dict[str, bool]] = {}
        for entry in body.get("index") or ():
            for name in _strings(entry, "names"):
                answers = index.setdefault(name, {})
                for privilege in _strings(entry, "privileges"):
                    answers[privilege] = has_index(
                        permission,
                        index_privilege(privilege),
                        name,
                        with_restricted=bool(entry.get("allow_restricted_indices")),
                    )
        application: dict[str, dict[str, dict[str, bool]]] = {}
        for entry in body.get("application") or ():
            answers_by_resource = application.setdefault(str(entry.get("application")), {})
            for resource in _strings(entry, "resources"):
                answers = answers_by_resource.setdefault(resource, {})
                for privilege in _strings(entry, "privileges"):
                    answers[privilege] = self._has_application(
                        permission, str(entry["application"]), privilege, resource
                    )
        everything = [
            *cluster.values(),
            *(answer for answers in index.values() for answer in answers.values()),
            *(a for resources in application.values() for answers in resources.values() for a in answers.values()),
        ]
        return Answer(
            {
                "username": call.identity.username,
                "has_all_requested": all(everything),
                "cluster": dict(sorted(cluster.items())),
                "index": dict(sorted(index.items())),
                "application": application,
            }
        )

    async def list_privileges(self, call: Call, request: requests.ListPrivileges) -> Answer:
        if request.username not in (None, call.identity.username):
            raise IllegalArgumentError("users may only list the privileges of their own account")
        permission = self._roles.permission(call.identity)
        roles = permission.descriptors
        body: dict[str, Any] = {
            "cluster": sorted({name for role in roles for name in role.cluster}),
            "global": [role.global_ for role in roles if role.global_],
            "indices": _merged_entries([entry for role in roles for entry in role.indices]),
            "applications": _merged_applications([entry for role in roles for entry in role.applications]),
            "run_as": sorted({pattern for role in roles for pattern in role.run_as}),
        }
        remote = [entry for role in roles for entry in role.remote_indices]
        if remote:
            body["remote_indices"] = _merged_entries(remote)
        remote_cluster = [entry for role in roles for entry in role.remote_cluster]
        if remote_cluster:
            body["remote_cluster"] = remote_cluster
        return Answer(body)

    async def builtin(self, call: Call, _: Empty) -> Answer:
        return Answer(
            {
                "cluster": sorted(CLUSTER),
                "index": sorted(INDEX),
                "remote_cluster": ["monitor_enrich", "monitor_stats"],
            }
        )

    async def put_applications(self, call: Call, request: requests.PutApplicationPrivileges) -> Answer:
        before = self._store.entries(APPLICATION)
        changes: dict[str, dict[str, Any] | None] = {}
        answer: dict[str, dict[str, dict[str, bool]]] = {}
        for application, privileges in request.body.items():
            if not isinstance(privileges, Mapping):
                raise ParsingError(f"failed to parse application privileges. expected an object at [{application}]")
            for name, definition in privileges.items():
                key = _application_key(application, name)
                changes[key] = _application_definition(application, name, definition)
                answer.setdefault(application, {})[name] = {"created": key not in before}
        if not changes:
            raise ActionRequestValidationError.of("At least one application privilege must be provided")
        await self._store.change(APPLICATION, lambda _: changes)
        return Answer(answer)

    async def get_applications(self, call: Call, request: requests.ApplicationPrivilegeNames) -> Answer:
        wanted = NamePatterns([request.application or "*"])
        found: dict[str, dict[str, Any]] = {}
        for stored in self._store.entries(APPLICATION).values():
            if wanted.matches(stored["application"]) and (not request.names or stored["name"] in request.names):
                found.setdefault(stored["application"], {})[stored["name"]] = stored
        return Answer(found, 404 if request.names and not found else 200)

    async def delete_applications(self, call: Call, request: requests.ApplicationPrivilegeNames) -> Answer:
        before = self._store.entries(APPLICATION)
        application = request.application or ""
        found = {name: _application_key(application, name) in before for name in request.names}
        gone = {_application_key(application, name): None for name in found if found[name]}
        await self._store.change(APPLICATION, lambda _: gone)
        body = {application: {name: {"found": was_there} for name, was_there in found.items()}}
        return Answer(body, 200 if any(found.values()) else 404)

    async def clear_cache(self, call: Call, request: requests.ByNames) -> Answer:
        return requests.cleared()

    def _has_application(self, permission: Permission, application: str, privilege: str, resource: str) -> bool:
        wanted = self._application_actions(application, privilege)
        for entry in permission.applications:
            if not NamePatterns([entry.application]).matches(application):
                continue
            if not NamePatterns(entry.resources).covers(resource):
                continue
            if "*" in entry.privileges or privilege in entry.privileges:
                return True
            granted = NamePatterns(
                action for name in entry.privileges for action in self._application_actions(application, name)
            )
            if wanted and all(granted.covers(action) for action in wanted):
                return True
        return False

    def _application_actions(self, application: str, privilege: str) -> tuple[str, ...]:
        stored = self._store.entries(APPLICATION).get(_application_key(application, privilege))
        if stored is not None:
            return tuple(stored["actions"])
        return (privilege,) if any(char in privilege for char in "/:*") else ()


def has_cluster(permission: Permission, wanted: Privilege) -> bool:
    """Whether every action of the privilege is granted."""
    granted = all(
        any(privilege.covers_pattern(pattern, wanted) for privilege, _ in permission.cluster)
        for pattern in wanted.allow.texts
    )
    return granted and (permission.ceiling is None or has_cluster(permission.ceiling, wanted))


def has_index(permission: Permission, wanted: Privilege, name: str, *, with_restricted: bool) -> bool:
    """Whether every action of the privilege is granted on every index that `name` (a pattern) stands for."""

    def on(grant: IndexGrant) -> bool:
        if not grant.names.covers(name):
            return False
        return grant.with_restricted or not (with_restricted or is_restricted(name))

    grants = [grant for grant in permission.index if on(grant)]
    granted = bool(grants) and all(
        any(privilege.covers_pattern(pattern, wanted) for grant in grants for privilege in grant.privileges)
        for pattern in wanted.allow.texts
    )
    return granted and (
        permission.ceiling is None or has_index(permission.ceiling, wanted, name, with_restricted=with_restricted)
    )


def _strings(entry: Any, field: str) -> Sequence[str]:
    value = entry.get(field) if isinstance(entry, Mapping) else None
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise ParsingError(f"failed to parse privilege check. missing required [{field}] field")
    return value


def _merged_entries(entries: Sequence[IndexPrivileges]) -> list[dict[str, Any]]:
    """Entries of several roles on the same names with the same privileges become one, their rules side by side."""
    merged: dict[Any, dict[str, Any]] = {}
    for entry in entries:
        key = (entry.names, entry.privileges, entry.allow_restricted_indices, entry.clusters)
        rendered = render_index_entry(entry)
        for rule in ("field_security", "query"):
            rendered[rule] = [rendered[rule]] if rule in rendered else []
        known = merged.setdefault(key, rendered)
        if known is not rendered:
            for rule in ("field_security", "query"):
                # One role without a rule lifts it for all.
                known[rule] = [*known[rule], *rendered[rule]] if known[rule] and rendered[rule] else []
    for body in merged.values():
        for rule in ("field_security", "query"):
            if not body[rule]:
                del body[rule]
    return list(merged.values())


def _merged_applications(entries: Sequence[ApplicationPrivileges]) -> list[dict[str, Any]]:
    """One entry per application and set of resources, then per application and set of privileges."""
    by_resources: dict[Any, set[str]] = {}
    for entry in entries:
        by_resources.setdefault((entry.application, entry.resources), set()).update(entry.privileges)
    by_privileges: dict[Any, list[str]] = {}
    for (application, resources), privileges in by_resources.items():
        by_privileges.setdefault((application, tuple(sorted(privileges))), []).extend(resources)
    return [
        {"application": application, "privileges": list(privileges), "resources": resources}
        for (application, privileges), resources in by_privileges.items()
    ]


def _application_key(application: str, name: str) -> str:
    return f"{application}:{name}"


def _application_definition(application: str, name: str, definition: Any) -> dict[str, Any]:
    if not isinstance(definition, Mapping):
        raise ParsingError(f"failed to parse application privilege [{name}]. expected an object")
    for field, value in (("application", application), ("name", name)):
        if definition.get(field, value) != value:
            raise IllegalArgumentError(f"expected {field} [{value}] but found [{definition[field]}]")
    actions = definition.get("actions")
    if not isinstance(actions, list) or not actions:
        raise ActionRequestValidationError.of("Application privileges must have at least one action")
    for action in actions:
        if not isinstance(action, str) or not any(char in action for char in "/:*"):
            raise ActionRequestValidationError.of(f"action [{action}] must contain one of [ '/' , '*' , ':' ]")
    metadata = definition.get("metadata") or {}
    return {"application": application, "name": name, "actions": list(actions), "metadata": dict(metadata)}
