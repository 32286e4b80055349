"""Every configured remote cluster, by alias: the door through which searches and followers reach them.

`apply` follows the settings: it builds, rebuilds or removes what changed and leaves the rest connected. A remote that
may be skipped is not waited for long; one that may not is.
Tests: tests/remote/test_registry.py.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import structlog

from hanse.errors import IllegalArgumentError, NoSuchRemoteClusterError
from hanse.remote.connection import DIAL_TIMEOUT_S, RemoteConnection
from hanse.remote.settings import INITIAL_CONNECT_TIMEOUT, RemoteConfig, read_configs
from hanse.remote.status import describe
from hanse.settings.registry import Settings
from hanse.tasks import Tasks
from hanse.tls.contexts import TlsContexts
from hanse.transport.actions import Action
from hanse.transport.hello import Hello
from hanse.transport.identity import Identity
from hanse.transport.pool import Judge

log = structlog.get_logger(__name__)

Q = TypeVar("Q")
R = TypeVar("R")

FIRST_GRACE_S = 2.0
"""How long a call waits for a skippable remote whose first connection is still being made."""
GRACE_S = 0.25
"""How long a call waits for a skippable remote that was unreachable before: long enough for one that came back."""


class RemoteClusters:
    """Made from elasticsearch.yml; `apply` is called with the merged settings at every change of the cluster state."""

    def __init__(
        self,
        own: Callable[[], Hello],
        contexts: TlsContexts | None,
        settings: Settings,
        *,
        is_client: bool = True,
        jitter: Callable[[], float] | None = None,
        judge: Judge = lambda certificate: None,
    ) -> None:
        self._judge = judge
        self._own = own
        self._contexts = contexts
        self._is_client = is_client
        self._jitter = jitter or secrets.SystemRandom().random
        self._initial_connect_timeout_s = settings.read(INITIAL_CONNECT_TIMEOUT)
        self._remotes: dict[str, RemoteConnection] = {}
        self._tasks = Tasks()
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Makes the connections fit the settings; connecting itself goes on in the background."""
        wanted = read_configs(settings) if self._is_client else {}
        for alias in [alias for alias in self._remotes if alias not in wanted]:
            self._remove(alias)
        for alias, config in wanted.items():
            known = self._remotes.get(alias)
            if known is None:
                self._build(config)
            elif known.config.needs_rebuild(config):
                self._remove(alias)
                self._build(config).peer_before = known.last_peer or known.peer_before
            else:
                known.config = config

    def _build(self, config: RemoteConfig) -> RemoteConnection:
        connection = RemoteConnection(config, self._own(), self._contexts, jitter=self._jitter, judge=self._judge)
        self._remotes[config.alias] = connection
        connection.start()
        return connection

    def _remove(self, alias: str) -> None:
        gone = self._remotes.pop(alias)
        self._tasks.spawn(f"close remote cluster [{alias}]", gone.close())

    def drop_revoked(self) -> None:
        """To be called when what `judge` says may have changed."""
        for remote in self._remotes.values():
            remote.drop_revoked()

    async def close(self) -> None:
        remotes, self._remotes = self._remotes, {}
        await asyncio.gather(*(remote.close() for remote in remotes.values()))
        await self._tasks.close()

    # Looking up.

    def aliases(self) -> list[str]:
        return sorted(self._remotes)

    def matching(self, pattern: str) -> list[str]:
        """The aliases a pattern with `*` means; a plain name means itself, and must be configured."""
        if "*" not in pattern:
            return [self.get(pattern).config.alias]
        # Only `*` is special in Elasticsearch's patterns.
        escaped = pattern.replace("[", "[[]").replace("?", "[?]")
        return [alias for alias in self.aliases() if fnmatchcase(alias, escaped)]

    def get(self, alias: str) -> RemoteConnection:
        if not self._is_client:
            raise IllegalArgumentError(
                f"node [{self._own().node_name}] does not have the remote cluster client role enabled"
            )
        remote = self._remotes.get(alias)
        if remote is None:
            raise NoSuchRemoteClusterError.of(alias)
        return remote

    def skip_unavailable(self, alias: str) -> bool:
        return self.get(alias).config.skip_unavailable

    def is_connected(self, alias: str) -> bool:
        return self.get(alias).is_connected

    def info(self) -> dict[str, Any]:
        """The body of `GET _remote/info`."""
        return {alias: describe(self._remotes[alias], self._initial_connect_timeout_s) for alias in self.aliases()}

    # Calling.

    async def ensure_connected(self, alias: str, timeout_s: float = DIAL_TIMEOUT_S) -> None:
        await self.get(alias).ensure_connected(timeout_s)

    async def call(
        self,
        alias: str,
        action: Action[Q, R],
        request: Q,
        identity: Identity,
        *,
        timeout_s: float | None = None,
        opaque_id: str | None = None,
    ) -> R:
        """Runs an action on the remote cluster as `identity`. Raises its error, or why it cannot be reached."""
        remote = self.get(alias)
        return await remote.call(
            action,
            request,
            identity,
            timeout_s=timeout_s,
            opaque_id=opaque_id,
            connect_timeout_s=_patience_s(remote),
        )


def _patience_s(remote: RemoteConnection) -> float:
    """A cluster that may be skipped must not make every search wait; connecting goes on in the background."""
    if not remote.config.skip_unavailable:
        return DIAL_TIMEOUT_S
    return FIRST_GRACE_S if remote.last_error is None else GRACE_S
