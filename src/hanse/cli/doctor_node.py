"""What `hanse doctor` asks the running node: its remote clusters, what a user may do there, how its followers are.

Only over HTTP, as a client. Tests: tests/journeys/test_doctor.py.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from hanse.cli.findings import Findings
from hanse.cli.node_client import NodeClient, reason_of
from hanse.settings.registry import Settings


def effective_settings(node: NodeClient, settings: Settings) -> Settings:
    """elasticsearch.yml, then what was set over the API."""
    status, answer = node.call("GET", "/_cluster/settings?flat_settings=true")
    return Settings({**settings, **answer["persistent"], **answer["transient"]}) if status == 200 else settings


def cluster_uuid(node: NodeClient) -> str:
    status, answer = node.call("GET", "/")
    return str(answer["cluster_uuid"]) if status == 200 else ""


def connected(findings: Findings, node: NodeClient, alias: str) -> None:
    """What the node itself says of the connection."""
    status, answer = node.call("GET", "/_remote/info")
    info = answer.get(alias) if status == 200 else None
    if info is None:
        findings.unknown(alias, "connection", f"the node does not tell: {reason_of(answer)}")
    elif info["connected"]:
        findings.holds(alias, "connection", f"the node is connected, round trip [{info.get('round_trip', 'unknown')}]")
    else:
        why = info.get("last_error", "it has not tried yet")
        step = "mend what fails above; the node tries again by itself"
        findings.fails(alias, "connection", f"the node is not connected: {why}", step)


def refused(findings: Findings, node: NodeClient, where: str) -> None:
    """Who was refused by this node of late. That is no fault of its own: it may have been right to refuse."""
    status, answer = node.call("GET", "/_nodes/stats/tls")
    if status != 200:
        findings.unknown(where, "refused", f"the node does not tell: {reason_of(answer)}")
        return
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for one in (one for stats in answer["nodes"].values() for one in stats["tls"]["recent_refused_handshakes"]):
        latest[one["peer"].rpartition(":")[0], one["fault"]] = one
    for one in latest.values():
        findings.unknown(where, "refused", f"at [{one['at']}] this node refused [{one['peer']}]: {one['reason']}")
    if not latest:
        findings.holds(where, "refused", "this node refused no handshake since it started")


def rights(findings: Findings, node: NodeClient, alias: str, user: str | None) -> None:
    """Role names, index privileges and ceilings, as the other cluster decides: to search, and to replicate."""
    if user is None:
        findings.unknown(alias, "rights", "not looked at: name a user with --as USER")
        return
    answer = _explained(findings, node, alias, user, "search")
    if answer is None:
        return
    asked = answer["user"]
    if not asked.get("found"):
        if asked.get("realms_not_asked"):
            realms = ",".join(asked["realms_not_asked"])
            reason = (
                f"no realm that knows names knows [{user}]; [{realms}] know users by certificate and cannot be asked"
            )
            findings.unknown(alias, "user", f"{reason}: GET /_security/_explain?dn=…&index={alias}:* does")
            return
        step = f"PUT /_security/user/{user} here, with the names of roles that are defined over there"
        findings.fails(alias, "user", f"no realm of this cluster knows [{user}]", step)
        return
    local = _told(findings, alias, "rights", answer)
    if local is None:
        return
    _roles(findings, alias, user, answer["remotes"][alias].get("sends", {}).get("roles", []), local)
    why = _why_not(local)
    if why is None:
        findings.holds(alias, "privileges", f"[{user}] may search {_reached(local)}")
    else:
        step = (
            'over there: PUT /_security/role/ROLE {"indices": [{"names": […], '
            '"privileges": ["read", "read_cross_cluster"]}]}'
        )
        if "peer" in local:
            step += f', within PUT /_security/remote_peer/{local["peer"]["name"]} {{"limits": …}}'
        findings.fails(alias, "privileges", f"[{user}] may search nothing there: {why}", step)
    _replication(findings, node, alias, user)
    if "peer" in local:
        findings.holds(
            alias, "ceiling", f"what comes from here is held against the ceiling of peer [{local['peer']['name']}]"
        )


def _replication(findings: Findings, node: NodeClient, alias: str, user: str) -> None:
    """Who only searches has not to replicate, so that this is told and is no fault."""
    answer = _explained(findings, node, alias, user, "replication")
    local = None if answer is None else _told(findings, alias, "replication", answer)
    if local is None:
        return
    why = _why_not(local)
    if why is None:
        findings.holds(alias, "replication", f"[{user}] may follow {_reached(local)}")
    else:
        findings.unknown(alias, "replication", f"[{user}] may follow nothing there, if it is to replicate: {why}")


def _explained(findings: Findings, node: NodeClient, alias: str, user: str, action: str) -> dict[str, Any] | None:
    path = f"/_security/_explain?user={quote(user)}&index={quote(alias, safe='')}:*&action={action}"
    status, answer = node.call("GET", path)
    if status != 200:
        findings.unknown(alias, "rights", f"the node does not tell: {reason_of(answer)}")
        return None
    return dict(answer)


def _told(findings: Findings, alias: str, check: str, answer: dict[str, Any]) -> dict[str, Any] | None:
    """What the other cluster decided, where it says so."""
    remote = answer.get("remotes", {}).get(alias, {})
    local: dict[str, Any] | None = remote.get("answer", {}).get("local")
    if local is None:
        findings.unknown(alias, check, remote.get("why", "the other cluster does not tell"))
    return local


def _why_not(local: dict[str, Any]) -> str | None:
    """None when something is granted, or nothing stands against what will be there."""
    rows = local.get("names", [])
    if local.get("allowed") and (not rows or any(row["allowed"] for row in rows)):
        return None
    return local.get("why") or "no index over there is granted"


def _reached(local: dict[str, Any]) -> str:
    reached = [row["name"] for row in local.get("names", []) if row["allowed"]]
    return _short(reached) if reached else "what will be there; of what is granted nothing is there yet"


def _roles(findings: Findings, alias: str, user: str, sent: list[str], local: dict[str, Any]) -> None:
    missing, dropped = local["roles"]["missing"], local.get("peer", {}).get("dropped_roles", [])
    if dropped:
        step = f"over there: PUT /_security/remote_peer/{local['peer']['name']} with these names in [limits.roles]"
        why = f"of [{','.join(sent)}] the other cluster drops [{','.join(dropped)}]: {local['peer'].get('why')}"
        if len(dropped) == len(sent):
            findings.fails(alias, "roles", why, step)
        else:
            findings.unknown(alias, "roles", f"{why}; {step}")
    if missing:
        step = f"over there: PUT /_security/role/{missing[0]} with what that name may see"
        findings.fails(
            alias, "roles", f"of [{','.join(sent)}] the other cluster does not know [{','.join(missing)}]", step
        )
    elif not sent:
        step = f'PUT /_security/user/{user} {{"roles": [names of roles that are defined over there]}}'
        findings.fails(alias, "roles", f"[{user}] has no roles whose names could cross", step)
    elif not dropped:
        findings.holds(alias, "roles", f"the other cluster knows [{','.join(sent)}]")


def followers(findings: Findings, node: NodeClient, alias: str) -> None:
    """The indices here that follow leaders there."""
    status, answer = node.call("GET", "/_all/_ccr/info")
    if status != 200:
        findings.unknown(alias, "followers", f"the node does not tell: {reason_of(answer)}")
        return
    ours = {
        one["follower_index"]: one["status"] for one in answer["follower_indices"] if one["remote_cluster"] == alias
    }
    _, stats = node.call("GET", "/_ccr/stats")
    shards = {entry["index"]: entry["shards"] for entry in stats.get("follow_stats", {}).get("indices", [])}
    for index, state in ours.items():
        troubles = [trouble for shard in shards.get(index, []) if (trouble := _trouble(shard))]
        if state == "paused":
            findings.fails(alias, "follower", f"[{index}] is paused", f"POST /{index}/_ccr/resume_follow")
        elif troubles:
            findings.fails(
                alias, "follower", f"[{index}] does not get on: {troubles[0]}", f"GET /{index}/_ccr/stats says where"
            )
        else:
            findings.holds(alias, "follower", f"[{index}] follows")
    if not ours:
        findings.holds(alias, "followers", "nothing here follows an index there")


def _trouble(shard: dict[str, Any]) -> str:
    fatal = shard.get("fatal_exception")
    if fatal:
        return str(fatal["reason"])
    for entry in shard.get("read_exceptions", []):
        return str(entry["exception"]["reason"])
    return ""


def _short(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return f"[{shown}]" if len(names) <= 5 else f"[{shown}] and {len(names) - 5} more"
