"""Makes the 403 for a refused action: whose roles, or which peer's ceiling, stood against it.

Only looked into when something was refused, so it may ask again what the gate has asked before. Under a ceiling the
sentence depends on the roles that the ceiling accepts and on nothing else: a peer must not find out from refusals
which other roles there are, or what they grant outside its ceiling.
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

    def of_cluster(
        self, action: str, identity: Identity, ceiling: Ceiling | None = None, *, is_within: bool = False
    ) -> SecurityError:
        """`is_within`: the ceiling allows the action as a part of what was asked, so that roles decide."""
        if ceiling is not None and not is_within:
            return denial.beyond_ceiling(action, identity, (), ceiling.why(action))
        return self._of_roles(action, identity, (), ceiling, "cluster", cluster_privileges_granting(action))

    def of_index(
        self, action: str, identity: Identity, indices: Collection[str], ceiling: Ceiling | None = None
    ) -> SecurityError:
        if ceiling is not None and ceiling.forbids(action, indices):
            return denial.beyond_ceiling(action, identity, tuple(indices), ceiling.why(action))
        return self._of_roles(action, identity, indices, ceiling, "index", index_privileges_granting(action))

    def of_run_as(self, action: str, identity: Identity, ceiling: Ceiling | None = None) -> SecurityError:
        """The user who logged in may not act as the other."""
        login = identity.run_by or identity
        _, dropped = ((), ()) if ceiling is None else ceiling.sorted_roles(login)
        permission = self._roles.permission(login if ceiling is None else ceiling.limit(login))
        return denial.unauthorized_run_as(
            action,
            identity,
            found=permission.found,
            missing=permission.missing,
            note=ceiling.why_roles() if ceiling is not None and dropped else "",
        )

    def _of_roles(
        self,
        action: str,
        identity: Identity,
        indices: Collection[str],
        ceiling: Ceiling | None,
        kind: str,
        privileges: tuple[str, ...],
    ) -> SecurityError:
        note = ""
        if ceiling is not None:
            accepted, dropped = ceiling.sorted_roles(identity)
            if dropped and not accepted:
                return denial.beyond_ceiling(action, identity, tuple(indices), ceiling.why_roles())
            note = ceiling.why_roles() if dropped else ""
            identity = ceiling.limit(identity)
        permission = self._roles.permission(identity)
        return denial.unauthorized(
            action,
            identity,
            found=permission.found,
            missing=permission.missing,
            indices=tuple(indices),
            restricted=bool(indices) and all(is_restricted(name) for name in indices),
            kind=kind,
            privileges=privileges,
            note=note,
        )
