"""The managed nats-server: a child process that lives and dies with its node.

Started by `start`, started again with a growing pause when it dies, ended by `close`. When the node is killed the
kernel kills the child (PR_SET_PDEATHSIG, Linux); elsewhere, or when that failed, the next start ends the one whose id
stands in the pid file before it begins. SIGKILL does a nats-server no harm: everything acknowledged is on disk.
Tests: tests/cluster/jetstream/test_server.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import structlog

from hanse.cluster.jetstream.binary import Binary
from hanse.cluster.jetstream.server_config import Managed, write_voting
from hanse.errors import SettingsError
from hanse.tasks import Tasks

log = structlog.get_logger(__name__)

PAUSE_S_MIN = 0.1
PAUSE_S_MAX = 10.0
HEALTHY_S = 30.0
"""A server that ran this long is started again at once."""
STOP_TIMEOUT_S = 10.0
READY_TIMEOUT_S = 30.0
READY_POLL_S = 0.01
LAST_LINES = 5
# Runs between fork and exec, as a program of its own: code of ours in a forked copy of a node with threads might hang.
_BOUND_TO_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the node is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ManagedServer:
    """One nats-server with one configuration. `start` returns when it takes connections."""

    def __init__(self, binary: Binary, managed: Managed) -> None:
        self._binary = binary
        self.managed = managed
        self._process: asyncio.subprocess.Process | None = None
        self._tasks = Tasks()
        self._is_closing = False
        self._is_restarting = False

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Raises SettingsError, with nats-server's last lines, when it ends instead of serving."""
        await asyncio.to_thread(end_leftover, self.managed)
        for left in self.managed.config_file.parent.glob("*.ports"):
            left.unlink(missing_ok=True)
        process = await self._spawn()
        await self._until_ready(process)
        self._tasks.spawn("watch nats-server", self._watch(process))

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            "-c",
            _BOUND_TO_PARENT,
            str(os.getpid()),
            str(self._binary.path),
            "-c",
            str(self.managed.config_file),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            # A Ctrl-C at the terminal is for the node, which ends its child last.
            start_new_session=True,
        )
        log.info("nats-server started", pid=self._process.pid, version=self._binary.version)
        return self._process

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        ports = self.managed.config_file.parent / f"{self._binary.path.name}_{process.pid}.ports"
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            if process.returncode is not None:
                raise SettingsError(f"nats-server ended with status [{process.returncode}]: {self._last_lines()}")
            if ports.exists():
                return
            if time.monotonic() > deadline:
                await self.close()
                raise SettingsError(f"nats-server did not take connections in time: {self._last_lines()}")
            await asyncio.sleep(READY_POLL_S)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        pause_s = PAUSE_S_MIN
        while True:
            started = time.monotonic()
            status = await process.wait()
            if self._is_closing:
                return
            if self._is_restarting:
                self._is_restarting = False
                process = await self._spawn()
                continue
            pause_s = PAUSE_S_MIN if time.monotonic() - started > HEALTHY_S else min(2 * pause_s, PAUSE_S_MAX)
            log.error("nats-server ended and is started again", status=status, pause_s=pause_s, why=self._last_lines())
            await asyncio.sleep(pause_s)
            process = await self._spawn()

    def _last_lines(self) -> str:
        with suppress(OSError):
            lines = self.managed.log_file.read_text(errors="replace").splitlines()
            return " | ".join(lines[-LAST_LINES:])
        return f"it wrote no log to [{self.managed.log_file}]"

    def reload(self) -> None:
        """Has it read configuration and certificates anew; connections that are open stay."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)

    async def set_voting(self, votes: bool) -> None:
        """Has it start again with JetStream or without, if it runs otherwise; the client connects again by itself."""
        if not await asyncio.to_thread(write_voting, self.managed, votes):
            return
        log.warning("nats-server is started again", votes=votes)
        if self._process is not None and self._process.returncode is None:
            self._is_restarting = True
            with suppress(ProcessLookupError):
                self._process.terminate()

    async def close(self) -> None:
        """SIGTERM, and SIGKILL when that does not end it in time."""
        self._is_closing = True
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        await self._tasks.close()


def end_leftover(managed: Managed) -> None:
    """Ends a nats-server that outlived its node: two on one store would damage it. Blocks until it is gone."""
    try:
        pid = int(managed.pid_file.read_text())
    except (OSError, ValueError):
        return
    if not _is_ours(pid, managed.config_file):
        return
    log.warning("a nats-server of an earlier start still runs and is ended", pid=pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _is_ours(pid, managed.config_file):
        if time.monotonic() > deadline:
            raise SettingsError(f"a nats-server of an earlier start, process [{pid}], cannot be ended")
        time.sleep(READY_POLL_S)


def _is_ours(pid: int, config_file: Path) -> bool:
    """Numbers of processes are given again: only one that was started with our very file is ours."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(config_file).encode() in arguments
