"""API keys: create, show, update, invalidate. A derived key never exceeds its creator.

The secret is shown once, at creation. Tests: tests/security/test_api_key_actions.py.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from hanse import clock
from hanse.errors import ActionRequestValidationError, IllegalArgumentError, ResourceNotFoundError
from hanse.security import keys, requests
from hanse.security.audit import Audit
from hanse.security.entry_query import run_query
from hanse.security.patterns import NamePatterns
from hanse.security.requests import Answer
from hanse.security.role_store import RoleStore
from hanse.security.roles import RoleParsingError, parse_role, render_role
from hanse.security.store import Changes, Entries, SecurityStore
from hanse.settings.units import parse_time_s
from hanse.transport.actions import ActionRegistry, Call
from hanse.transport.identity import Identity

NAME_CHARS_MAX = 256


class ApiKeyActions:
    """Handlers over the security store."""

    def __init__(self, store: SecurityStore, roles: RoleStore, audit: Audit) -> None:
        self._store = store
        self._roles = roles
        self._audit = audit

    def register(self, registry: ActionRegistry) -> None:
        registry.register(requests.CREATE_API_KEY, self.create)
        registry.register(requests.UPDATE_API_KEY, self.update)
        registry.register(requests.GET_API_KEYS, self.get)
        registry.register(requests.QUERY_API_KEYS, self.query)
        registry.register(requests.INVALIDATE_API_KEYS, self.invalidate)
        registry.register(requests.CLEAR_API_KEY_CACHE, self.clear_cache)

    async def create(self, call: Call, request: requests.CreateApiKey) -> Answer:
        return await self.create_for(call.identity, call, request.body)

    async def create_for(self, owner: Identity, call: Call, body: Mapping[str, Any]) -> Answer:
        """A key of `owner`, made by the caller, whom the gate has let."""
        _check(body, {"name", "expiration", "role_descriptors", "metadata"})
        name = body.get("name")
        if not isinstance(name, str) or not name.strip() or len(name) > NAME_CHARS_MAX or name.startswith("_"):
            raise ActionRequestValidationError.of(
                "api key name is required, may not begin with an underscore and may not be more than "
                f"{NAME_CHARS_MAX} characters long"
            )
        descriptors = _descriptors(body)
        if owner.api_key is not None and (not descriptors or any(map(_grants_something, descriptors.values()))):
            raise IllegalArgumentError(
                "creating derived api keys requires an explicit role descriptor that is empty (has no privileges)"
            )
        id, secret, created = keys.new_id(), keys.new_secret(), clock.now_ms()
        stored = {
            "name": name,
            "type": "rest",
            "hash": keys.hash_secret(secret),
            "username": owner.username,
            "realm": owner.realm.name,
            "realm_type": owner.realm.type,
            "creation": created,
            "expiration": _expiration(body, created),
            "invalidated": False,
            "metadata": _metadata(body),
            "role_descriptors": descriptors,
            "limited_by": self._snapshot(owner),
        }
        await self._store.change(keys.KIND, lambda _: {id: stored})
        self._changed(call, "create_apikey", id)
        encoded = base64.b64encode(f"{id}:{secret}".encode()).decode()
        answer: dict[str, Any] = {"id": id, "name": name}
        if stored["expiration"] is not None:
            answer["expiration"] = stored["expiration"]
        return Answer({**answer, "api_key": secret, "encoded": encoded})

    async def update(self, call: Call, request: requests.UpdateApiKey) -> Answer:
        _check(request.body, {"role_descriptors", "metadata", "expiration"})
        if call.identity.api_key is not None:
            raise IllegalArgumentError(
                "authentication via API key not supported: only the owner user can update an API key"
            )
        new: dict[str, Any] = {"limited_by": self._snapshot(call.identity)}
        if "role_descriptors" in request.body:
            new["role_descriptors"] = _descriptors(request.body)
        if "metadata" in request.body:
            new["metadata"] = _metadata(request.body)
        if "expiration" in request.body:
            new["expiration"] = _expiration(request.body, clock.now_ms())
        updated = False

        def change(entries: Entries) -> Changes:
            nonlocal updated
            stored = entries.get(request.id)
            if stored is None or not _owned_by(stored, call.identity):
                raise ResourceNotFoundError(f"no API key owned by requesting user found for ID [{request.id}]")
            if not keys.is_active(stored, clock.now_ms()):
                raise IllegalArgumentError(f"cannot update invalidated or expired API key [{request.id}]")
            updated = {**stored, **new} != stored
            return {request.id: {**stored, **new}}

        await self._store.change(keys.KIND, change)
        self._changed(call, "change_apikey", request.id)
        return Answer({"updated": updated})

    async def get(self, call: Call, request: requests.GetApiKeys) -> Answer:
        found = self._find(
            call.identity,
            ids=None if request.id is None else [request.id],
            name=request.name,
            username=request.username,
            realm=request.realm_name,
            owner=request.owner,
        )
        if request.active_only:
            found = {id: key for id, key in found.items() if keys.is_active(key, clock.now_ms())}
        if request.id is not None and not found:
            raise ResourceNotFoundError(f"api key with id [{request.id}] not found")
        return Answer({"api_keys": [_shown(id, key, request.with_limited_by) for id, key in found.items()]})

    async def query(self, call: Call, request: requests.Query) -> Answer:
        everything = self._roles.permission(call.identity).allows_cluster(requests.QUERY_API_KEYS.name)
        found = self._find(call.identity, owner=not everything)
        shown = [_shown(id, key, request.with_limited_by) for id, key in found.items()]
        return Answer(run_query(request.body, shown, key="id", answer="api_keys"))

    async def invalidate(self, call: Call, request: requests.InvalidateApiKeys) -> Answer:
        body = request.body
        _check(body, {"id", "ids", "name", "owner", "realm_name", "username"})
        ids = body.get("ids") or ([body["id"]] if body.get("id") else None)
        if ids is None and not any(body.get(field) for field in ("name", "owner", "realm_name", "username")):
            raise ActionRequestValidationError.of(
                "One of [api key id(s), api key name, username, realm name] must be specified if [owner] flag is false"
            )
        found = self._find(
            call.identity,
            ids=ids,
            name=body.get("name"),
            username=body.get("username"),
            realm=body.get("realm_name"),
            owner=bool(body.get("owner")),
        )
        active = [id for id, key in found.items() if not key.get("invalidated")]
        stamp = {"invalidated": True, "invalidation": clock.now_ms()}
        await self._store.change(
            keys.KIND, lambda entries: {id: {**entries[id], **stamp} for id in active if id in entries}
        )
        for id in active:
            self._changed(call, "invalidate_apikeys", id)
        return Answer(
            {
                "invalidated_api_keys": active,
                # Only who names keys by id hears that they were invalid already.
                "previously_invalidated_api_keys": [id for id in found if id not in active] if ids else [],
                "error_count": 0,
            }
        )

    async def clear_cache(self, call: Call, request: requests.ByNames) -> Answer:
        self._roles.clear()
        return requests.cleared()

    def _find(
        self,
        caller: Identity,
        *,
        ids: Iterable[str] | None = None,
        name: str | None = None,
        username: str | None = None,
        realm: str | None = None,
        owner: bool = False,
    ) -> Entries:
        wanted_ids = None if ids is None else set(ids)
        names = None if name is None else NamePatterns([name])
        own_id = caller.api_key.get("id") if caller.api_key is not None else None

        def wanted(id: str, key: Mapping[str, Any]) -> bool:
            return (
                (wanted_ids is None or id in wanted_ids)
                and (names is None or names.matches(key["name"]))
                and (username is None or key["username"] == username)
                and (realm is None or key["realm"] == realm)
                and (not owner or (id == own_id if own_id is not None else _owned_by(key, caller)))
            )

        return {id: key for id, key in self._store.entries(keys.KIND).items() if wanted(id, key)}

    def _snapshot(self, owner: Identity) -> dict[str, Any]:
        """What the owner may do now: the ceiling of the key for ever."""
        permission = self._roles.permission(owner)
        if permission.ceiling is not None:
            permission = permission.ceiling
        return {role.name: _without_display(render_role(role)) for role in permission.descriptors}

    def _changed(self, call: Call, event: str, id: str) -> None:
        if self._audit.enabled:
            self._audit.security_changed(event, call.identity, id)


def _check(body: Mapping[str, Any], known: set[str]) -> None:
    for field in body:
        if field not in known:
            raise RoleParsingError(f"[api_key_request] unknown field [{field}]")


def _descriptors(body: Mapping[str, Any]) -> dict[str, Any]:
    given = body.get("role_descriptors") or {}
    if not isinstance(given, Mapping):
        raise RoleParsingError("[role_descriptors] must be an object")
    return {name: _without_display(render_role(parse_role(name, role))) for name, role in given.items()}


def _without_display(rendered: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in rendered.items() if key != "transient_metadata"}


def _grants_something(descriptor: Mapping[str, Any]) -> bool:
    return any(descriptor.get(field) for field in ("cluster", "indices", "applications", "run_as", "remote_indices"))


def _metadata(body: Mapping[str, Any]) -> dict[str, Any]:
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, Mapping) or any(key.startswith("_") for key in metadata):
        raise ActionRequestValidationError.of("API key metadata keys may not start with [_]")
    return dict(metadata)


def _expiration(body: Mapping[str, Any], now: int) -> int | None:
    text = body.get("expiration")
    if text is None:
        return None
    return now + int(parse_time_s(str(text), "expiration") * 1000)


def _owned_by(key: Mapping[str, Any], identity: Identity) -> bool:
    return bool(key["username"] == identity.username and key["realm"] == identity.realm.name)


def _shown(id: str, key: Mapping[str, Any], with_limited_by: bool) -> dict[str, Any]:
    shown = {
        "id": id,
        "name": key["name"],
        "type": key["type"],
        "creation": key["creation"],
        "invalidated": key["invalidated"],
        "username": key["username"],
        "realm": key["realm"],
        "realm_type": key["realm_type"],
        "metadata": key["metadata"],
        "role_descriptors": _displayed(key["role_descriptors"]),
    }
    for field in ("expiration", "invalidation"):
        if key.get(field) is not None:
            shown[field] = key[field]
    if with_limited_by:
        shown["limited_by"] = [_displayed(key["limited_by"])]
    return shown


def _displayed(descriptors: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Descriptors with the member that is not stored, since no role is ever disabled here."""
    return {name: {**descriptor, "transient_metadata": {"enabled": True}} for name, descriptor in descriptors.items()}
