"""Remote clusters as an indicator of the health report, and as figures for `_nodes/stats` and metrics.

Never red: what this cluster holds itself is there without them. Tests: tests/remote/test_health.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hanse.remote.registry import RemoteClusters
from hanse.remote.trouble import Trouble

_MENDING = {
    Trouble.UNREACHABLE: (
        "No node of the remote cluster could be connected to.",
        "Run [hanse doctor --remote ALIAS]: it walks name, socket, TLS and hello, and says what mends it.",
    ),
    Trouble.CERTIFICATE_REFUSED: (
        "One side does not accept the certificate of the other.",
        "GET /_remote/info names the check that failed and the file that was consulted; exchange authorities with "
        "[hanse trust invite], or renew the certificate that ended.",
    ),
    Trouble.PEER_DISABLED: (
        "The certificate that is shown there belongs to a remote peer that is disabled here.",
        "If that is intended, remove the settings [cluster.remote.ALIAS.*]; else enable it with "
        "PUT /_security/remote_peer/NAME.",
    ),
    Trouble.REFUSED_THERE: (
        "The remote cluster lets this node's certificate in, and refuses what it asks.",
        "Ask its administrators which remote peer of theirs matches this cluster, and what its limits are.",
    ),
}


def indicator(remotes: RemoteClusters) -> dict[str, Any]:
    """`remote_clusters` of the health report. One that was not tried yet counts as well."""
    aliases = remotes.aliases()
    lost = {
        alias: remote
        for alias in aliases
        if not (remote := remotes.get(alias)).is_connected and remote.last_error is not None
    }
    found: dict[str, Any] = {
        "status": "yellow" if lost else "green",
        "symptom": _symptom(len(aliases), lost),
        "details": {
            "remote_clusters": len(aliases),
            "connected": sum(remotes.is_connected(alias) for alias in aliases),
            "not_connected": [
                {"name": alias, "trouble": remote.trouble.value, "reason": remote.last_error}
                for alias, remote in lost.items()
            ],
        },
    }
    if lost:
        is_fatal = any(not remote.config.skip_unavailable for remote in lost.values())
        found["impacts"] = [
            {
                "id": "hanse:health:remote_clusters:impact:not_searched_nor_followed",
                "severity": 2 if is_fatal else 3,
                "description": "Searches of these clusters "
                + ("fail" if is_fatal else "leave them out")
                + ", and what follows their indices stands still.",
                "impact_areas": ["search"],
            }
        ]
        found["diagnosis"] = [
            _diagnosis(trouble, [alias for alias, remote in lost.items() if remote.trouble is trouble])
            for trouble in Trouble
            if any(remote.trouble is trouble for remote in lost.values())
        ]
    return found


def _symptom(count: int, lost: Iterable[str]) -> str:
    names = ",".join(lost)
    if names:
        return f"This cluster is not connected to the remote clusters [{names}]."
    return "All remote clusters are connected." if count else "No remote cluster is configured."


def _diagnosis(trouble: Trouble, aliases: list[str]) -> dict[str, Any]:
    cause, action = _MENDING[trouble]
    return {
        "id": f"hanse:health:remote_clusters:diagnosis:{trouble.value}",
        "cause": cause,
        "action": action,
        "affected_resources": {"remote_clusters": aliases},
        "help_url": "",
    }


def gauges(remotes: RemoteClusters) -> dict[str, Any]:
    """The section `remote_clusters` of `_nodes/stats`: `{alias: {"connected", "connections", "round_trip_ms"?,
    "clock_skew_ms"?}}`; what is not known is left out."""
    return {alias: _measured(remotes, alias) for alias in remotes.aliases()}


def _measured(remotes: RemoteClusters, alias: str) -> dict[str, Any]:
    remote = remotes.get(alias)
    measured = {
        "round_trip_ms": None if remote.round_trip_s is None else round(remote.round_trip_s * 1000, 3),
        "clock_skew_ms": None if remote.clock_skew_s is None else round(remote.clock_skew_s * 1000),
    }
    known = {name: value for name, value in measured.items() if value is not None}
    return {"connected": remote.is_connected, "connections": remote.connection_count, **known}
