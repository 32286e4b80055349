"""`POST /_security/delegate_pki`: there so that a proxy is told why it cannot log its users in by their certificates.

Delegation would hand out tokens of a token service, which does not exist here, and would make every holder of the
privilege `delegate_pki` able to be anybody. Tests: tests/rest/test_security.py.
"""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from hanse.errors import IllegalArgumentError
from hanse.security.requests import Answer
from hanse.transport.actions import Action, ActionRegistry, Call, Scope


class DelegatePki(msgspec.Struct, frozen=True):
    body: dict[str, Any]


DELEGATE_PKI = Action("cluster:admin/xpack/security/delegate_pki", DelegatePki, Answer, Scope.CLUSTER)


async def refuse(call: Call, request: DelegatePki) -> NoReturn:
    raise IllegalArgumentError(
        "delegated PKI authentication is not supported: there is no token service; let the client itself show its "
        "certificate, through a proxy that passes TLS on, or let the proxy act for users with [es-security-runas-user]"
    )


def register(registry: ActionRegistry) -> None:
    registry.register(DELEGATE_PKI, refuse)
