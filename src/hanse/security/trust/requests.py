"""Requests and actions of trust in one step (`_security/trust`). Tests: tests/security/trust/test_actions.py."""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.security.requests import Answer, ByNames
from hanse.transport.actions import Action, Empty, Scope

_TRUST = "cluster:admin/xpack/security/trust/"


class Invite(msgspec.Struct, frozen=True):
    """`alias`, `limits`, `expiration`, and where the other side finds this one: `addresses` (HTTPS), and
    `seeds` or `proxy_address` with `server_name` (transport)."""

    body: dict[str, Any]


class Accept(msgspec.Struct, frozen=True):
    """`token`, `alias`, `limits`, and `seeds`, or `proxy_address` with `server_name`, of this side."""

    body: dict[str, Any]


class Confirm(msgspec.Struct, frozen=True):
    """`id` and `sas`: the digits that the other side shows."""

    body: dict[str, Any]


class Turn(msgspec.Struct, frozen=True):
    """What the accepting node asks the inviting one. Only the API key of that very invitation may."""

    body: dict[str, Any]


INVITE = Action(_TRUST + "invite", Invite, Answer, Scope.CLUSTER)
ACCEPT = Action(_TRUST + "accept", Accept, Answer, Scope.CLUSTER)
CONFIRM = Action(_TRUST + "confirm", Confirm, Answer, Scope.CLUSTER)
EXCHANGE_NAME = _TRUST + "exchange"
EXCHANGE = Action(EXCHANGE_NAME, Turn, Answer, Scope.CLUSTER)
GET_PENDING = Action(_TRUST + "pending/get", ByNames, Answer, Scope.CLUSTER)
CANCEL = Action(_TRUST + "pending/cancel", ByNames, Answer, Scope.CLUSTER)
GET_TRUSTED = Action(_TRUST + "get", Empty, Answer, Scope.CLUSTER)
DELETE_TRUSTED = Action(_TRUST + "delete", ByNames, Answer, Scope.CLUSTER)
