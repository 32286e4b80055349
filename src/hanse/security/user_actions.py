"""Users: who am I, create, show, delete, enable, change passwords. Hashes are stored and never shown or logged.

Reserved users have only a password and an enabled flag that can be changed. Tests: tests/security/test_user_actions.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanse.errors import ActionRequestValidationError, IllegalArgumentError
from hanse.security import requests
from hanse.security.audit import Audit
from hanse.security.builtin_roles import INTERNAL_USERS, RESERVED_USERS
from hanse.security.entry_query import run_query
from hanse.security.passwords import is_supported_hash, problem_with
from hanse.security.realms.chain import RealmChain
from hanse.security.realms.native import native_account
from hanse.security.realms.reserved import reserved_account
from hanse.security.requests import Answer
from hanse.security.roles import RoleParsingError, check_name
from hanse.security.store import Changes, Entries, SecurityStore
from hanse.transport.actions import ActionRegistry, Call, Empty
from hanse.transport.identity import Identity, RealmRef

_USER_FIELDS = {"username", "password", "password_hash", "roles", "full_name", "email", "metadata", "enabled"}
_NOWHERE = RealmRef("", "")


def render_user(identity: Identity) -> dict[str, Any]:
    return {
        "username": identity.username,
        "roles": list(identity.roles),
        "full_name": identity.full_name,
        "email": identity.email,
        "metadata": identity.metadata,
        "enabled": identity.enabled,
    }


class UserActions:
    """Handlers over the security store."""

    def __init__(self, store: SecurityStore, realms: RealmChain, audit: Audit) -> None:
        self._store = store
        self._realms = realms
        self._audit = audit

    def register(self, registry: ActionRegistry) -> None:
        registry.register(requests.AUTHENTICATE, self.authenticate)
        registry.register(requests.PUT_USER, self.put)
        registry.register(requests.GET_USERS, self.get)
        registry.register(requests.DELETE_USER, self.delete)
        registry.register(requests.QUERY_USERS, self.query)
        registry.register(requests.CHANGE_PASSWORD, self.change_password)
        registry.register(requests.SET_ENABLED, self.set_enabled)
        registry.register(requests.CLEAR_REALM_CACHE, self.clear_cache)

    async def authenticate(self, call: Call, _: Empty) -> Answer:
        identity = call.identity
        login = identity.run_by or identity
        body = render_user(identity)
        body["authentication_realm"] = {"name": login.realm.name, "type": login.realm.type}
        body["lookup_realm"] = {"name": identity.realm.name, "type": identity.realm.type}
        body["authentication_type"] = login.authentication_type
        if login.api_key is not None:
            body["api_key"] = {"id": login.api_key.get("id"), "name": login.api_key.get("name")}
        return Answer(body)

    async def put(self, call: Call, request: requests.PutUser) -> Answer:
        name, body = request.username, request.body
        _check_fields(body, _USER_FIELDS, "user")
        if body.get("username", name) != name:
            raise IllegalArgumentError(
                f"username [{body['username']}] in the body does not match the username [{name}] in the path"
            )
        problems = _problems_with_user(name, body)
        if problems:
            raise ActionRequestValidationError.of(*problems)
        user = {
            "roles": list(dict.fromkeys(body["roles"])),
            "full_name": body.get("full_name"),
            "email": body.get("email"),
            "metadata": dict(body.get("metadata") or {}),
            "enabled": body.get("enabled", True),
            "password": await self._new_hash(body),
        }
        created = False

        def change(users: Entries) -> Changes:
            nonlocal created
            created = name not in users
            if created and user["password"] is None:
                raise ActionRequestValidationError.of(
                    "password must be specified unless you are updating an existing user"
                )
            return {name: {**user, "password": user["password"] or users[name].get("password")}}

        await self._store.change("user", change)
        self._changed(call, "put_user", name)
        return Answer({"created": created})

    async def get(self, call: Call, request: requests.GetUsers) -> Answer:
        names = request.names or (*RESERVED_USERS, *self._store.users())
        found = {name: render_user(identity) for name in dict.fromkeys(names) if (identity := self._find(name))}
        # A list of exact names answers 404 only when none of them exists.
        return Answer(found, 404 if request.names and not found else 200)

    async def delete(self, call: Call, request: requests.ByNames) -> Answer:
        name = request.only
        if name in RESERVED_USERS:
            raise IllegalArgumentError(f"user [{name}] is reserved and cannot be deleted")
        if name in INTERNAL_USERS:
            raise IllegalArgumentError(f"user [{name}] is internal")
        found = await self._store.delete_user(name)
        if found:
            self._changed(call, "delete_user", name)
        return Answer({"found": found}, 200 if found else 404)

    async def query(self, call: Call, request: requests.Query) -> Answer:
        users = [render_user(identity) for name in self._store.users() if (identity := self._find_native(name))]
        return Answer(run_query(request.body, users, key="username", answer="users"))

    async def change_password(self, call: Call, request: requests.ChangePassword) -> Answer:
        name = request.username or call.identity.username
        _check_fields(request.body, {"password", "password_hash"}, "password change")
        problems = _problems_with_password(request.body, required=True)
        if name in INTERNAL_USERS:
            problems.append(f"user [{name}] is internal")
        if problems:
            raise ActionRequestValidationError.of(*problems)
        hashed = await self._new_hash(request.body)
        await self._update(name, {"password": hashed}, "user must exist in order to change password")
        self._changed(call, "change_password", name)
        return Answer({})

    async def set_enabled(self, call: Call, request: requests.SetEnabled) -> Answer:
        name = request.username
        if name in INTERNAL_USERS:
            raise IllegalArgumentError(f"user [{name}] is internal")
        if name == call.identity.username:
            raise IllegalArgumentError("users may not update the enabled status of their own account")
        verb = "enabled" if request.enabled else "disabled"
        await self._update(name, {"enabled": request.enabled}, f"only existing users can be {verb}")
        self._changed(call, "change_enable_user" if request.enabled else "change_disable_user", name)
        return Answer({})

    async def clear_cache(self, call: Call, request: requests.ByNames) -> Answer:
        for name in request.names or (None,):
            self._realms.verified.forget(name)
        return requests.cleared()

    async def _update(self, name: str, fields: dict[str, Any], problem: str) -> None:
        """Changes fields of a user that exists. On the entries in force: what happened meanwhile is not undone."""

        def change(users: Entries) -> Changes:
            if name not in users and name not in RESERVED_USERS:
                raise ActionRequestValidationError.of(problem)
            return {name: {"enabled": True, **users.get(name, {}), **fields}}

        await self._store.change("user", change)

    async def _new_hash(self, body: Mapping[str, Any]) -> str | None:
        if body.get("password_hash") is not None:
            return str(body["password_hash"])
        password = body.get("password")
        return None if password is None else await self._realms.verified.hasher.hash(password)

    def _find(self, name: str) -> Identity | None:
        if name in RESERVED_USERS:
            return reserved_account(name, self._store.users().get(name), _NOWHERE).identity
        return self._find_native(name)

    def _find_native(self, name: str) -> Identity | None:
        stored = self._store.users().get(name)
        return None if stored is None or name in RESERVED_USERS else native_account(name, stored, _NOWHERE).identity

    def _changed(self, call: Call, event: str, name: str) -> None:
        self._realms.verified.forget(name)
        if self._audit.enabled:
            self._audit.security_changed(event, call.identity, name)


def _check_fields(body: Mapping[str, Any], known: set[str], what: str) -> None:
    for field in body:
        if field not in known:
            raise RoleParsingError(f"failed to parse {what} request. unexpected field [{field}]")


def _problems_with_user(name: str, body: Mapping[str, Any]) -> list[str]:
    if name in RESERVED_USERS:
        return [f"user [{name}] is reserved and only the password can be changed"]
    if name in INTERNAL_USERS:
        return [f"user [{name}] is internal"]
    problems = []
    name_problem = check_name(name, "User")
    if name_problem is not None:
        problems.append(name_problem)
    problems += _problems_with_profile(body)
    problems += _problems_with_password(body, required=False)
    return problems


def _problems_with_profile(body: Mapping[str, Any]) -> list[str]:
    problems = []
    roles, metadata = body.get("roles"), body.get("metadata")
    if roles is None:
        problems.append("roles are missing")
    elif not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        problems.append("expected field [roles] to be an array of strings")
    if metadata is not None and not isinstance(metadata, Mapping):
        problems.append("expected field [metadata] to be an object")
    elif metadata and any(key.startswith("_") for key in metadata):
        problems.append("metadata keys may not start with [_]")
    problems += [
        f"expected field [{field}] to be a string"
        for field in ("full_name", "email")
        if not isinstance(body.get(field), str | None)
    ]
    if not isinstance(body.get("enabled", True), bool):
        problems.append("expected field [enabled] to be a boolean")
    return problems


def _problems_with_password(body: Mapping[str, Any], *, required: bool) -> list[str]:
    password, hashed = body.get("password"), body.get("password_hash")
    if password is not None and hashed is not None:
        return ["password_hash and password cannot be specified in a single request"]
    if hashed is not None:
        if isinstance(hashed, str) and is_supported_hash(hashed):
            return []
        return [
            "The provided password hash is not a hash or it could not be resolved to a supported hash algorithm. The "
            "supported password hash algorithms are [bcrypt, pbkdf2]"
        ]
    if password is None:
        return ["password is missing"] if required else []
    if not isinstance(password, str):
        return ["expected field [password] to be a string"]
    problem = problem_with(password)
    return [] if problem is None else [problem]
