"""Makes the 403 for a refused action: whose roles, or which peer's ceiling, stood against it.

Only looked into when something was refused, so it may ask again what the gate has asked before.
Tests: tests/security/test_gate.py, tests/security/test_peer_gate.py.
"""

from __future__ import annotations

from collections.abc import Collection

from hanse.errors import SecurityError
from hanse.security import denial
from hanse.security.ceilings import Ceiling
from hanse.security.permission import is_restricted
from hanse.security.privileges import cluster_privileges_granting, index_privileges_granting
from hanse.security.role_store import RoleStore
from hanse.transport.identity import Identity


class Refusals:
    """Words refusals from what the roles of this cluster are."""

    def __init__(self, roles: RoleStore) -> None:
        self._roles = roles

    def of_cluster(self, action: str, identity: Identity, ceiling: Ceiling | None = None) -> SecurityError:
        permission = self._roles.permission(identity)
        if ceiling is not None and permission.allows_cluster(action):
            return denial.beyond_ceiling(action, identity, (), ceiling.why(action))
        return denial.unauthorized(
            action,
            identity,
            found=permission.found,
            missing=permission.missing,
            kind="cluster",
            privileges=cluster_privileges_granting(action),
        )

    def of_index(
        self, action: str, identity: Identity, indices: Collection[str], ceiling: Ceiling | None = None
    ) -> SecurityError:
        permission = self._roles.permission(identity)
        if ceiling is not None:
            limited = self._roles.permission(ceiling.limit(identity))
            decided = ceiling.decided(action, indices, permission, limited)
            if decided is not None:
                return denial.beyond_ceiling(action, identity, tuple(indices), decided)
        return denial.unauthorized(
            action,
            identity,
            found=permission.found,
            missing=permission.missing,
            indices=tuple(indices),
            restricted=bool(indices) and all(is_restricted(name) for name in indices),
            kind="index",
            privileges=index_privileges_granting(action),
        )
