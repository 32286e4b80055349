"""The command `hanse`: sub-commands are imported when asked for, so that `hanse node` starts fast.

Tests: tests/cli/test_main.py.
"""

from __future__ import annotations

from importlib import import_module

import click

from hanse import __version__

_COMMANDS = {
    "node": ("hanse.cli.node", "node", "Run a node until SIGTERM or Ctrl-C."),
    "keystore": ("hanse.cli.keystore", "keystore", "Keep the secure settings of a node."),
    "users": ("hanse.cli.users", "users", "Keep the users of the file realm."),
    "reset-password": ("hanse.cli.reset_password", "reset_password", "Reset a user's password."),
    "setup-passwords": ("hanse.cli.setup_passwords", "setup_passwords", "Passwords of a new cluster's built-in users."),
    "create-enrollment-token": (
        "hanse.cli.enrollment_token",
        "create_enrollment_token",
        "A token with which a new node takes up this cluster's certificates.",
    ),
    "reconfigure-node": (
        "hanse.cli.reconfigure_node",
        "reconfigure_node",
        "Take up the certificates of another node's cluster.",
    ),
    "syskeygen": ("hanse.cli.syskeygen", "syskeygen", "A system key, as Elasticsearch's Watcher has one."),
    "trust": ("hanse.cli.trust", "trust", "Let two clusters trust each other: invite, accept, confirm."),
    "doctor": ("hanse.cli.doctor", "doctor", "What holds on the way to other clusters, and what mends the rest."),
    "certutil": ("hanse.cli.certutil", "certutil", "Make certificate authorities and certificates."),
    "demo": ("hanse.cli.demo", "demo", "Two secured clusters that search and follow each other."),
}


class _LateGroup(click.Group):
    """Knows its commands by name; the module behind a name is loaded when the command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(import_module(entry[0]), entry[1])
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in _COMMANDS.items()])


@click.command(cls=_LateGroup)
@click.version_option(__version__, prog_name="hanse")
def main() -> None:
    """Hanse: a search server for clusters that trust each other and nobody else."""
