"""Roles: create, show, delete, one by one and in bulk. Reserved roles are shown and never changed.

Tests: tests/security/test_role_actions.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanse.errors import ActionRequestValidationError, HanseError, IllegalArgumentError
from hanse.security import requests
from hanse.security.audit import Audit
from hanse.security.builtin_roles import BUILTIN_ROLES
from hanse.security.entry_query import run_query
from hanse.security.requests import Answer
from hanse.security.role_store import RoleStore
from hanse.security.roles import RoleDescriptor, check_name, parse_role, render_role, stored_role
from hanse.security.store import SecurityStore
from hanse.transport.actions import ActionRegistry, Call


class RoleActions:
    """Handlers over the security store."""

    def __init__(self, store: SecurityStore, roles: RoleStore, audit: Audit) -> None:
        self._store = store
        self._roles = roles
        self._audit = audit

    def register(self, registry: ActionRegistry) -> None:
        registry.register(requests.PUT_ROLE, self.put)
        registry.register(requests.GET_ROLES, self.get)
        registry.register(requests.DELETE_ROLE, self.delete)
        registry.register(requests.BULK_PUT_ROLES, self.bulk_put)
        registry.register(requests.BULK_DELETE_ROLES, self.bulk_delete)
        registry.register(requests.QUERY_ROLES, self.query)
        registry.register(requests.CLEAR_ROLES_CACHE, self.clear_cache)

    async def put(self, call: Call, request: requests.PutRole) -> Answer:
        role = _checked_role(request.name, request.body)
        created = await self._store.put_role(role.name, stored_role(role))
        self._changed(call, "put_role", role.name)
        return Answer({"role": {"created": created}})

    async def get(self, call: Call, request: requests.ByNames) -> Answer:
        if not request.names:
            return Answer({name: render_role(role) for name, role in self._roles.all().items()})
        found = {name: render_role(role) for name in request.names if (role := self._roles.find(name))}
        return Answer(found, 200 if found else 404)

    async def delete(self, call: Call, request: requests.ByNames) -> Answer:
        name = request.only
        if name in BUILTIN_ROLES:
            raise IllegalArgumentError(f"role [{name}] is reserved and cannot be deleted")
        found = await self._store.delete_role(name)
        if found:
            self._changed(call, "delete_role", name)
        return Answer({"found": found}, 200 if found else 404)

    async def bulk_put(self, call: Call, request: requests.BulkRoles) -> Answer:
        given = request.body.get("roles")
        if not isinstance(given, Mapping) or not given:
            raise ActionRequestValidationError.of("roles are missing")
        changes: dict[str, dict[str, Any] | None] = {}
        errors: dict[str, Any] = {}
        done: dict[str, list[str]] = {"created": [], "updated": [], "noop": []}
        before = self._store.roles()
        for name, body in given.items():
            try:
                stored = stored_role(_checked_role(name, body))
            except HanseError as error:
                errors[name] = {"type": error.name, "reason": error.reason}
                continue
            result = "created" if name not in before else "noop" if before[name] == stored else "updated"
            done[result].append(name)
            changes[name] = stored
        await self._store.change("role", lambda _: changes)
        for name in changes:
            self._changed(call, "put_role", name)
        return Answer(_bulk_answer(done, errors))

    async def bulk_delete(self, call: Call, request: requests.BulkRoles) -> Answer:
        names = request.body.get("names")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ActionRequestValidationError.of("names are missing")
        done: dict[str, list[str]] = {"deleted": [], "not_found": []}
        errors: dict[str, Any] = {}
        before = self._store.roles()
        for name in dict.fromkeys(names):
            if name in BUILTIN_ROLES:
                reason = f"role [{name}] is reserved and cannot be deleted"
                errors[name] = {"type": "illegal_argument_exception", "reason": reason}
            else:
                done["deleted" if name in before else "not_found"].append(name)
        await self._store.change("role", lambda _: dict.fromkeys(done["deleted"]))
        for name in done["deleted"]:
            self._changed(call, "delete_role", name)
        return Answer(_bulk_answer(done, errors))

    async def query(self, call: Call, request: requests.Query) -> Answer:
        roles = [{"name": name, **render_role(role)} for name, role in self._roles.all().items()]
        return Answer(run_query(request.body, roles, key="name", answer="roles"))

    async def clear_cache(self, call: Call, request: requests.ByNames) -> Answer:
        self._roles.clear()
        return requests.cleared()

    def _changed(self, call: Call, event: str, name: str) -> None:
        if self._audit.enabled:
            self._audit.security_changed(event, call.identity, name)


def _checked_role(name: str, body: Any) -> RoleDescriptor:
    problem = check_name(name, "Role")
    if problem is None and name in BUILTIN_ROLES:
        problem = f"Role [{name}] is reserved and may not be used."
    if problem is not None:
        raise ActionRequestValidationError.of(problem)
    return parse_role(name, body)


def _bulk_answer(done: Mapping[str, list[str]], errors: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {result: names for result, names in done.items() if names}
    if errors:
        body["errors"] = {"count": len(errors), "details": dict(errors)}
    return body
