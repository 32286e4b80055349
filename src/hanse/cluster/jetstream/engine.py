"""The JetStream engine as a whole: the nats-server of this node or those of others, the connection, both seams.

Tests: tests/cluster/jetstream/test_engine.py, tests/journeys/test_jetstream.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.engine import EMBEDDED_STATE, Surroundings
from hanse.cluster.jetstream import binary
from hanse.cluster.jetstream import settings as declared
from hanse.cluster.jetstream.commit_log import JetStreamCommitLog
from hanse.cluster.jetstream.connection import NATS_ERRORS, Connection, connect, is_not_found
from hanse.cluster.jetstream.credentials import login
from hanse.cluster.jetstream.group import ExternalVoters, ManagedVoters
from hanse.cluster.jetstream.leaders import Leaders
from hanse.cluster.jetstream.server import ManagedServer
from hanse.cluster.jetstream.server_config import CLIENT_USER, SYSTEM_USER, TLS_FOLDER, write_config
from hanse.cluster.jetstream.state_copy import CopiedStateStore
from hanse.cluster.jetstream.state_store import JetStreamStateStore
from hanse.cluster.jetstream.streams import keep_replicas
from hanse.cluster.jetstream.verification import verify_sync
from hanse.cluster.store import StateStore
from hanse.cluster.voting import OnlyVoter, Voters
from hanse.errors import SettingsError
from hanse.settings.node_settings import CLUSTER_NAME
from hanse.tasks import Tasks
from hanse.tls.contexts import TlsContexts
from hanse.tls.pem_files import write_pem_files, write_private

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S = 20.0
REPLICAS_MAX = 3
FOLDER = "nats"
STATE_COPY = "state.copy"
TAKEN_OVER = ".taken-over"


class JetStreamEngine:
    """Both seams over one connection; owns the managed server, when there is one."""

    def __init__(
        self,
        connection: Connection,
        store: StateStore,
        log_size: int,
        voters: Voters | None = None,
        leaders: Leaders | None = None,
    ) -> None:
        """`voters` and `leaders` where others keep the same streams; `leaders` if this node's server is its own."""
        self.connection = connection
        self.state_store = store
        self.voters = voters or OnlyVoter()
        self.server: ManagedServer | None = None
        self._log_size = log_size
        self._leaders = leaders
        self._tasks = Tasks()

    def manage(self, server: ManagedServer, tls: TlsContexts | None, written: object, folder: Path) -> None:
        """Owns `server` from now on; hands it the certificates again when they are no longer as `written`."""
        self.server = server
        if self.connection.replicas > 1:
            self._tasks.spawn("keep streams on enough nats-servers", keep_replicas(self.connection))
        if tls is not None:
            self._tasks.spawn("follow certificates for nats-server", self._follow(server, tls, written, folder))

    async def _follow(self, server: ManagedServer, tls: TlsContexts, seen: object, folder: Path) -> None:
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                loop.call_soon_threadsafe(changed.set)

        tls.follow(tell)
        while True:
            # The first look is at what changed before this one followed.
            now = _certificates(tls)
            if now != seen:
                seen = now
                await asyncio.to_thread(write_pem_files, tls, folder / TLS_FOLDER)
                self.connection.client.options["tls"] = tls.client(check_name=False)
                server.reload()
                log.info("nats-server was given the renewed certificates")
            await changed.wait()
            changed.clear()

    def commit_log(self, index_uuid: str, shard: int) -> JetStreamCommitLog:
        name = _stream(index_uuid, shard)
        return JetStreamCommitLog(self.connection, name, bytes_max=self._log_size, leaders=self._leaders)

    async def forget(self, index_uuid: str, shards: int) -> None:
        for shard in range(shards):
            try:
                await self.connection.management.delete_stream(_stream(index_uuid, shard))
            except NATS_ERRORS as error:
                if not is_not_found(error):
                    log.warning(
                        "log of a deleted index stays behind", stream=_stream(index_uuid, shard), why=str(error)
                    )

    async def close(self) -> None:
        await self._tasks.close()
        with suppress(*NATS_ERRORS):
            await self.connection.close()
        if self.server is not None:
            await self.server.close()


def _stream(index_uuid: str, shard: int) -> str:
    return f"hanse-{index_uuid}-{shard}"


async def open_jetstream(around: Surroundings) -> JetStreamEngine:
    """Starts or finds nats-server, connects, verifies, opens the bucket. Cleans up when one of these fails."""
    (around.data_path / FOLDER).mkdir(parents=True, exist_ok=True, mode=0o700)
    await _take_over_embedded(around)
    if around.settings.read(declared.MODE) == "external":
        return await _external(around)
    return await _managed(around)


async def _take_over_embedded(around: Surroundings) -> None:
    """Beginning an empty cluster beside the data of an embedded one is nothing an operator meant.

    When told to, its state becomes this node's copy, which is then put back as after a loss (state_copy.py).
    """
    state = around.data_path / EMBEDDED_STATE
    if not state.exists():
        return
    if not around.settings.read(declared.RESTORE_STATE):
        raise SettingsError(
            f"[hanse.cluster.engine] is [jetstream], but [{state}] holds the state of a cluster that was run with "
            f"[embedded]; use that engine, or start once with [{declared.RESTORE_STATE.key}: true] to take it over"
        )
    store = SqliteStateStore(state)
    found = await store.load()
    await store.close()
    if found is not None:
        write_private(around.data_path / FOLDER / STATE_COPY, msgspec.msgpack.encode(found))
    kept = state.with_name(state.name + TAKEN_OVER)
    state.rename(kept)
    log.warning("state of the embedded engine was taken over", kept=str(kept))


def _certificates(tls: TlsContexts | None) -> object:
    return None if tls is None else (tls.identity, tls.trusted)


async def _managed(around: Surroundings) -> JetStreamEngine:
    settings = around.settings
    chosen = await asyncio.to_thread(binary.choose, settings)
    route_password = around.secure.get(declared.ROUTE_PASSWORD.key)
    written = _certificates(around.transport_tls)
    managed = write_config(settings, around.data_path / FOLDER, around.logs_path, around.transport_tls, route_password)
    server = ManagedServer(chosen, managed)
    try:
        await server.start()
        connection = await _connected(
            around, [managed.url], _options(around, CLIENT_USER, managed.password), managed.peers + 1
        )
        voters = None
        if managed.peers:
            system = partial(_options, around, SYSTEM_USER, managed.system_password)
            voters = ManagedVoters(server, connection, system)
            connection.group_size = voters.size
        engine = await _opened(around, connection, voters)
    except BaseException:
        await server.close()
        raise
    engine.manage(server, around.transport_tls, written, around.data_path / FOLDER)
    return engine


def _options(around: Surroundings, user: str, password: str) -> dict[str, Any]:
    """How a connection to this node's own nats-server is opened now."""
    options: dict[str, Any] = {"user": user, "password": password}
    if around.transport_tls is not None:
        # Loopback is not in everybody's certificate; that its authority vouches for it is checked all the same.
        options |= {"tls": around.transport_tls.client(check_name=False), "tls_handshake_first": True}
    return options


async def _external(around: Surroundings) -> JetStreamEngine:
    settings = around.settings
    servers = settings.read(declared.SERVERS)
    if not servers:
        raise SettingsError(f"[{declared.MODE.key}] is [external], but [{declared.SERVERS.key}] names no nats-server")
    options = login(settings, around.secure)
    tls = TlsContexts.from_settings(settings, declared.TLS_PREFIX, around.config_dir, around.secure)
    if tls.enabled:
        options["tls"] = tls.client()
    scheme = "tls" if tls.enabled else "nats"
    connection = await _connected(around, [f"{scheme}://{server}" for server in servers], options, len(servers))
    return await _opened(around, connection, ExternalVoters())


async def _connected(around: Surroundings, urls: list[str], options: dict[str, Any], servers: int) -> Connection:
    replicas = around.settings.read(declared.REPLICAS) or min(REPLICAS_MAX, servers)
    return await connect(urls, options, replicas=replicas, timeout_s=CONNECT_TIMEOUT_S)


async def _opened(around: Surroundings, connection: Connection, voters: Voters | None) -> JetStreamEngine:
    """Closes the connection when this fails."""
    settings = around.settings
    try:
        leaders = None
        if settings.read(declared.MODE) == "external":
            await verify_sync(settings, connection)
        elif connection.replicas > 1:
            leaders = Leaders(connection, connection.server_name)
            await leaders.start()
        store = JetStreamStateStore(connection, settings.read(CLUSTER_NAME))
        await store.open()
    except BaseException:
        await connection.close()
        raise
    copied = CopiedStateStore(
        store, around.data_path / FOLDER / STATE_COPY, restore=settings.read(declared.RESTORE_STATE)
    )
    return JetStreamEngine(connection, copied, settings.read(declared.LOG_SIZE), voters, leaders)
