"""What everybody may do for themselves without a privilege: own password, own privileges, own API keys.

Tests: tests/security/test_user_actions.py, test_api_key_actions.py.
"""

from __future__ import annotations

from typing import Any

from hanse.security.permission import Permission
from hanse.transport.identity import Identity

CHANGE_PASSWORD_NAME = "cluster:admin/xpack/security/user/change_password"  # noqa: S105, an action name
HAS_PRIVILEGES_NAME = "cluster:admin/xpack/security/user/has_privileges"
LIST_PRIVILEGES_NAME = "cluster:admin/xpack/security/user/list_privileges"
API_KEY_PREFIX = "cluster:admin/xpack/security/api_key/"

_BY_USERNAME = frozenset({CHANGE_PASSWORD_NAME, HAS_PRIVILEGES_NAME, LIST_PRIVILEGES_NAME})
_OWN_KEY_ACTIONS = frozenset(API_KEY_PREFIX + verb for verb in ("create", "get", "query", "invalidate", "update"))


def concerns_own_account(action: str, request: Any, identity: Identity, permission: Permission | None) -> bool:
    """Whether the request is about the caller's own account. Without a request: whether it could be."""
    if action in _BY_USERNAME:
        if request is None:
            return True
        if request.username not in (None, identity.username):
            return False
        # A key is not its owner, and under run-as the password of the user who acts was never shown.
        return action != CHANGE_PASSWORD_NAME or (
            identity.run_by is None and identity.api_key is None and identity.realm.type in ("reserved", "native")
        )
    if action in _OWN_KEY_ACTIONS:
        if request is None or permission is None:
            return True
        return permission.allows_cluster(f"own:{action.removeprefix('cluster:admin/xpack/security/')}") and bool(
            request.concerns(identity)
        )
    return False
