"""REST of security: users, roles, privileges, role mappings, API keys. Shapes and rights are the security room's.

Tests: tests/rest/test_security.py, tests/journeys/.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hanse.errors import IllegalArgumentError
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.security import delegation, enrollment
from hanse.security import requests as security
from hanse.security.api_key_grant import GRANT_API_KEY, GrantApiKey
from hanse.transport.actions import Action, Empty

Build = Callable[[RestRequest], Any]


def register(routes: Routes) -> None:
    """Each row: methods, path, action, and how the typed request is read from the HTTP one."""

    def add(methods: str, path: str, action: Action[Any, Any], build: Build) -> None:
        handler = _handler(action, build)
        for method in methods.split("|"):
            routes.add(method, path, handler)

    names, name, body = _names, _name, _body
    add("GET", "/_security/_authenticate", security.AUTHENTICATE, lambda _: Empty())

    add("GET", "/_security/user", security.GET_USERS, lambda r: security.GetUsers())
    add(
        "GET",
        "/_security/user/{name}",
        security.GET_USERS,
        lambda r: security.GetUsers(names(r), r.flag("with_profile_uid")),
    )
    add("PUT|POST", "/_security/user/{name}", security.PUT_USER, lambda r: security.PutUser(name(r), body(r)))
    add("DELETE", "/_security/user/{name}", security.DELETE_USER, lambda r: security.ByNames((name(r),)))
    add("PUT|POST", "/_security/user/_password", security.CHANGE_PASSWORD, lambda r: security.ChangePassword(body(r)))
    add(
        "PUT|POST",
        "/_security/user/{name}/_password",
        security.CHANGE_PASSWORD,
        lambda r: security.ChangePassword(body(r), name(r)),
    )
    for path, enabled in (("_enable", True), ("_disable", False)):
        add("PUT|POST", f"/_security/user/{{name}}/{path}", security.SET_ENABLED, _set_enabled(enabled))
    add("GET|POST", "/_security/_query/user", security.QUERY_USERS, lambda r: security.Query(r.json_object()))

    add("GET", "/_security/role", security.GET_ROLES, lambda r: security.ByNames())
    add("GET", "/_security/role/{name}", security.GET_ROLES, lambda r: security.ByNames(names(r)))
    add("PUT|POST", "/_security/role/{name}", security.PUT_ROLE, lambda r: security.PutRole(name(r), body(r)))
    add("DELETE", "/_security/role/{name}", security.DELETE_ROLE, lambda r: security.ByNames((name(r),)))
    add("POST", "/_security/role", security.BULK_PUT_ROLES, lambda r: security.BulkRoles(body(r)))
    add("DELETE", "/_security/role", security.BULK_DELETE_ROLES, lambda r: security.BulkRoles(body(r)))
    add("GET|POST", "/_security/_query/role", security.QUERY_ROLES, lambda r: security.Query(r.json_object()))

    add(
        "GET|POST",
        "/_security/user/_has_privileges",
        security.HAS_PRIVILEGES,
        lambda r: security.HasPrivileges(body(r)),
    )
    add(
        "GET|POST",
        "/_security/user/{name}/_has_privileges",
        security.HAS_PRIVILEGES,
        lambda r: security.HasPrivileges(body(r), name(r)),
    )
    add("GET", "/_security/user/_privileges", security.LIST_PRIVILEGES, lambda r: security.ListPrivileges())
    add("GET", "/_security/privilege/_builtin", security.BUILTIN_PRIVILEGES, lambda r: Empty())
    add("GET", "/_security/privilege", security.GET_PRIVILEGES, lambda r: security.ApplicationPrivilegeNames())
    for tail in ("", "/{name}"):
        path = "/_security/privilege/{application}" + tail
        add("GET", path, security.GET_PRIVILEGES, _application)
    add("DELETE", "/_security/privilege/{application}/{name}", security.DELETE_PRIVILEGES, _application)
    add(
        "PUT|POST",
        "/_security/privilege",
        security.PUT_PRIVILEGES,
        lambda r: security.PutApplicationPrivileges(body(r)),
    )

    mapping = "/_security/role_mapping"
    add("GET", mapping, security.GET_ROLE_MAPPINGS, lambda r: security.ByNames())
    add("GET", f"{mapping}/{{name}}", security.GET_ROLE_MAPPINGS, lambda r: security.ByNames(names(r)))
    add(
        "PUT|POST",
        f"{mapping}/{{name}}",
        security.PUT_ROLE_MAPPING,
        lambda r: security.PutRoleMapping(name(r), body(r)),
    )
    add("DELETE", f"{mapping}/{{name}}", security.DELETE_ROLE_MAPPING, lambda r: security.ByNames((name(r),)))

    key = "/_security/api_key"
    add("PUT|POST", key, security.CREATE_API_KEY, lambda r: security.CreateApiKey(body(r)))
    add("PUT|POST", f"{key}/grant", GRANT_API_KEY, lambda r: GrantApiKey(body(r)))
    add("PUT", f"{key}/{{name}}", security.UPDATE_API_KEY, lambda r: security.UpdateApiKey(name(r), r.json_object()))
    add("GET", key, security.GET_API_KEYS, _get_api_keys)
    add("DELETE", key, security.INVALIDATE_API_KEYS, lambda r: security.InvalidateApiKeys(body(r)))
    add(
        "GET|POST",
        "/_security/_query/api_key",
        security.QUERY_API_KEYS,
        lambda r: security.Query(r.json_object(), r.flag("with_limited_by")),
    )

    add(
        "POST",
        "/_security/delegate_pki",
        delegation.DELEGATE_PKI,
        lambda request: delegation.DelegatePki(request.json_object(required=True)),
    )
    add("GET", "/_security/enroll/node", enrollment.ENROLL_NODE, lambda _: Empty())
    add("GET", "/_security/enroll/kibana", enrollment.ENROLL_KIBANA, lambda _: Empty())

    for what, action in (
        ("realm", security.CLEAR_REALM_CACHE),
        ("role", security.CLEAR_ROLES_CACHE),
        ("api_key", security.CLEAR_API_KEY_CACHE),
        ("privilege", security.CLEAR_PRIVILEGES_CACHE),
    ):
        add(
            "POST|PUT",
            f"/_security/{what}/{{name}}/_clear_cache",
            action,
            lambda r: security.ByNames(names(r)),
        )


def _handler(action: Action[Any, Any], build: Build) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        request.accept("refresh", "usernames", "typed_keys", "with_profile_uid", "master_timeout")
        answer = await request.run(action, build(request))
        return RestResponse.answered(answer)

    return handler


def _set_enabled(enabled: bool) -> Build:
    return lambda request: security.SetEnabled(_name(request), enabled)


def _name(request: RestRequest) -> str:
    return request.path("name")


def _names(request: RestRequest) -> tuple[str, ...]:
    return request.names("name")


def _body(request: RestRequest) -> dict[str, Any]:
    return request.json_object(required=True)


def _application(request: RestRequest) -> security.ApplicationPrivilegeNames:
    names = request.names("name") if request.has_path("name") else ()
    return security.ApplicationPrivilegeNames(request.path("application"), names)


def _get_api_keys(request: RestRequest) -> security.GetApiKeys:
    found = security.GetApiKeys(
        id=request.text("id"),
        name=request.text("name"),
        username=request.text("username"),
        realm_name=request.text("realm_name"),
        owner=request.flag("owner"),
        active_only=request.flag("active_only"),
        with_limited_by=request.flag("with_limited_by"),
    )
    if found.owner and (found.username or found.realm_name):
        raise IllegalArgumentError("neither username nor realm-name may be specified when retrieving owned API keys")
    return found
