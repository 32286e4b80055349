"""Role mappings: stored and shown. They apply to users of PKI realms (role_mappings.py).

Tests: tests/security/test_role_mapping_actions.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanse.errors import ActionRequestValidationError
from hanse.security import requests
from hanse.security.requests import Answer
from hanse.security.role_templates import check_template
from hanse.security.roles import RoleParsingError
from hanse.security.store import SecurityStore
from hanse.transport.actions import ActionRegistry, Call

KIND = "role_mapping"
DEPTH_MAX = 20
_FIELDS = {"roles", "role_templates", "rules", "enabled", "metadata"}


class RoleMappingActions:
    """Handlers over the security store."""

    def __init__(self, store: SecurityStore) -> None:
        self._store = store

    def register(self, registry: ActionRegistry) -> None:
        registry.register(requests.PUT_ROLE_MAPPING, self.put)
        registry.register(requests.GET_ROLE_MAPPINGS, self.get)
        registry.register(requests.DELETE_ROLE_MAPPING, self.delete)

    async def put(self, call: Call, request: requests.PutRoleMapping) -> Answer:
        mapping = parse_mapping(request.name, request.body)
        created = request.name not in self._store.entries(KIND)
        await self._store.change(KIND, lambda _: {request.name: mapping})
        return Answer({"role_mapping": {"created": created}})

    async def get(self, call: Call, request: requests.ByNames) -> Answer:
        stored = self._store.entries(KIND)
        found = {name: stored[name] for name in (request.names or stored) if name in stored}
        return Answer(found, 404 if request.names and not found else 200)

    async def delete(self, call: Call, request: requests.ByNames) -> Answer:
        name = request.only
        found = name in self._store.entries(KIND)
        if found:
            await self._store.change(KIND, lambda _: {name: None})
        return Answer({"found": found}, 200 if found else 404)


def parse_mapping(name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the shape. Raises HanseError with status 400."""
    for field in body:
        if field not in _FIELDS:
            raise RoleParsingError(f"failed to parse role-mapping [{name}]. unexpected field [{field}]")
    problems = []
    if not body.get("roles") and not body.get("role_templates"):
        problems.append("role-mapping roles or role-templates are missing")
    if body.get("roles") and body.get("role_templates"):
        problems.append("role-mapping roles and role-templates cannot both be given")
    if "rules" not in body:
        problems.append("role-mapping rules are missing")
    if any(key.startswith("_") for key in body.get("metadata") or {}):
        problems.append("metadata keys may not start with [_]")
    if problems:
        raise ActionRequestValidationError.of(*problems)
    check_rules(name, body["rules"], 0)
    mapping = {
        "enabled": bool(body.get("enabled", True)),
        "roles": list(body.get("roles") or ()),
        "rules": body["rules"],
        "metadata": dict(body.get("metadata") or {}),
    }
    if body.get("role_templates"):
        if not isinstance(body["role_templates"], list):
            raise RoleParsingError(f"failed to parse role-mapping [{name}]. [role_templates] must be an array")
        mapping["role_templates"] = [check_template(name, one) for one in body["role_templates"]]
    return mapping


def check_rules(name: str, rules: Any, depth: int) -> None:
    start = f"failed to parse rules expression of role-mapping [{name}]."
    if depth > DEPTH_MAX:
        raise RoleParsingError(f"{start} nested deeper than [{DEPTH_MAX}]")
    if not isinstance(rules, Mapping) or len(rules) != 1:
        raise RoleParsingError(f"{start} expected an object with exactly one rule")
    ((kind, body),) = rules.items()
    if kind in ("any", "all"):
        if not isinstance(body, list):
            raise RoleParsingError(f"{start} field [{kind}] must be an array")
        for rule in body:
            check_rules(name, rule, depth + 1)
    elif kind == "except":
        check_rules(name, body, depth + 1)
    elif kind == "field":
        if not isinstance(body, Mapping) or len(body) != 1:
            raise RoleParsingError(f"{start} expected a single field value but found [{len(body)}] values")
    else:
        raise RoleParsingError(f"{start} field [{kind}] is not recognised in this context")
