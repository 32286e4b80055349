"""A key for somebody else, whose password the caller shows: `POST _security/api_key/grant`.

The caller needs the right to grant, the owner none at all; the key is limited by what its owner may do. With `run_as`
the password is of a user who may act as the owner. Tests: tests/security/test_api_key_grant.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.errors import ActionRequestValidationError, IllegalArgumentError
from hanse.security import denial
from hanse.security.api_key_actions import ApiKeyActions
from hanse.security.authentication import NO_SUCH_USER
from hanse.security.builtin_roles import INTERNAL_USERS
from hanse.security.realms.chain import RealmChain
from hanse.security.requests import Answer
from hanse.security.role_store import RoleStore
from hanse.transport.actions import Action, Call, Scope
from hanse.transport.identity import Identity

_KNOWN = frozenset({"grant_type", "username", "password", "access_token", "run_as", "api_key", "refresh"})


class GrantApiKey(msgspec.Struct, frozen=True):
    body: dict[str, Any]


GRANT_API_KEY = Action("cluster:admin/xpack/security/api_key/grant", GrantApiKey, Answer, Scope.CLUSTER)


class ApiKeyGrant:
    def __init__(self, realms: RealmChain, roles: RoleStore, keys: ApiKeyActions) -> None:
        self._realms = realms
        self._roles = roles
        self._keys = keys

    async def grant(self, call: Call, request: GrantApiKey) -> Answer:
        body = request.body
        unknown = sorted(set(body) - _KNOWN)
        if unknown:
            raise IllegalArgumentError(f"[grant_api_key_request] unknown field [{unknown[0]}]")
        if body.get("grant_type") != "password":
            raise IllegalArgumentError(
                f"[grant_type] must be [password] and not [{body.get('grant_type')}]: there are no access tokens here"
            )
        username, password, new_key = body.get("username"), body.get("password"), body.get("api_key")
        if not isinstance(username, str) or not isinstance(password, str) or not isinstance(new_key, dict):
            raise ActionRequestValidationError.of("[username], [password] and [api_key] are required")
        login = await self._realms.authenticate(username, password)
        if login is None:
            raise denial.unauthenticated(f"unable to authenticate user [{username}] for action [{GRANT_API_KEY.name}]")
        return await self._keys.create_for(self._owner(login, body.get("run_as")), call, new_key)

    def _owner(self, login: Identity, run_as: Any) -> Identity:
        """Who logged in, or whom they may act as: the same test as the gate makes of every request under run-as."""
        if run_as is None:
            return login
        found = None if run_as in INTERNAL_USERS else self._realms.find(str(run_as))
        permission = self._roles.permission(login)
        if found is None or not self._realms.run_as_enabled or not permission.allows_run_as(found.username):
            asked = Identity(str(run_as), (), NO_SUCH_USER, run_by=login)
            raise denial.unauthorized_run_as(
                GRANT_API_KEY.name, asked, found=permission.found, missing=permission.missing
            )
        return found
