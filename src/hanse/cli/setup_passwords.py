"""`hanse setup-passwords` and `elasticsearch-setup-passwords`: passwords for all built-in users of a new cluster.

Logs in as `elastic` with the password of the keystore (bootstrap.password), so it works only until that user's password
is changed; later, reset-password does. Tests: tests/journeys/test_tools.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click

from hanse.cli.node_client import NodeClient, client, random_password, reason_of
from hanse.cli.terminal import (
    CONFIG,
    DATA_ERROR,
    HELP,
    UNAVAILABLE,
    Failure,
    Tool,
    confirm,
    option,
    secret,
    tool_options,
)
from hanse.security.passwords import problem_with
from hanse.settings.keystore import SEED

USERS = (
    "elastic",
    "apm_system",
    "kibana",
    "kibana_system",
    "logstash_system",
    "beats_system",
    "remote_monitoring_user",
)
ELASTIC = "elastic"
SAME_PASSWORD = {"kibana": "kibana_system"}
"""`kibana` is the old name of the same user: it gets the same password."""
_CONFIRM = "Please confirm that you would like to continue"


@click.group("setup-passwords", context_settings=HELP)
def setup_passwords() -> None:
    """Set the passwords of the built-in users of a new cluster (deprecated: use reset-password)."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for add in (
        option("-b", "--batch", is_flag=True, help="Do not ask whether to go on."),
        option("-u", "--url", help="Address of the node, when it is not the one in its settings."),
    ):
        command = add(command)
    return command


@setup_passwords.command()
@tool_options()
@_options
def auto(tool: Tool, url: str | None, batch: bool) -> None:
    """Generate all passwords and print them."""
    node = _log_in(tool, url)
    tool.say(f"Initiating the setup of passwords for reserved users {','.join(USERS)}.")
    tool.say("The passwords will be randomly generated and printed to the console.")
    if not batch and not confirm(_CONFIRM):
        return
    tool.say("\n")
    passwords = {name: random_password() for name in USERS if name not in SAME_PASSWORD}
    for name in _changed(node, passwords):
        click.echo(f"Changed password for user {name}\nPASSWORD {name} = {passwords[name]}\n")


@setup_passwords.command()
@tool_options()
@_options
def interactive(tool: Tool, url: str | None, batch: bool) -> None:
    """Ask for every password."""
    node = _log_in(tool, url)
    tool.say(f"Initiating the setup of passwords for reserved users {','.join(USERS)}.")
    tool.say("You will be prompted to enter passwords as the process progresses.")
    if not batch and not confirm(_CONFIRM):
        return
    tool.say("\n")
    passwords = {name: _asked(name) for name in USERS if name not in SAME_PASSWORD}
    for name in _changed(node, passwords):
        click.echo(f"Changed password for user [{name}]")


def _log_in(tool: Tool, url: str | None) -> NodeClient:
    click.echo(
        "Note: The 'elasticsearch-setup-passwords' tool has been deprecated. 'elasticsearch-reset-password' sets the "
        "passwords of built-in users at any time.\n",
        err=True,
    )
    settings, secure = tool.settings(), tool.secure_settings()
    password = secure.get("bootstrap.password") or secure.get(SEED)
    if not password:
        raise Failure(
            "there is no [bootstrap.password] in the keystore of this node, so that its first password cannot be "
            "known here; use elasticsearch-reset-password",
            CONFIG,
        )
    node = client(tool, settings, secure, url, (ELASTIC, password))
    status, _ = node.call("GET", "/_security/_authenticate")
    if status == 401:
        raise Failure(
            f"Failed to authenticate user '{ELASTIC}' against {node.url}/_security/_authenticate. Either the password "
            f"of the '{ELASTIC}' user has already been changed on this cluster, or the node did not have "
            f"[bootstrap.password] in its keystore when it first started. Use elasticsearch-reset-password.",
            CONFIG,
        )
    if status != 200:
        raise Failure(f"the node at [{node.url}] answered with status [{status}]", UNAVAILABLE)
    return node


def _asked(name: str) -> str:
    while True:
        password = secret(f"Enter password for [{name}]: ")
        problem = problem_with(password)
        if problem is not None:
            click.echo(f"Invalid password: {problem}. Try again.", err=True)
        elif secret(f"Reenter password for [{name}]: ") != password:
            click.echo("Passwords do not match. Try again.", err=True)
        else:
            return password


def _changed(node: NodeClient, passwords: dict[str, str]) -> Iterator[str]:
    """Sets one after the other; `elastic` last, since its password is the one that this tool works with."""
    for old, name in SAME_PASSWORD.items():
        passwords[old] = passwords[name]
    for name in sorted(USERS, key=lambda one: one == ELASTIC):
        status, body = node.call("PUT", f"/_security/user/{name}/_password", {"password": passwords[name]})
        if status != 200:
            raise Failure(f"Failed to set password for user [{name}]: {reason_of(body)}", DATA_ERROR)
        yield name
