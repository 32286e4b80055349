"""`hanse node`: reads the configuration, starts the node, stops it cleanly on SIGTERM or SIGINT.

A configuration that cannot work ends with one line that names the setting (bootstrap checks: a head and one line for
each) and exit status 78, as Elasticsearch's bootstrap does. Tests: tests/cli/test_node.py, tests/journeys/.
"""

from __future__ import annotations

import asyncio
import gc
import getpass
import os
import signal
import sys
from pathlib import Path

import click

from hanse.errors import HanseError

EXIT_CONFIGURATION = 78
SWITCH_INTERVAL_S = 0.0002
"""How soon the event loop gets the interpreter back from a writer's thread. Python's 5 ms delay searches; beside a bulk
load this has their p90 at 4.4 ms where 1 ms has it at 6.7, and costs 2 to 3 % of the bulk load."""


@click.command()
@click.option(
    "--config",
    "config_dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="ES_PATH_CONF",
    default=Path("config"),
    show_default=True,
    help="Folder that holds elasticsearch.yml.",
)
@click.option("-E", "overrides", multiple=True, metavar="KEY=VALUE", help="A setting; wins over elasticsearch.yml.")
@click.option("-p", "--pidfile", type=click.Path(path_type=Path), help="Write the process id there.")
@click.option("-q", "--quiet", is_flag=True, help="No log on the console.")
def node(config_dir: Path, overrides: tuple[str, ...], pidfile: Path | None, quiet: bool) -> None:
    """Run a node until SIGTERM or Ctrl-C."""
    import uvloop

    from hanse.cli.first_start import configure_first_start
    from hanse.node import Node, read_settings
    from hanse.settings.elasticsearch_yml import parse_overrides
    from hanse.settings.logs import configure_logs

    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        settings = read_settings(config_dir, parse_overrides(overrides))
        if sys.stdout.isatty() and configure_first_start(config_dir, settings):
            settings = read_settings(config_dir, parse_overrides(overrides))
        configure_logs(settings, console=not quiet)
        running = Node(
            config_dir,
            settings,
            elastic_password=os.environ.get("ELASTIC_PASSWORD"),
            keystore_password=_keystore_password(config_dir),
        )
        if pidfile is not None:
            pidfile.write_text(str(os.getpid()))
        uvloop.run(_serve(running))
    except HanseError as error:
        print(f"ERROR: {error.reason}", file=sys.stderr)
        sys.exit(EXIT_CONFIGURATION)
    finally:
        if pidfile is not None:
            pidfile.unlink(missing_ok=True)


def _keystore_password(config_dir: Path) -> str:
    """From KEYSTORE_PASSWORD, else from whoever sits at the terminal when the keystore needs one."""
    from hanse.settings.keystore import has_password

    given = os.environ.get("KEYSTORE_PASSWORD")
    if given is None and sys.stdin is not None and sys.stdin.isatty() and has_password(config_dir):
        return getpass.getpass("Enter password for the elasticsearch keystore : ")
    return given or ""


async def _serve(running: object) -> None:
    from hanse.node import Node

    assert isinstance(running, Node)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await running.start()
    gc.freeze()  # what the start has made stays: no collection has to walk it again
    loop.add_signal_handler(signal.SIGHUP, running.reload_tls_soon)
    try:
        await stop.wait()
    finally:
        await running.close()
