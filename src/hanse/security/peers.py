"""Remote peers: other clusters, told apart by their certificates, each with the most it may ever do here.

`parse_peer` checks a definition (of the API or of peers.yml); limits become a `Permission`, so that a ceiling and the
caller's own roles are intersected by the same code that intersects an API key with its owner's roles.
What requests are held against is in `ceilings.py`. Tests: tests/security/test_peers.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hanse.errors import HanseError
from hanse.security.patterns import NamePatterns
from hanse.security.peer_match import PeerMatch, parse_match, problem
from hanse.security.privileges import Privilege
from hanse.security.roles import RoleDescriptor, parse_role

KIND = "remote_peer"
CONCURRENT_REQUESTS_MAX = 1_000_000
SEARCH_ACTIONS = (
    "indices:data/read/search*",
    "indices:data/read/msearch*",
    "indices:data/read/field_caps*",
    "indices:data/read/get*",
    "indices:data/read/mget*",
    "indices:data/read/explain*",
    "indices:admin/validate/query*",
    "indices:admin/resolve/*",
    "indices:admin/shards/search_shards*",
    "indices:admin/search/search_shards*",
)
"""What `limits.search` is about. Contexts that live longer than a request (scrolls, points in time) do not cross."""
REPLICATION_ACTIONS = (
    "indices:data/read/xpack/ccr/*",
    "indices:monitor/stats*",
    "indices:admin/seq_no/add_retention_lease*",
    "indices:admin/seq_no/renew_retention_lease*",
    "indices:admin/seq_no/remove_retention_lease*",
)
"""What `limits.replication` is about: a leader's metadata, its feed and the leases on it."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_FIELDS = {"match", "enabled", "limits"}
_LIMITS = {"roles", "search", "replication", "max_concurrent_requests"}
_SEARCH_FIELDS = {"names", "query", "field_security"}
_SEARCH = Privilege("search", SEARCH_ACTIONS)
_REPLICATION = Privilege("replication", REPLICATION_ACTIONS)


def is_search(action: str) -> bool:
    return _SEARCH.grants(action)


def is_replication(action: str) -> bool:
    return _REPLICATION.grants(action)


@dataclass(frozen=True, slots=True)
class RemotePeer:
    """A checked definition. `body` is what was given, completed; stored and shown as it is."""

    name: str
    body: dict[str, Any]
    match: PeerMatch
    enabled: bool
    limits: RoleDescriptor
    """`limits.search` and `limits.replication` as index entries of a role named like the peer."""
    roles: NamePatterns | None
    """None: role names are not limited."""
    max_concurrent_requests: int | None


def parse_peer(name: str, body: Any) -> RemotePeer:
    """Raises HanseError with status 400."""
    if _NAME.fullmatch(name) is None:
        raise problem(
            name,
            "its name must have 1 to 128 of the characters [A-Z, a-z, 0-9, _, ., -] and not begin with [.] or [-]",
        )
    if not isinstance(body, Mapping):
        raise problem(name, "expected an object")
    _check_fields(name, "", body, _FIELDS)
    enabled = body.get("enabled", True)
    if not isinstance(enabled, bool):
        raise problem(name, "[enabled] must be [true] or [false]")
    limits = body.get("limits", {})
    if not isinstance(limits, Mapping):
        raise problem(name, "[limits] must be an object")
    _check_fields(name, "limits.", limits, _LIMITS)
    roles = _strings(name, "limits.roles", limits["roles"]) if "roles" in limits else None
    return RemotePeer(
        name,
        {"match": body.get("match"), "enabled": enabled, "limits": dict(limits)},
        parse_match(name, body.get("match")),
        enabled,
        _descriptor(name, limits),
        None if roles is None else _patterns(name, "limits.roles", roles),
        _concurrent(name, limits),
    )


def _check_fields(name: str, prefix: str, body: Mapping[str, Any], known: set[str]) -> None:
    for field in body:
        if field not in known:
            shown = ", ".join(sorted(known))
            raise problem(name, f"unexpected field [{prefix}{field}], expected one of [{shown}]")


def _concurrent(name: str, limits: Mapping[str, Any]) -> int | None:
    if "max_concurrent_requests" not in limits:
        return None
    value = limits["max_concurrent_requests"]
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= CONCURRENT_REQUESTS_MAX:
        raise problem(
            name, f"[limits.max_concurrent_requests] must be a whole number from 1 to {CONCURRENT_REQUESTS_MAX}"
        )
    return value


def _descriptor(name: str, limits: Mapping[str, Any]) -> RoleDescriptor:
    entries = [
        {**_entry(name, "search", entry, _SEARCH_FIELDS), "privileges": list(SEARCH_ACTIONS)}
        for entry in _entries(name, limits, "search")
    ]
    entries += [
        {**_entry(name, "replication", entry, {"names"}), "privileges": list(REPLICATION_ACTIONS)}
        for entry in _entries(name, limits, "replication")
    ]
    try:
        return parse_role(name, {"indices": entries})
    except HanseError as error:
        # The role's own sentences are right but for the noun.
        error.reason = error.reason.replace(f"role [{name}]", f"remote peer [{name}]")
        raise


def _entries(name: str, limits: Mapping[str, Any], part: str) -> list[Any]:
    if part not in limits:
        return []
    value = limits[part]
    if not isinstance(value, list):
        raise problem(name, f"[limits.{part}] must be an array of objects with [names]")
    return value


def _entry(name: str, part: str, entry: Any, known: set[str]) -> dict[str, Any]:
    where = f"limits.{part}"
    if not isinstance(entry, Mapping):
        raise problem(name, f"[{where}] must be an array of objects with [names]")
    _check_fields(name, f"{where}.", entry, known)
    names = entry.get("names")
    names = _strings(name, f"{where}.names", [names] if isinstance(names, str) else names)
    if not names:
        raise problem(name, f"[{where}.names] is missing or empty")
    _patterns(name, f"{where}.names", names)
    return {**entry, "names": names}


def _strings(name: str, where: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise problem(name, f"[{where}] must be an array of strings that are not empty")
    return value


def _patterns(name: str, where: str, texts: list[str]) -> NamePatterns:
    try:
        return NamePatterns(texts)
    except HanseError as error:
        raise problem(name, f"[{where}]: {error.reason}") from error
