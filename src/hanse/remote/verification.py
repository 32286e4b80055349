"""Says at once whether a remote cluster that was just configured can be reached, and if not, why.

Runs behind `PUT _cluster/settings`: what it finds become Warning headers; the settings stand either way, since the
other side may simply not be up yet. Tests: tests/remote/test_verification.py.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from hanse.errors import HanseError
from hanse.remote.connection import RemoteConnection
from hanse.remote.registry import RemoteClusters
from hanse.remote.settings import PREFIX, SNIFF, RemoteConfig, split_address
from hanse.transport.hello import CLOCK_SKEW_S_MAX, Hello

VERIFY_TIMEOUT_S = 2.0
_ADDRESSES = (".seeds", ".proxy_address")


def configured_aliases(*changes: Mapping[str, Any]) -> list[str]:
    """The remote clusters to which an update of settings gives an address."""
    keys = [key for change in changes for key, value in change.items() if value is not None]
    named = {
        key[len(PREFIX) : -len(end)]
        for key in keys
        for end in _ADDRESSES
        if key.startswith(PREFIX) and key.endswith(end)
    }
    return sorted(named)


async def verify(remotes: RemoteClusters, aliases: Iterable[str], own: Hello) -> list[str]:
    """A sentence for each remote cluster that something is wrong with; at the latest after `VERIFY_TIMEOUT_S`."""
    known = set(remotes.aliases())
    found = await asyncio.gather(*(_verify(remotes.get(alias), own) for alias in aliases if alias in known))
    return [sentence for sentences in found for sentence in sentences]


async def _verify(remote: RemoteConnection, own: Hello) -> list[str]:
    alias = remote.config.alias
    try:
        await remote.ensure_connected(VERIFY_TIMEOUT_S)
    except HanseError as error:
        return [
            f"remote cluster [{alias}] is configured but cannot be reached now: {error.reason}"
            f"{loopback_hint(remote.config, error.reason)}; it is tried again and again"
        ]
    if any(peer.cluster_uuid == own.cluster_uuid for peer in remote.peers):
        return [f"remote cluster [{alias}] is this cluster itself: {remote.address} leads back here"]
    return [*_other_cluster(remote), *_clock(remote)]


def _clock(remote: RemoteConnection) -> list[str]:
    skew_s = remote.clock_skew_s
    if skew_s is None or abs(skew_s) < CLOCK_SKEW_S_MAX:
        return []
    return [
        f"the clock of remote cluster [{remote.config.alias}] is {clock_words(skew_s)}: certificates may count as not "
        f"yet valid or as expired on one side; set the clocks of both machines"
    ]


def clock_words(skew_s: float) -> str:
    return f"[{abs(skew_s):.0f}s] {'ahead of' if skew_s > 0 else 'behind'} ours"


def _other_cluster(remote: RemoteConnection) -> list[str]:
    alias = remote.config.alias
    before, now = remote.peer_before, remote.last_peer
    if before is not None and now is not None and now.cluster_uuid != before.cluster_uuid:
        return [
            f"remote cluster [{alias}] is another cluster than before: at {remote.address} answers {_named(now)}, "
            f"it was {_named(before)}; followers do not go on with the indices of another cluster; if this is not "
            f"intended, set the address back"
        ]
    return []


def _named(peer: Hello) -> str:
    return f"[{peer.cluster_name}] ({peer.cluster_uuid})"


def loopback_hint(config: RemoteConfig, reason: str) -> str:
    """A seed that answers and names loopback addresses for its nodes: they lead to this machine, not to that one."""
    if config.mode != SNIFF or all(_is_loopback(seed) for seed in config.seeds):
        return ""
    told = [word for word in reason.replace("]", " ").replace("[", " ").split() if _is_loopback(word.rstrip(":,;"))]
    if not told:
        return ""
    return (
        f"; the nodes there publish the loopback address [{told[0].rstrip(':,;')}]: set [network.publish_host] or "
        f"[transport.publish_host] on them, or use [cluster.remote.{config.alias}.mode: proxy]"
    )


def _is_loopback(address: str) -> bool:
    try:
        host, _ = split_address(address)
    except (HanseError, ValueError):
        return False
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
