"""Who asks: the identity that travels with every request inside a cluster and over its border.

Towards a remote cluster go the user, the realm and the *names* of the roles, never definitions (design, decision 5).
Tests: tests/transport/test_identity.py.
"""

from __future__ import annotations

from typing import Any

import msgspec


class RealmRef(msgspec.Struct, frozen=True):
    name: str
    type: str
    node: str = ""


class Identity(msgspec.Struct, frozen=True, omit_defaults=True):
    """An authenticated caller. With run-as, `username`/`roles` are the effective user's and `run_by` is who logged in.

    `authentication_type` is realm, api_key, token, anonymous or internal, as `_security/_authenticate` shows it.
    `through` names the remote peers by which the caller came into this cluster, when one node of it asks another: their
    ceiling lies over the caller there, too. From any other sender it means nothing.
    """

    username: str
    roles: tuple[str, ...] = ()
    realm: RealmRef = RealmRef("reserved", "reserved")
    full_name: str | None = None
    email: str | None = None
    metadata: dict[str, Any] = {}
    enabled: bool = True
    authentication_type: str = "realm"
    run_by: Identity | None = None
    api_key: dict[str, Any] | None = None
    through: str = ""

    @property
    def is_internal(self) -> bool:
        return self.authentication_type == "internal"


SYSTEM = Identity("_system", (), RealmRef("__attach", "__attach"), authentication_type="internal")
"""A node's own work: sniffing, leases, state polling. A peer may claim it only for internal actions."""

UNSECURED = Identity("_anonymous", ("superuser",), RealmRef("__anonymous", "__anonymous"))
"""Every caller while xpack.security.enabled is false."""
