"""`hanse doctor`: walks the whole way to other clusters and says what holds, what does not, and what mends it.

What needs no running node is looked at with the node's own files; the rest is asked over HTTP, as a temporary
superuser. Exit status 1 when something does not hold. Tests: tests/journeys/test_doctor.py.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
import structlog

from hanse import __version__
from hanse.cli import doctor_node
from hanse.cli.doctor_reach import Ground, reach
from hanse.cli.findings import Findings
from hanse.cli.node_client import NodeClient, client, temporary_superuser, wait_until_usable
from hanse.cli.terminal import HELP, Failure, Tool, option, tool_options
from hanse.errors import HanseError
from hanse.remote.settings import PREFIX, SNIFF, RemoteConfig, read_configs, split_address
from hanse.settings import node_settings
from hanse.settings.registry import Settings
from hanse.tls.contexts import TlsContexts
from hanse.tls.listing import WARN_DAYS
from hanse.transport.hello import Hello

HERE = "this node"


@click.command("doctor", context_settings=HELP)
@tool_options()
@option("--remote", help="Only this remote cluster.")
@option("--as", "user", help="A user of this cluster, whose rights over there are looked at.")
@option("--json", "as_json", is_flag=True, help="For tools: {holds, findings: [{where, check, status, detail, mend}]}.")
@option("--url", help="Address of the node, when it is not the one in its settings.")
def doctor(tool: Tool, remote: str | None, user: str | None, as_json: bool, url: str | None) -> None:
    """Say what holds on the way to other clusters, what does not, and what mends it."""
    # What the rooms below would log is in the findings.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    settings, secure = tool.settings(), tool.secure_settings()
    findings = Findings()
    ground = _own_certificates(findings, tool, settings, secure)
    with _node(findings, tool, settings, secure, url) as node:
        if node is not None:
            settings = doctor_node.effective_settings(node, settings)
            doctor_node.refused(findings, node, HERE)
        configs = read_configs(settings)
        chosen = [config for alias, config in configs.items() if remote in (None, alias)]
        if remote is not None and not chosen:
            step = f'PUT /_cluster/settings {{"persistent": {{"cluster.remote.{remote}.seeds": ["host:9300"]}}}}'
            findings.fails(remote, "settings", f"no remote cluster [{remote}] is configured", step)
        own = _hello(settings, node)
        for config in chosen:
            _remote(findings, config, ground, own, node, user)
        if not configs and remote is None:
            findings.holds(HERE, "remotes", "no remote cluster is configured")
    if as_json:
        click.echo(findings.as_json())
    else:
        findings.print_table()
    sys.exit(0 if findings.is_sound else 1)


def _own_certificates(findings: Findings, tool: Tool, settings: Settings, secure: dict[str, str]) -> Ground:
    try:
        ground = Ground.of(settings, tool.config_dir, secure)
        contexts = [one for one in (ground.contexts, _http(settings, tool, secure)) if one is not None]
    except HanseError as error:
        findings.fails(HERE, "tls files", error.reason, "mend the named setting or file")
        return Ground(None, None)
    now = datetime.now(UTC)
    ending = {one.certificate: one for context in contexts for one in context.listed if one.days_left(now) < WARN_DAYS}
    for one in ending.values():
        subject = one.certificate.subject.rfc4514_string()
        findings.fails(
            HERE,
            "expiry",
            f"the certificate [{subject}] in [{one.path}] ends at [{one.certificate.not_valid_after_utc.isoformat()}]",
            "hanse certutil cert, put the new files in place, POST /_ssl/reload",
        )
    if not ending:
        findings.holds(HERE, "tls files", f"can be read and are valid for more than {WARN_DAYS} days")
    return ground


def _http(settings: Settings, tool: Tool, secure: dict[str, str]) -> TlsContexts | None:
    contexts = TlsContexts.from_settings(settings, "xpack.security.http.ssl", tool.config_dir, secure)
    return contexts if contexts.enabled else None


@contextmanager
def _node(
    findings: Findings, tool: Tool, settings: Settings, secure: dict[str, str], url: str | None
) -> Iterator[NodeClient | None]:
    """A client of the running node; None when it does not run, or cannot be asked."""
    try:
        with temporary_superuser(tool, settings) as user:
            node: NodeClient | None = client(tool, settings, secure, url, user)
            try:
                assert node is not None
                node.call("GET", "/")
                wait_until_usable(node, force=True)
                findings.holds(HERE, "node", f"runs at [{node.url}]")
            except Failure as failure:
                node = None
                why = f"{failure.message}; left out: connection, rights and followers"
                findings.unknown(HERE, "node", why)
            yield node
    except Failure as failure:
        findings.unknown(HERE, "node", f"{failure.message}; left out: connection, rights and followers")
        yield None


def _hello(settings: Settings, node: NodeClient | None) -> Hello:
    """As the node introduces itself; `doctor` is its name in the other side's log."""
    return Hello(
        settings.read(node_settings.CLUSTER_NAME),
        doctor_node.cluster_uuid(node) if node is not None else "",
        "doctor",
        f"{settings.read(node_settings.NODE_NAME)} (doctor)",
        "doctor",
        __version__,
        "",
        (),
    )


def _remote(
    findings: Findings, config: RemoteConfig, ground: Ground, own: Hello, node: NodeClient | None, user: str | None
) -> None:
    alias = config.alias
    is_sniffing = config.mode == SNIFF
    addresses = config.seeds if is_sniffing else (config.proxy_address,)
    setting = f"{PREFIX}{alias}.{'seeds' if is_sniffing else 'proxy_address'}"

    async def all_addresses() -> None:
        for address in addresses:
            # Through `cluster.remote.*.proxy` the seed's own host is only announced, as the node does it.
            dialled, name = (config.proxy, split_address(address)[0]) if config.proxy else (address, config.server_name)
            await reach(findings, alias, dialled, name, ground, own, setting)

    asyncio.run(all_addresses())
    if node is None:
        return
    doctor_node.connected(findings, node, alias)
    doctor_node.rights(findings, node, alias, user)
    doctor_node.followers(findings, node, alias)
