"""Enrollment: a node hands the keys of its cluster to a new one that shows a token, as Elasticsearch 8 does.

The token is an API key that may do this one thing for half an hour. What is handed out is read from the files at that
moment: the authority's key must lie in the HTTP keystore. Kibana cannot enroll: its service accounts do not exist here.
Tests: tests/security/test_enrollment.py, tests/journeys/test_tools.py.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from hanse.errors import HanseError, IllegalArgumentError, SettingsError, StatusError
from hanse.security.requests import Answer
from hanse.settings.registry import Scope as SettingScope
from hanse.settings.registry import Settings, boolean
from hanse.tls.authority import may_sign
from hanse.tls.pkcs12 import KeyEntry, Store, read_pkcs12
from hanse.tls.ssl_settings import HTTP, TRANSPORT, read_ssl_settings
from hanse.transport.actions import Action, ActionRegistry, Call, Empty, Scope

ENROLL_NODE_NAME = "cluster:admin/xpack/security/enroll/node"
ENROLL_NODE = Action(ENROLL_NODE_NAME, Empty, Answer, Scope.CLUSTER)
ENROLL_KIBANA = Action("cluster:admin/xpack/security/enroll/kibana", Empty, Answer, Scope.CLUSTER)

_ENABLED = boolean("xpack.security.enrollment.enabled", False, SettingScope.STATIC, "")


class EnrollmentKeys:
    """The keys in the keystores of this node's HTTP and transport settings."""

    def __init__(self, settings: Settings, config_dir: Path, secure: Mapping[str, str]) -> None:
        self._settings = settings
        self._config_dir = config_dir
        self._secure = secure

    def check_enabled(self) -> None:
        if not self._settings.read(_ENABLED):
            raise SettingsError(
                "[xpack.security.enrollment.enabled] must be set to `true` to create an enrollment token"
            )

    def http_authority(self) -> KeyEntry:
        """The authority that signs HTTP certificates. Raises SettingsError when its key is not at hand."""
        start = "Unable to create an enrollment token. Elasticsearch node HTTP layer SSL configuration"
        store = self._store(HTTP)
        if store is None:
            raise SettingsError(f"{start} is not configured with a keystore")
        found = [entry for entry in store.keys if may_sign(entry.chain[0])]
        if len(found) != 1:
            what = "doesn't contain any" if not found else "contains multiple"
            raise SettingsError(
                f"{start} Keystore {what} PrivateKey entries where the associated certificate is a CA certificate"
            )
        return found[0]

    def transport(self) -> tuple[KeyEntry, bytes | None]:
        """The node's own transport entry, and its authority's certificate (DER) when the store has it."""
        store = self._store(TRANSPORT)
        if store is None or len(store.keys) != 1:
            raise SettingsError(
                "Unable to enroll a node. Elasticsearch node transport layer SSL configuration Keystore doesn't "
                "contain exactly one PrivateKey entry"
            )
        anchors = [entry.certificate for entry in store.trusted] or list(store.others)
        authority = anchors[0].public_bytes(serialization.Encoding.DER) if anchors else None
        return store.keys[0], authority

    def _store(self, prefix: str) -> Store | None:
        found = read_ssl_settings(self._settings, prefix, self._config_dir, self._secure).keystore
        if found is None:
            return None
        try:
            return read_pkcs12(found.path.read_bytes(), found.password or "")
        except OSError as error:
            raise SettingsError(f"cannot read the keystore [{found.path}]: {error.strerror}") from error
        except IllegalArgumentError as error:
            raise SettingsError(f"cannot read the keystore [{found.path}]: {error.reason}") from error


class EnrollmentActions:
    """Handlers. `addresses` are the transport addresses a new node is told."""

    def __init__(self, keys: EnrollmentKeys, addresses: Callable[[], Sequence[str]]) -> None:
        self._keys = keys
        self._addresses = addresses

    def register(self, registry: ActionRegistry) -> None:
        registry.register(ENROLL_NODE, self.enroll_node)
        registry.register(ENROLL_KIBANA, self.enroll_kibana)

    async def enroll_node(self, call: Call, _: Empty) -> Answer:
        try:
            body = await asyncio.to_thread(self._handed_out)
        except SettingsError as error:
            raise IllegalArgumentError(error.reason) from error
        return Answer({**body, "nodes_addresses": list(self._addresses())})

    async def enroll_kibana(self, call: Call, _: Empty) -> Answer:
        raise _kibana_cannot()

    def _handed_out(self) -> dict[str, str]:
        self._keys.check_enabled()
        http = self._keys.http_authority()
        transport, authority = self._keys.transport()
        found = {
            "http_ca_key": _key(http),
            "http_ca_cert": _certificate(http),
            "transport_key": _key(transport),
            "transport_cert": _certificate(transport),
        }
        if authority is not None:
            found["transport_ca_cert"] = base64.b64encode(authority).decode()
        return found


def _kibana_cannot() -> HanseError:
    return StatusError(
        "Kibana cannot be enrolled: this node has no service accounts, whose token Kibana would get", 501
    )


def _key(entry: KeyEntry) -> str:
    plain = entry.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return base64.b64encode(plain).decode()


def _certificate(entry: KeyEntry) -> str:
    return base64.b64encode(entry.chain[0].public_bytes(serialization.Encoding.DER)).decode()
