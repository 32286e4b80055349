"""The connection of this node to nats-server, with what must hold before anything is written through it.

At connect and at every reconnect the server's version is read; one that is too old is refused. JetStream's errors are
translated here and in the two files that write (state_store.py, commit_log.py).
Tests: tests/cluster/jetstream/test_connection.py.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext

from hanse.errors import SettingsError
from hanse.tasks import Tasks

log = structlog.get_logger(__name__)

VERSION_MIN = (2, 14)
REQUEST_TIMEOUT_S = 2.5
READ_TIMEOUT_S = 1.0
"""A question that came while no leader was there is never answered: it has to be asked again soon."""
MANAGEMENT_TIMEOUT_S = 5.0
"""Making and dropping streams."""
RECONNECT_WAIT_S = 0.1
PING_INTERVAL_S = 5
OUTBOUND_BYTES_MAX = 32 * 1024 * 1024
WRONG_LAST_SEQUENCE = (10071, 10164)
NOT_FOUND = (10014, 10037, 10059)
"""No message with this number or subject, no such stream."""
NATS_ERRORS = (nats.errors.Error, OSError, TimeoutError)
"""What a request through a connection may raise."""


class Connection:
    """An open connection. `replicas` is how many servers keep each stream, `group_size` asks how many there are, where
    they are managed; `has_lowered` is set when a stream was made on fewer (streams.py)."""

    def __init__(self, client: Client, replicas: int) -> None:
        self.client = client
        self.js: JetStreamContext = client.jetstream(timeout=READ_TIMEOUT_S)
        self.management: JetStreamContext = client.jetstream(timeout=MANAGEMENT_TIMEOUT_S)
        self.replicas = replicas
        self.group_size: Callable[[], Awaitable[int]] | None = None
        self.has_lowered = asyncio.Event()

    @property
    def max_payload(self) -> int:
        return self.client.max_payload

    @property
    def server_id(self) -> str:
        return str(self.client._server_info.get("server_id"))

    @property
    def server_name(self) -> str:
        return str(self.client._server_info.get("server_name"))

    async def close(self) -> None:
        await self.client.close()


async def connect(servers: Sequence[str], options: Mapping[str, Any], *, replicas: int, timeout_s: float) -> Connection:
    """Connects to the first server that answers; `options` are those of nats-py (TLS, user).

    Raises SettingsError when none answers in time, refuses us, or is too old.
    """
    client = Client()
    problems: list[Exception] = []
    refused = asyncio.Event()

    async def reconnected() -> None:
        log.info("reconnected to nats-server", version=server_version(client))
        if not is_new_enough(server_version(client)):
            log.error(too_old(server_version(client)))
            await client.close()

    async def disconnected() -> None:
        if not client.is_closed:
            log.warning("connection to nats-server lost, trying again")

    async def failed(error: Exception) -> None:
        log.debug("nats client", error=str(error))
        if client.is_connected or client.is_closed:
            return
        problems[:] = [error]
        if "authorization violation" in str(error).lower():
            refused.set()

    try:
        connecting = client.connect(
            list(servers),
            reconnected_cb=reconnected,
            disconnected_cb=disconnected,
            error_cb=failed,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]
            ping_interval=PING_INTERVAL_S,
            max_outstanding_pings=2,
            pending_size=OUTBOUND_BYTES_MAX,
            **options,
        )
        # The client itself tries for ever; one that was refused need not.
        await _unless(refused, connecting, timeout_s)
    except NATS_ERRORS as error:
        await client.close()
        why = _reason(problems[0] if problems else error)
        raise SettingsError(f"cannot connect to nats-server at {list(servers)}: {why}") from error
    version = server_version(client)
    if not is_new_enough(version):
        await client.close()
        raise SettingsError(too_old(version))
    return Connection(client, replicas)


async def _unless(refused: asyncio.Event, connecting: Coroutine[Any, Any, None], timeout_s: float) -> None:
    tasks = Tasks()
    try:
        connect = tasks.spawn("connect to nats-server", connecting)
        refusal = tasks.spawn("wait for a refusal", refused.wait())
        await asyncio.wait((connect, refusal), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not connect.done():
            raise TimeoutError("no answer in time")
        connect.result()
    finally:
        await tasks.close()


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def server_version(client: Client) -> str:
    return str(client._server_info.get("version", "unknown"))


def is_new_enough(version: str) -> bool:
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return match is not None and (int(match[1]), int(match[2])) >= VERSION_MIN


def too_old(version: str, where: str = "") -> str:
    """The sentence with which an old server is refused."""
    wanted = ".".join(map(str, VERSION_MIN))
    return (
        f"nats-server{where} has version [{version}], but [{wanted}] or newer is needed: older ones lose acknowledged "
        f"writes; install a newer one, or set [hanse.nats.binary]"
    )


def error_code(error: BaseException) -> int:
    """JetStream's own code of an error that it answered with; 0 for every other."""
    return int(getattr(error, "err_code", 0) or 0)


def is_not_found(error: BaseException) -> bool:
    return isinstance(error, nats.js.errors.NotFoundError) or error_code(error) in NOT_FOUND


def check_cancelled() -> None:
    """nats-py answers a request that is cancelled with an error of its own; the task must end all the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        raise asyncio.CancelledError
