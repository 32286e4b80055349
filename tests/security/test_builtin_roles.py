from __future__ import annotations

from hanse.security.builtin_roles import BUILTIN_ROLES, RESERVED_USERS
from hanse.security.permission import Permission
from hanse.security.roles import render_role

READ = "indices:data/read/search"


def test_all_are_reserved_and_compile() -> None:
    for role in BUILTIN_ROLES.values():
        assert role.is_reserved
        assert render_role(role)["metadata"] == {"_reserved": True}
        Permission([role])


def test_every_reserved_user_has_roles_that_exist() -> None:
    assert {role for roles in RESERVED_USERS.values() for role in roles} <= set(BUILTIN_ROLES)


def test_viewer_reads_what_has_no_dot() -> None:
    viewer = Permission([BUILTIN_ROLES["viewer"]])
    assert viewer.allows_index(READ, "logs")
    assert not viewer.allows_index(READ, ".kibana")
    assert not viewer.allows_index("indices:data/write/index", "logs")


def test_there_is_no_role_for_crossing_clusters() -> None:
    assert not [name for name in BUILTIN_ROLES if "ccr" in name or "cross" in name]
