"""`hanse syskeygen` and `elasticsearch-syskeygen`: the system key, with which Elasticsearch's Watcher encrypts.

Nothing in Hanse encrypts with it: the tool is there so that runbooks work, and so that the same file can be handed to
the nodes of a cluster that does. Tests: tests/cli/test_syskeygen.py.
"""

from __future__ import annotations

import secrets

import click

from hanse.cli.certutil_output import write_private
from hanse.cli.terminal import CONFIG, HELP, IO_ERROR, Failure, Tool, tool_options

FILE_NAME = "system_key"
KEY_BYTES = 128


@click.command("syskeygen", context_settings=HELP)
@tool_options()
def syskeygen(tool: Tool) -> None:
    """Write a system key of 1024 bits to config/system_key."""
    path = (tool.config_dir / FILE_NAME).absolute()
    if path.exists() or path.is_symlink():
        raise Failure(f"A system key already exists in [{path}]", CONFIG)
    if not path.parent.is_dir():
        raise Failure(f"the folder [{path.parent}] does not exist", IO_ERROR)
    write_private(path, secrets.token_bytes(KEY_BYTES))
    tool.say(f"Generated key stored in [{path}]")
    tool.say("Ensure that the user that runs the node can read it, and nobody else; every node needs the same file.")
