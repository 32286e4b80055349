"""Requests, answers and action names of the security room's own APIs (`_security/*`, `_tasks`).

An `Answer` is the JSON body and its status, since several of these APIs answer 404 with a body of their own.
Tests: tests/security/test_user_actions.py and its neighbours.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.errors import IllegalArgumentError
from hanse.security.own_account import CHANGE_PASSWORD_NAME, HAS_PRIVILEGES_NAME, LIST_PRIVILEGES_NAME
from hanse.security.running import TaskInfo
from hanse.transport.actions import Action, Empty, Scope
from hanse.transport.identity import Identity

_SECURITY = "cluster:admin/xpack/security/"


class Answer(msgspec.Struct, frozen=True):
    body: dict[str, Any]
    status: int = 200


def cleared() -> Answer:
    """What clearing a cache answers: every node has done it, and there is one."""
    return Answer({"_nodes": {"total": 1, "successful": 1, "failed": 0}, "nodes": {}})


class ByNames(msgspec.Struct, frozen=True):
    """Get or clear by name (no names means all); delete takes exactly one."""

    names: tuple[str, ...] = ()

    @property
    def only(self) -> str:
        if len(self.names) != 1:
            raise IllegalArgumentError(f"exactly one name is expected, but found [{','.join(self.names)}]")
        return self.names[0]


class PutUser(msgspec.Struct, frozen=True):
    username: str
    body: dict[str, Any]


class GetUsers(msgspec.Struct, frozen=True):
    names: tuple[str, ...] = ()
    with_profile_uid: bool = False


class ChangePassword(msgspec.Struct, frozen=True):
    """`username` None: one's own."""

    body: dict[str, Any]
    username: str | None = None


class SetEnabled(msgspec.Struct, frozen=True):
    username: str
    enabled: bool


class PutRole(msgspec.Struct, frozen=True):
    name: str
    body: dict[str, Any]


class BulkRoles(msgspec.Struct, frozen=True):
    """`{"roles": {...}}` to put, `{"names": [...]}` to delete."""

    body: dict[str, Any]


class Query(msgspec.Struct, frozen=True):
    """Body of the `_security/_query/*` APIs: query, sort, from, size."""

    body: dict[str, Any] = {}
    with_limited_by: bool = False

    def concerns(self, identity: Identity) -> bool:
        """A query for keys shows somebody who manages only their own just these; to a key nothing of its owner."""
        return identity.api_key is None or not self.with_limited_by


class HasPrivileges(msgspec.Struct, frozen=True):
    body: dict[str, Any]
    username: str | None = None


class ListPrivileges(msgspec.Struct, frozen=True):
    username: str | None = None


class PutRoleMapping(msgspec.Struct, frozen=True):
    name: str
    body: dict[str, Any]


class PutApplicationPrivileges(msgspec.Struct, frozen=True):
    body: dict[str, Any]


class ApplicationPrivilegeNames(msgspec.Struct, frozen=True):
    application: str | None = None
    names: tuple[str, ...] = ()


class CreateApiKey(msgspec.Struct, frozen=True):
    body: dict[str, Any]

    def concerns(self, identity: Identity) -> bool:
        return True


class UpdateApiKey(msgspec.Struct, frozen=True):
    """The handler lets only the owner update a key."""

    id: str
    body: dict[str, Any]

    def concerns(self, identity: Identity) -> bool:
        return identity.api_key is None


class GetApiKeys(msgspec.Struct, frozen=True):
    id: str | None = None
    name: str | None = None
    username: str | None = None
    realm_name: str | None = None
    owner: bool = False
    active_only: bool = False
    with_limited_by: bool = False

    def concerns(self, identity: Identity) -> bool:
        if identity.api_key is not None:
            # A key that may see what limits it would learn its owner's roles.
            return not self.with_limited_by and (
                self.owner or (self.id is not None and self.id == identity.api_key.get("id"))
            )
        return self.owner or (self.username == identity.username and self.realm_name == identity.realm.name)


class InvalidateApiKeys(msgspec.Struct, frozen=True):
    body: dict[str, Any]

    def concerns(self, identity: Identity) -> bool:
        if identity.api_key is not None:
            return self.body.get("owner") is True or self.body.get("ids") == [identity.api_key.get("id")]
        named = (self.body.get("username"), self.body.get("realm_name"))
        return self.body.get("owner") is True or named == (identity.username, identity.realm.name)


class ListTasks(msgspec.Struct, frozen=True):
    """`nodes` are node filters, `actions` name patterns; `parent_task_id` is `node:number`."""

    actions: tuple[str, ...] = ()
    parent_task_id: str | None = None
    nodes: tuple[str, ...] = ()
    timeout_s: float | None = None


class Tasks(msgspec.Struct, frozen=True):
    """`node_failures`: nodes that did not answer, as Elasticsearch shows them."""

    tasks: list[TaskInfo]
    node_failures: list[dict[str, Any]] = []


class TaskId(msgspec.Struct, frozen=True):
    """`node:number`."""

    id: str


class CancelTasks(msgspec.Struct, frozen=True):
    """One by its id or, without one, all that fit."""

    id: str | None = None
    actions: tuple[str, ...] = ()
    parent_task_id: str | None = None
    nodes: tuple[str, ...] = ()
    timeout_s: float | None = None


AUTHENTICATE = Action(_SECURITY + "user/authenticate", Empty, Answer, Scope.AUTHENTICATED)
PUT_USER = Action(_SECURITY + "user/put", PutUser, Answer, Scope.CLUSTER)
GET_USERS = Action(_SECURITY + "user/get", GetUsers, Answer, Scope.CLUSTER)
DELETE_USER = Action(_SECURITY + "user/delete", ByNames, Answer, Scope.CLUSTER)
QUERY_USERS = Action(_SECURITY + "user/query", Query, Answer, Scope.CLUSTER)
CHANGE_PASSWORD = Action(CHANGE_PASSWORD_NAME, ChangePassword, Answer, Scope.CLUSTER)
SET_ENABLED = Action(_SECURITY + "user/set_enabled", SetEnabled, Answer, Scope.CLUSTER)
HAS_PRIVILEGES = Action(HAS_PRIVILEGES_NAME, HasPrivileges, Answer, Scope.CLUSTER)
LIST_PRIVILEGES = Action(LIST_PRIVILEGES_NAME, ListPrivileges, Answer, Scope.CLUSTER)
BUILTIN_PRIVILEGES = Action(_SECURITY + "privilege/builtin/get", Empty, Answer, Scope.CLUSTER)
PUT_PRIVILEGES = Action(_SECURITY + "privilege/put", PutApplicationPrivileges, Answer, Scope.CLUSTER)
GET_PRIVILEGES = Action(_SECURITY + "privilege/get", ApplicationPrivilegeNames, Answer, Scope.CLUSTER)
DELETE_PRIVILEGES = Action(_SECURITY + "privilege/delete", ApplicationPrivilegeNames, Answer, Scope.CLUSTER)
CLEAR_PRIVILEGES_CACHE = Action(_SECURITY + "privilege/cache/clear", ByNames, Answer, Scope.CLUSTER)
PUT_ROLE = Action(_SECURITY + "role/put", PutRole, Answer, Scope.CLUSTER)
GET_ROLES = Action(_SECURITY + "role/get", ByNames, Answer, Scope.CLUSTER)
DELETE_ROLE = Action(_SECURITY + "role/delete", ByNames, Answer, Scope.CLUSTER)
BULK_PUT_ROLES = Action(_SECURITY + "role/bulk_put", BulkRoles, Answer, Scope.CLUSTER)
BULK_DELETE_ROLES = Action(_SECURITY + "role/bulk_delete", BulkRoles, Answer, Scope.CLUSTER)
QUERY_ROLES = Action(_SECURITY + "role/query", Query, Answer, Scope.CLUSTER)
CLEAR_ROLES_CACHE = Action(_SECURITY + "roles/cache/clear", ByNames, Answer, Scope.CLUSTER)
CLEAR_REALM_CACHE = Action(_SECURITY + "realm/cache/clear", ByNames, Answer, Scope.CLUSTER)
PUT_ROLE_MAPPING = Action(_SECURITY + "role_mapping/put", PutRoleMapping, Answer, Scope.CLUSTER)
GET_ROLE_MAPPINGS = Action(_SECURITY + "role_mapping/get", ByNames, Answer, Scope.CLUSTER)
DELETE_ROLE_MAPPING = Action(_SECURITY + "role_mapping/delete", ByNames, Answer, Scope.CLUSTER)
CREATE_API_KEY = Action(_SECURITY + "api_key/create", CreateApiKey, Answer, Scope.CLUSTER)
UPDATE_API_KEY = Action(_SECURITY + "api_key/update", UpdateApiKey, Answer, Scope.CLUSTER)
GET_API_KEYS = Action(_SECURITY + "api_key/get", GetApiKeys, Answer, Scope.CLUSTER)
QUERY_API_KEYS = Action(_SECURITY + "api_key/query", Query, Answer, Scope.CLUSTER)
INVALIDATE_API_KEYS = Action(_SECURITY + "api_key/invalidate", InvalidateApiKeys, Answer, Scope.CLUSTER)
CLEAR_API_KEY_CACHE = Action(_SECURITY + "api_key/cache/clear", ByNames, Answer, Scope.CLUSTER)

LIST_TASKS = Action("cluster:monitor/tasks/lists", ListTasks, Tasks, Scope.CLUSTER)
GET_TASK = Action("cluster:monitor/task/get", TaskId, TaskInfo, Scope.CLUSTER)
CANCEL_TASKS = Action("cluster:admin/tasks/cancel", CancelTasks, Tasks, Scope.CLUSTER)
LIST_TASKS_OF_NODE = Action("cluster:monitor/tasks/lists[n]", ListTasks, Tasks, Scope.CLUSTER, within=True)
GET_TASK_OF_NODE = Action("cluster:monitor/task/get[n]", TaskId, TaskInfo, Scope.CLUSTER, within=True)
CANCEL_TASKS_OF_NODE = Action("cluster:admin/tasks/cancel[n]", CancelTasks, Tasks, Scope.CLUSTER, within=True)
