"""What the nodes' TLS contexts hold, and reading their files anew: `_ssl/certificates`, `_ssl/reload`, warnings.

Tests: tests/security/test_ssl_actions.py, tests/journeys/test_rotation.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from hanse.security.every_node import AskNodes, only
from hanse.tls.certificate_words import iso, shown_fields
from hanse.tls.contexts import Refused, TlsContexts
from hanse.tls.listing import WARN_DAYS, ListedCertificate
from hanse.tls.reload import Reloaded, Reloader
from hanse.transport.actions import Action, ActionRegistry, Call, Empty, Scope

log = structlog.get_logger(__name__)

WARN_EVERY_S = 86_400.0


class Certificates(msgspec.Struct, frozen=True):
    """In the answer of several nodes each says in `nodes` on which it is used."""

    certificates: list[dict[str, Any]]


class ReloadReport(msgspec.Struct, frozen=True):
    """Of one node: an entry for each TLS context."""

    node_id: str
    node_name: str
    contexts: dict[str, dict[str, Any]]


class Reloads(msgspec.Struct, frozen=True):
    """`failures`: nodes that did not answer, as Elasticsearch shows them."""

    reports: list[ReloadReport]
    failures: list[dict[str, Any]] = []


CERTIFICATES = Action("cluster:monitor/xpack/ssl/certificates/get", Empty, Certificates, Scope.CLUSTER)
RELOAD = Action("cluster:admin/xpack/ssl/reload", Empty, Reloads, Scope.CLUSTER)
CERTIFICATES_OF_NODE = Action(
    "cluster:monitor/xpack/ssl/certificates/get[n]", Empty, Certificates, Scope.CLUSTER, within=True
)
RELOAD_ON_NODE = Action("cluster:admin/xpack/ssl/reload[n]", Empty, ReloadReport, Scope.CLUSTER, within=True)


def _now() -> datetime:
    return datetime.now(UTC)


class SslActions:
    """Handlers over the contexts of every node, and of this one."""

    def __init__(
        self,
        reloader: Reloader,
        *,
        config_dir: Path,
        node_name: str,
        node_id: Callable[[], str],
        now: Callable[[], datetime] = _now,
        ask_nodes: AskNodes | None = None,
    ) -> None:
        self._ask_nodes = ask_nodes or only(node_id)
        self._reloader = reloader
        self._config_dir = config_dir
        self._node_name = node_name
        self._node_id = node_id
        self._now = now

    def register(self, registry: ActionRegistry) -> None:
        registry.register(CERTIFICATES, self.all_certificates)
        registry.register(RELOAD, self.reload_all)
        registry.register(CERTIFICATES_OF_NODE, self.certificates)
        registry.register(RELOAD_ON_NODE, self.reload)

    async def all_certificates(self, call: Call, request: Empty) -> Certificates:
        """Of every node that answers; what several nodes use alike is one entry. The answer is an array, so that only a
        warning can say that it lacks a node."""
        asked = await self._ask_nodes(call, (), CERTIFICATES_OF_NODE, request, None)
        for node, error in asked.failures.items():
            log.warning("the certificates of a node are not known", node=node, why=error.reason)
            call.warnings.append(f"the certificates of node [{node}] are not shown, it did not answer: {error.reason}")
        if len(asked.answers) + len(asked.failures) == 1 and asked.answers:
            return next(iter(asked.answers.values()))  # type: ignore[no-any-return]
        entries: list[dict[str, Any]] = []
        users: list[list[str]] = []
        for node, answer in asked.answers.items():
            for entry in answer.certificates:
                if entry not in entries:
                    entries.append(entry)
                    users.append([])
                users[entries.index(entry)].append(node)
        return Certificates([{**entry, "nodes": nodes} for entry, nodes in zip(entries, users, strict=True)])

    async def reload_all(self, call: Call, request: Empty) -> Reloads:
        asked = await self._ask_nodes(call, (), RELOAD_ON_NODE, request, None)
        return Reloads([*asked.answers.values()], asked.shown_failures())

    async def certificates(self, call: Call, request: Empty) -> Certificates:
        """One entry for each certificate, however many contexts use it. `reload_error` where newer files lie ready
        that cannot be used."""
        entries: dict[tuple[Any, ...], dict[str, Any]] = {}
        for contexts, one in self._listed():
            entry = self._entry(one)
            if contexts.reload_problem is not None:
                entry["reload_error"] = contexts.reload_problem
            entries.setdefault((entry["path"], entry["alias"], one.certificate), entry)
        return Certificates(list(entries.values()))

    async def reload(self, call: Call, request: Empty) -> ReloadReport:
        """Reads every file now. What cannot be used is reported, not raised: the old files stay in use."""
        outcomes = await self._reloader.reload()
        return ReloadReport(
            self._node_id(), self._node_name, {outcome.prefix: self._report(outcome) for outcome in outcomes}
        )

    def indicator(self) -> dict[str, Any]:
        """`tls_certificates` of the health report."""
        now = self._now()
        refused = {contexts.prefix: why for contexts in self._reloader.contexts if (why := contexts.reload_problem)}
        ending = [one for _, one in self._listed() if one.days_left(now) < WARN_DAYS]
        expired = [one for one in ending if one.certificate.not_valid_after_utc < now]
        indicator: dict[str, Any] = {
            "status": "red" if expired else "yellow" if ending or refused else "green",
            "symptom": _symptom(len(expired), len(ending) - len(expired), len(refused)),
            "details": {
                "certificates": len({one.certificate for _, one in self._listed()}),
                "expiring": [self._entry(one) for one in ending],
                "refused_reloads": refused,
            },
        }
        if ending or refused:
            indicator["impacts"] = [
                {
                    "id": "hanse:health:tls_certificates:impact:connections_refused",
                    "severity": 1 if expired else 3,
                    "description": "Nodes and clients refuse connections whose certificates have expired.",
                    "impact_areas": ["search", "ingest", "deployment_management"],
                }
            ]
            indicator["diagnosis"] = [
                {
                    "id": "hanse:health:tls_certificates:diagnosis:renew",
                    "cause": indicator["symptom"],
                    "action": "Put renewed certificates in place of the old files; they are taken up within seconds. "
                    "GET /_ssl/certificates shows them, POST /_ssl/reload says what could not be used and why.",
                    "affected_resources": {"files": sorted({str(self._entry(one)["path"]) for one in ending})},
                    "help_url": "",
                }
            ]
        return indicator

    def gauges(self) -> dict[str, Any]:
        """The section `tls` of `_nodes/stats`."""
        now = self._now()
        return {
            "certificates": [
                {"path": self._shown(one.path), "days_to_expiry": one.days_left(now)} for _, one in self._listed()
            ],
            "refused_reloads": sum(contexts.reload_problem is not None for contexts in self._reloader.contexts),
            "refused_handshakes": sum(contexts.refused_handshakes for contexts in self._reloader.contexts),
            "recent_refused_handshakes": [
                _refused(contexts.prefix, refused)
                for contexts in self._reloader.contexts
                for refused in contexts.refused
            ],
        }

    async def warn(self) -> None:
        """Says once a day which certificates end soon, until it is cancelled."""
        while True:
            for one in {one.certificate: one for _, one in self._listed()}.values():
                left = one.days_left(self._now())
                if left < WARN_DAYS:
                    log.warning(
                        "a certificate has expired" if left < 0 else "a certificate expires soon",
                        path=self._shown(one.path),
                        subject=one.certificate.subject.rfc4514_string(),
                        expiry=one.certificate.not_valid_after_utc.isoformat(),
                        days_to_expiry=left,
                    )
            await asyncio.sleep(WARN_EVERY_S)

    def _listed(self) -> Iterable[tuple[TlsContexts, ListedCertificate]]:
        return ((contexts, one) for contexts in self._reloader.contexts for one in contexts.listed)

    def _entry(self, one: ListedCertificate) -> dict[str, Any]:
        """Elasticsearch's members, and the days that are left."""
        certificate = one.certificate
        return {
            "path": self._shown(one.path),
            "format": one.format,
            "alias": one.alias,
            "subject_dn": certificate.subject.rfc4514_string(),
            "serial_number": f"{certificate.serial_number:x}",
            "has_private_key": one.has_private_key,
            "expiry": iso(certificate.not_valid_after_utc),
            "issuer": certificate.issuer.rfc4514_string(),
            "days_to_expiry": one.days_left(self._now()),
        }

    def _shown(self, path: Path | None) -> str | None:
        """As configured: relative where it lies below the config folder."""
        if path is None:
            return None
        return str(path.relative_to(self._config_dir) if path.is_relative_to(self._config_dir) else path)

    def _report(self, outcome: Reloaded) -> dict[str, Any]:
        report: dict[str, Any] = {
            "reloaded": outcome.problem is None,
            "files": [self._shown(path) for path in outcome.files],
            "changed": list(outcome.changed),
            "connections_cut": outcome.connections_cut,
        }
        return report if outcome.problem is None else {**report, "error": outcome.problem}


def _refused(prefix: str, refused: Refused) -> dict[str, Any]:
    """`peer_certificate` is what the client presented, verified by nobody."""
    shown = {
        "context": prefix,
        "peer": refused.peer,
        "at": iso(refused.at),
        "fault": refused.fault.value,
        "reason": refused.sentence,
    }
    return {**shown, "peer_certificate": shown_fields(refused.presented)} if refused.presented is not None else shown


def _symptom(expired: int, ending: int, refused: int) -> str:
    parts = [
        f"{expired} certificates have expired" if expired else "",
        f"{ending} certificates expire within {WARN_DAYS} days" if ending else "",
        f"the changed TLS files of {refused} contexts cannot be used" if refused else "",
    ]
    return "; ".join(part for part in parts if part) or "All certificates in use are valid for long enough."
