"""Requests and actions of remote peers (`_security/remote_peer`) and of `_security/_explain`.

Tests: tests/security/test_peer_actions.py, tests/security/test_explanation.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.security.requests import Answer, ByNames
from hanse.transport.actions import Action, Scope

_SECURITY = "cluster:admin/xpack/security/"


class PutRemotePeer(msgspec.Struct, frozen=True):
    name: str
    body: dict[str, Any]


class Explain(msgspec.Struct, frozen=True):
    """May this user do this? `action` is an action's name, or `search` or `replication`.

    `roles` and `realm` are given for a user whom this cluster's realms need not know; `dn` instead of a name for one
    who is known by certificate.
    """

    username: str
    action: str = "search"
    indices: tuple[str, ...] = ()
    peer: str | None = None
    roles: tuple[str, ...] | None = None
    realm: str | None = None
    dn: str | None = None


PUT_REMOTE_PEER = Action(_SECURITY + "remote_peer/put", PutRemotePeer, Answer, Scope.CLUSTER)
GET_REMOTE_PEERS = Action(_SECURITY + "remote_peer/get", ByNames, Answer, Scope.CLUSTER)
DELETE_REMOTE_PEER = Action(_SECURITY + "remote_peer/delete", ByNames, Answer, Scope.CLUSTER)
EXPLAIN = Action(_SECURITY + "explain", Explain, Answer, Scope.CLUSTER)
