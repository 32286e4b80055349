"""From HTTP credentials to an identity: `Authorization`, else a client certificate, and `es-security-runas-user`.

Raises 401 with the challenges a client may answer. Nothing here decides what the identity may do; whether a user may
act as another is decided by the gate for every action, here and on every remote.
Tests: tests/security/test_authentication.py.
"""

from __future__ import annotations

import binascii
from typing import Any

import msgspec

from hanse.errors import IllegalArgumentError
from hanse.security.audit import Audit
from hanse.security.builtin_roles import INTERNAL_USERS
from hanse.security.denial import failed_login, missing_credentials, unauthenticated
from hanse.security.keys import authenticate_key
from hanse.security.realms.chain import RealmChain
from hanse.transport.identity import Identity, RealmRef

NO_SUCH_USER = RealmRef("", "")
"""The realm of a run-as target that no realm knows: the gate refuses it with the sentence for run-as."""
HEADER_CHARS_MAX = 8192


class HttpCredentials(msgspec.Struct, frozen=True):
    """What of an HTTP request tells who asks. `uri` includes the query string; `peer` is a client certificate."""

    authorization: str | None = None
    run_as: str | None = None
    uri: str = "/"
    peer: Any = None
    address: str = ""


class Authenticator:
    """Asks the realm chain or the API keys."""

    def __init__(self, realms: RealmChain, audit: Audit) -> None:
        self._realms = realms
        self._audit = audit

    async def authenticate(self, request: HttpCredentials) -> Identity:
        identity = await self._login(request)
        if self._audit.enabled:
            self._audit.authentication_success(identity, request.uri, request.address)
        if request.run_as is None or not self._realms.run_as_enabled:
            return identity
        return self._acting_as(request.run_as, identity)

    async def _login(self, request: HttpCredentials) -> Identity:
        scheme, _, value = (request.authorization or "").partition(" ")
        scheme, value = scheme.lower(), value.strip()
        if scheme == "basic" and len(value) <= HEADER_CHARS_MAX:
            username, password = _basic(value)
            identity = await self._realms.authenticate(username, password)
        elif scheme == "apikey" and self._realms.api_keys_enabled and len(value) <= HEADER_CHARS_MAX:
            username, secret = _api_key(value)
            identity = await authenticate_key(self._realms, username, secret)
        elif not request.authorization and request.peer is not None:
            username, identity = request.peer.subject, self._realms.of_certificate(request.peer)
            if identity is None:
                self._failed(None, request)
                raise missing_credentials(request.uri)
        else:
            self._failed(None, request)
            raise missing_credentials(request.uri)
        if identity is None:
            self._failed(username, request)
            raise failed_login(username, request.uri)
        return identity

    def _acting_as(self, username: str, login: Identity) -> Identity:
        if not username.strip():
            raise IllegalArgumentError("the [es-security-runas-user] header must not be empty")
        found = None if username in INTERNAL_USERS else self._realms.find(username)
        if found is None:
            return Identity(username, (), NO_SUCH_USER, run_by=login)
        return msgspec.structs.replace(found, run_by=login)

    def _failed(self, username: str | None, request: HttpCredentials) -> None:
        if self._audit.enabled:
            self._audit.authentication_failed(username, request.uri, request.address)


def _basic(value: str) -> tuple[str, str]:
    decoded = _decode(value)
    if decoded is None:
        raise unauthenticated("invalid basic authentication header encoding")
    username, colon, password = decoded.partition(":")
    if not colon:
        raise unauthenticated("invalid basic authentication header value")
    return username, password


def _api_key(value: str) -> tuple[str, str]:
    decoded = _decode(value)
    id, colon, secret = (decoded or "").partition(":")
    if not colon or not id:
        raise unauthenticated("invalid ApiKey value")
    return id, secret


def _decode(value: str) -> str | None:
    try:
        return binascii.a2b_base64(value, strict_mode=True).decode()
    except (binascii.Error, ValueError):
        return None
