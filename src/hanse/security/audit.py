"""The audit trail: who did or tried what, one JSON object a line, in `<cluster>_audit.json` (mode 0600).

Off by default; the gate then pays one attribute look-up. On, lines are written by one background thread in the order
of events, so that no request waits for the disk; what the queue cannot hold is counted and said, not lost silently.
Never holds passwords, request bodies or documents. Tests: tests/security/test_audit.py.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from hanse.errors import SettingsError
from hanse.security.settings import AUDIT_ENABLED, AUDIT_EXCLUDE, AUDIT_INCLUDE
from hanse.settings.registry import Settings
from hanse.transport.actions import Origin
from hanse.transport.identity import Identity

log = structlog.get_logger(__name__)

QUEUE_EVENTS_MAX = 100_000


def _now() -> datetime:
    return datetime.now(UTC)


class Audit:
    """Writes events when enabled. `OFF` is the one that never does."""

    def __init__(
        self,
        path: Path | None,
        *,
        cluster_name: str = "",
        node_id: Callable[[], str] = lambda: "",
        include: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
        now: Callable[[], datetime] = _now,
    ) -> None:
        self.enabled = path is not None
        self._events = frozenset(include) - frozenset(exclude) if "_all" not in include else None
        self._excluded = frozenset(exclude)
        self._cluster_name = cluster_name
        self._node_id = node_id
        self._now = now
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUE_EVENTS_MAX)
        self._dropped = 0
        self._writer: threading.Thread | None = None
        if path is not None:
            self._open(path)

    @classmethod
    def from_settings(cls, settings: Settings, logs_path: Path, cluster_name: str, node_id: Callable[[], str]) -> Audit:
        if not settings.read(AUDIT_ENABLED):
            return OFF
        return cls(
            logs_path / f"{cluster_name}_audit.json",
            cluster_name=cluster_name,
            node_id=node_id,
            include=settings.read(AUDIT_INCLUDE),
            exclude=settings.read(AUDIT_EXCLUDE),
        )

    def _open(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise SettingsError(f"cannot write the audit file [{path}]: {error.strerror}") from error
        self._writer = threading.Thread(target=self._write, args=(descriptor,), name="audit", daemon=True)
        self._writer.start()

    def _write(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            while (line := self._queue.get()) is not None:
                try:
                    file.write(line)
                except OSError:
                    log.exception("an audit event could not be written")

    def close(self) -> None:
        """Writes what is queued and closes the file."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
            self._writer = None
            self.enabled = False

    def access_granted(
        self, action: str, identity: Identity, origin: Origin, indices: Sequence[str], peer: str | None = None
    ) -> None:
        """`peer` names the remote peer whose ceiling held the request; empty for one that nobody listed."""
        self._access("access_granted", action, identity, origin, indices, peer)

    def access_denied(
        self, action: str, identity: Identity, origin: Origin, indices: Sequence[str], peer: str | None = None
    ) -> None:
        self._access("access_denied", action, identity, origin, indices, peer)

    def run_as_denied(self, action: str, identity: Identity, origin: Origin) -> None:
        self._access("run_as_denied", action, identity, origin, ())

    def authentication_success(self, identity: Identity, uri: str, address: str) -> None:
        if self._wants("authentication_success"):
            self._emit("rest", "authentication_success", {**_url(uri), **_user(identity), **_address("rest", address)})

    def authentication_failed(self, username: str | None, uri: str, address: str) -> None:
        event = "authentication_failed" if username is not None else "anonymous_access_denied"
        if self._wants(event):
            named = {} if username is None else {"user.name": username}
            self._emit("rest", event, {**_url(uri), **named, **_address("rest", address)})

    def security_changed(self, event: str, identity: Identity, name: str) -> None:
        """A user, role or key was changed: the name, never the content."""
        if self._wants("security_config_change"):
            self._emit("security_config_change", event, {**_user(identity), "entry.name": name})

    def _access(
        self,
        event: str,
        action: str,
        identity: Identity,
        origin: Origin,
        indices: Sequence[str],
        peer: str | None = None,
    ) -> None:
        if not self._wants(event) or (identity.is_internal and event == "access_granted"):
            return
        fields: dict[str, Any] = {
            "action": action,
            **_user(identity),
            **_address("local_node" if origin.kind == "local" else origin.kind, origin.address),
            **_peer(peer, origin),
        }
        if indices:
            fields["indices"] = list(indices)
        if origin.opaque_id:
            fields["opaque_id"] = origin.opaque_id
        self._emit("transport", event, fields)

    def _wants(self, event: str) -> bool:
        return self.enabled and event not in self._excluded and (self._events is None or event in self._events)

    def _emit(self, event_type: str, event: str, fields: dict[str, Any]) -> None:
        moment = self._now()
        line = {
            "type": "audit",
            "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S},{moment.microsecond // 1000:03d}{moment:%z}",
            "cluster.name": self._cluster_name,
            "node.id": self._node_id(),
            "event.type": event_type,
            "event.action": event,
            **fields,
        }
        try:
            self._queue.put_nowait(msgspec.json.encode(line) + b"\n")
        except queue.Full:
            self._dropped += 1
            if self._dropped.bit_count() == 1:
                log.error("audit events were dropped, the disk does not keep up", dropped=self._dropped)


def _url(uri: str) -> dict[str, str]:
    path, question, query = uri.partition("?")
    return {"url.path": path, **({"url.query": query} if question else {})}


def _address(kind: str, address: str) -> dict[str, str]:
    return {"origin.type": kind, **({"origin.address": address} if address else {})}


def _peer(name: str | None, origin: Origin) -> dict[str, Any]:
    fields = {"peer.name": name} if name else {}
    if origin.peer is not None:
        fields["peer.certificate.serial_number"] = origin.peer.serial_number
        fields["peer.certificate.subject"] = origin.peer.subject
    return fields


def _user(identity: Identity) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "user.name": identity.username,
        "user.realm": identity.realm.name,
        "user.roles": list(identity.roles),
        "authentication.type": identity.authentication_type.upper(),
    }
    if identity.run_by is not None:
        fields["user.run_by.name"] = identity.run_by.username
        fields["user.run_by.realm"] = identity.run_by.realm.name
    if identity.api_key is not None:
        fields["apikey.id"] = str(identity.api_key.get("id", ""))
        fields["apikey.name"] = str(identity.api_key.get("name", ""))
    return fields


OFF = Audit(None)
