"""`hanse trust`: two clusters come to trust each other by one token, and by digits that two people compare.

Each side talks to its own node as a temporary superuser; the nodes do the rest (`security/trust/protocol.py`).
Tests: tests/cli/test_trust.py, tests/journeys/test_trust_tool.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from hanse.cli.node_client import NodeClient, client, reason_of, temporary_superuser, wait_until_usable
from hanse.cli.terminal import DATA_ERROR, HELP, NO_USER, UNAVAILABLE, USAGE, Failure, Tool, ask, option, tool_options

ASK_AGAIN_S = 0.5
CONNECTED_WITHIN_S = 15.0
_PENDING = "/_security/trust/pending"
_WAIT = option("--no-wait", is_flag=True, help="Do not wait for people; go on with [hanse trust confirm].")


@click.group("trust", context_settings=HELP)
def trust() -> None:
    """Let two clusters trust each other in one step.

    One side invites and hands the token to the other, which accepts it. Both then compare a short authentication
    string, and nothing is trusted before both have confirmed.
    """


def _node_options(command: Any) -> Any:
    command = option("--url", help="Address of the node, when it is not the one in its settings.")(command)
    command = option("-f", "--force", is_flag=True, help="Also when the cluster is red.")(command)
    return tool_options()(command)


def _side_options(command: Any) -> Any:
    """How the other cluster is called here, and the most it may do."""
    for add in reversed((
        option("--alias", required=True, help="The name that the other cluster has here."),
        option("--limits", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The ceiling, as JSON."),
        option("--search", help="Indices the other cluster may search: logs-*,metrics-*."),
        option("--replication", help="Indices the other cluster may follow."),
        option("--roles", help="Names of roles that count when they come from there: reader,ops-*."),
        option("--max-concurrent-requests", type=int, help="How many of its requests may run at a time."),
        option("--seed", "seeds", multiple=True, help="Transport address of this cluster, as the other side dials it."),
        option("--proxy-address", help="Instead of seeds: the address of a proxy that passes TLS on."),
        option("--server-name", help="The name that TLS announces to that proxy."),
    )):  # fmt: skip
        command = add(command)
    return command


@trust.command("invite")
@_node_options
@_side_options
@option("--valid-for", default="30m", show_default=True, help="How long the token may be used.")
@option("--address", "addresses", multiple=True, help="HTTPS address of this node, as the other side calls it.")
@_WAIT
def invite(
    tool: Tool, url: str | None, force: bool, valid_for: str, addresses: tuple[str, ...], no_wait: bool, **side: Any
) -> None:
    """Print a token with which one other cluster can accept this one's trust."""
    body = {**_side(**side), "expiration": valid_for, "addresses": list(addresses)}
    with _node(tool, url, force) as node:
        made = _asked(node, "POST", "/_security/trust/invite", body)
        tool.say(f"The token is good for one acceptance within {valid_for}. It is a secret until then. Over there:\n")
        tool.say("  hanse trust accept --alias NAME --search 'logs-*' TOKEN\n")
        click.echo(made["token"])
        if no_wait:
            tool.say(f"\nWhen it has been accepted: hanse trust confirm {side['alias']}")
            return
        tool.say("\nWaiting for the other side ...")
        _wait(node, made["id"], lambda pending: pending["phase"] not in ("invited", "claimed"))
        _complete(tool, node, made["id"], None)


@trust.command("accept")
@_node_options
@_side_options
@click.argument("text", metavar="TOKEN", required=False, default="-")
@_WAIT
def accept(tool: Tool, url: str | None, force: bool, text: str, no_wait: bool, **side: Any) -> None:
    """Accept the invitation of another cluster. Without TOKEN, or with [-], it is asked for."""
    token = ask("Token: ") if text == "-" else text
    with _node(tool, url, force) as node:
        pending = _asked(node, "POST", "/_security/trust/accept", {**_side(**side), "token": token})
        if no_wait:
            _show(tool, pending)
            tool.say(f"Go on with: hanse trust confirm {side['alias']}")
            return
        _complete(tool, node, pending["id"], None)


@trust.command("confirm")
@_node_options
@click.argument("alias")
@option("--sas", help="The digits that the other side shows. Asked for when not given.")
@_WAIT
def confirm(tool: Tool, url: str | None, force: bool, alias: str, sas: str | None, no_wait: bool) -> None:
    """Confirm the digits that the other side of a pending exchange shows."""
    with _node(tool, url, force) as node:
        _complete(tool, node, _id_of(node, alias), sas, wait=not no_wait)


@trust.command("list")
@_node_options
def list_all(tool: Tool, url: str | None, force: bool) -> None:
    """Show who is trusted by invitation, and what is pending."""
    with _node(tool, url, force) as node:
        for alias, entry in sorted(_asked(node, "GET", "/_security/trust").items()):
            click.echo(f"{alias:<15}: trusted, {entry['cluster_name']} of [{_printable(entry['subject'])}]")
        for pending in _asked(node, "GET", _PENDING).values():
            shown = f", digits {pending['sas']}" if "sas" in pending else ""
            why = f", {pending['reason']}" if "reason" in pending else ""
            click.echo(f"{pending['alias']:<15}: {pending['phase']} as {pending['role']}{shown}{why}")


@trust.command("cancel")
@_node_options
@click.argument("alias")
def cancel(tool: Tool, url: str | None, force: bool, alias: str) -> None:
    """Withdraw an invitation or end an exchange that both sides have not confirmed yet."""
    with _node(tool, url, force) as node:
        _asked(node, "DELETE", f"{_PENDING}/{_id_of(node, alias)}")
        tool.say(f"The exchange of trust with [{alias}] is cancelled.")


@trust.command("remove")
@_node_options
@click.argument("alias")
def remove(tool: Tool, url: str | None, force: bool, alias: str) -> None:
    """Trust a cluster no more: its authority, its settings and its ceiling go, its connections are cut."""
    with _node(tool, url, force) as node:
        _asked(node, "DELETE", f"/_security/trust/{quote(alias, safe='')}")
        tool.say(f"[{alias}] is trusted no more.")


def _side(
    alias: str,
    limits: Path | None,
    search: str | None,
    replication: str | None,
    roles: str | None,
    max_concurrent_requests: int | None,
    seeds: tuple[str, ...],
    proxy_address: str | None = None,
    server_name: str | None = None,
) -> dict[str, Any]:
    """The part of a request that names the other cluster and its ceiling."""
    named: dict[str, Any] = {
        "search": _names(search),
        "replication": _names(replication),
        "roles": None if roles is None else _parts(roles),
        "max_concurrent_requests": max_concurrent_requests,
    }
    given = {name: value for name, value in named.items() if value is not None}
    if limits is not None:
        if given:
            raise Failure(f"either [--limits] or [--{next(iter(given)).replace('_', '-')}], not both", USAGE)
        try:
            given = json.loads(limits.read_text())
        except (OSError, ValueError) as error:
            raise Failure(f"[--limits] {limits} is no JSON: {error}", DATA_ERROR) from error
    way = {"seeds": list(seeds), "proxy_address": proxy_address, "server_name": server_name}
    return {"alias": alias, "limits": given, **{name: value for name, value in way.items() if value}}


def _names(text: str | None) -> list[dict[str, Any]] | None:
    return None if text is None else [{"names": _parts(text)}]


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


@contextmanager
def _node(tool: Tool, url: str | None, force: bool) -> Iterator[NodeClient]:
    settings, secure = tool.settings(), tool.secure_settings()
    with temporary_superuser(tool, settings) as user:
        node = client(tool, settings, secure, url, user)
        wait_until_usable(node, force=force)
        yield node


def _asked(node: NodeClient, method: str, path: str, body: Any = None) -> dict[str, Any]:
    status, answer = node.call(method, path, body)
    if status != 200 or not isinstance(answer, dict):
        raise Failure(reason_of(answer), UNAVAILABLE if status >= 500 else DATA_ERROR)
    return answer


def _id_of(node: NodeClient, alias: str) -> str:
    """The newest exchange for that name that is not over."""
    found = [one for one in _asked(node, "GET", _PENDING).values() if one["alias"] == alias]
    going_on = [one for one in found if one["phase"] not in ("established", "failed")]
    if not going_on:
        why = f"; the last one has failed: {found[-1]['reason']}" if found and "reason" in found[-1] else ""
        raise Failure(f"no exchange of trust with [{alias}] is pending{why}", NO_USER)
    return str(max(going_on, key=lambda one: one["expires_ms"])["id"])


def _wait(node: NodeClient, id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The exchange when it holds. Raises Failure when the exchange fails, as it does at its expiry at the latest."""
    while True:
        pending: dict[str, Any] = _asked(node, "GET", f"{_PENDING}/{id}")[id]
        if pending["phase"] == "failed":
            raise Failure(f"Nothing is trusted: {pending['reason']}", DATA_ERROR)
        if holds(pending):
            return pending
        time.sleep(ASK_AGAIN_S)


def _complete(tool: Tool, node: NodeClient, id: str, digits: str | None, *, wait: bool = True) -> None:
    pending = _wait(node, id, lambda pending: True)
    if "sas" not in pending:
        raise Failure(f"the other side has not accepted yet: the exchange is [{pending['phase']}]", UNAVAILABLE)
    _show(tool, pending)
    if digits is None:
        digits = ask("Digits that the other side shows: ")
    _asked(node, "POST", "/_security/trust/confirm", {"id": id, "sas": digits})
    if not wait:
        tool.say("Confirmed here. Trust stands when the other side has confirmed, too.")
        return
    tool.say("Confirmed here. Waiting for the other side ...")
    _wait(node, id, lambda pending: pending["phase"] == "established")
    _report_connection(tool, node, pending["alias"])


def _show(tool: Tool, pending: dict[str, Any]) -> None:
    """To stderr also when silent: what nobody reads nobody can compare."""
    other = pending["other"]
    tool.say(f"\n[{pending['alias']}] is the cluster [{_printable(other['cluster_name'])}] with the authority")
    tool.say(f"  {_printable(other['subject'])}, SHA-256 {other['fingerprint_sha256']}")
    tool.say(f"  at {_printable(_way(other))}")
    tool.say(f"It may do here at most: {json.dumps(pending['limits']) if pending['limits'] else 'nothing'}\n")
    click.echo(f"Short authentication string: {pending['sas']}", err=tool.silent)
    tool.say("\nAsk the other side, by voice or another way that you trust, which digits it shows.")


def _way(other: dict[str, Any]) -> str:
    if "seeds" in other:
        return ", ".join(other["seeds"])
    name = f" as {other['server_name']}" if "server_name" in other else ""
    return f"{other['proxy_address']} (a proxy){name}"


def _printable(text: str) -> str:
    """What a stranger says of itself, without what would move the cursor."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _report_connection(tool: Tool, node: NodeClient, alias: str) -> None:
    """Trust stands; whether the network lets it be used is said, too."""
    deadline = time.monotonic() + CONNECTED_WITHIN_S
    while not (entry := _asked(node, "GET", "/_remote/info").get(alias, {})).get("connected"):
        if time.monotonic() > deadline:
            why = entry.get("last_error", "the other side does not answer")
            raise Failure(f"[{alias}] is trusted, but not connected yet: {why}", UNAVAILABLE)
        time.sleep(ASK_AGAIN_S)
    tool.say(f"[{alias}] is trusted and connected.")
