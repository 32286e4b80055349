"""What external nats-servers must prove before anything is written through them: `sync_interval: always`.

JetStream's default acknowledges minutes before it syncs, so a power cut would lose acknowledged writes. No request of a
client tells a server's setting; its monitoring does (`/jsz`). Every monitor that is named is asked; the server the node
is connected to, and as many as keep the streams, must be among those that answered.
Tests: tests/cluster/jetstream/test_verification.py.
"""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Sequence

import msgspec
import structlog

from hanse.cluster.jetstream.connection import Connection
from hanse.cluster.jetstream.settings import MONITORS, UNVERIFIED_SYNC
from hanse.errors import SettingsError
from hanse.settings.registry import Settings

log = structlog.get_logger(__name__)

ASK_TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 1024 * 1024


class StoreConfig(msgspec.Struct, frozen=True):
    sync_always: bool = False


class MetaCluster(msgspec.Struct, frozen=True):
    cluster_size: int = 1


class Monitored(msgspec.Struct, frozen=True):
    """What `/jsz` says, as far as it matters here."""

    server_id: str = ""
    config: StoreConfig = StoreConfig()
    meta_cluster: MetaCluster = MetaCluster()


async def verify_sync(settings: Settings, connection: Connection) -> None:
    """Raises SettingsError unless every server is proven to sync before it acknowledges, or that is waived."""
    monitors: tuple[str, ...] = settings.read(MONITORS)
    problem = await _problem(monitors, connection)
    if problem is None:
        return
    if not settings.read(UNVERIFIED_SYNC):
        raise SettingsError(f"{problem}; only with [{UNVERIFIED_SYNC.key}: true] does a node start all the same")
    log.warning("acknowledged writes may be lost in a power cut", why=problem, setting=UNVERIFIED_SYNC.key)


async def _problem(monitors: Sequence[str], connection: Connection) -> str | None:
    if not monitors:
        return (
            f"it is not known whether the nats-servers have [sync_interval: always]: name the host:port of each one's "
            f"monitoring in [{MONITORS.key}]"
        )
    answers: list[Monitored] = []
    for monitor in monitors:
        try:
            answers.append(await asyncio.to_thread(_ask, monitor))
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            return f"the monitoring of nats-server [{monitor}] in [{MONITORS.key}] does not answer: {error}"
        if not answers[-1].config.sync_always:
            return f"nats-server [{monitor}] does not have [sync_interval: always] in its [jetstream] section"
    known = {answer.server_id for answer in answers}
    if connection.server_id not in known:
        return f"none of [{MONITORS.key}] is the nats-server this node is connected to"
    size = max(answer.meta_cluster.cluster_size for answer in answers)
    if len(known) < size:
        return f"there are [{size}] nats-servers, but [{MONITORS.key}] names [{len(known)}] of them"
    return None


def _ask(monitor: str) -> Monitored:
    with urllib.request.urlopen(f"http://{monitor}/jsz", timeout=ASK_TIMEOUT_S) as answer:
        return msgspec.json.decode(answer.read(ANSWER_BYTES_MAX), type=Monitored)
