"""Keeps TLS contexts equal to the files they were read from: changed files are taken up within seconds, on any node.

A context whose files changed is read anew in a thread; new connections use it at once, and connections to peers that
the new trust no longer vouches for are cut. Files that cannot be used (a key of another certificate, an expired or
unreadable one) leave everything as it was, and `TlsContexts.reload_problem` says why until they can. Files are looked
at, not subscribed to: that works on every file system, and where a directory link is exchanged, as Kubernetes does.
Tests: tests/tls/test_reload.py, tests/journeys/test_rotation.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from hanse.settings.registry import Scope, Setting, Settings, boolean, time_s
from hanse.settings.watched_files import WatchedFiles
from hanse.tls.contexts import TlsContexts

log = structlog.get_logger(__name__)

RELOAD_ENABLED = boolean(
    "resource.reload.enabled", True, Scope.STATIC, "whether changed key, certificate and trust files are taken up"
)
RELOAD_INTERVAL = time_s("resource.reload.interval.high", 1.0, Scope.STATIC, "how often those files are looked at")
RETRY_S = 30.0
"""How often files that could not be used are read again unchanged: a certificate may have become valid meanwhile."""
RELOAD_SETTINGS: list[Setting[Any]] = [RELOAD_ENABLED, RELOAD_INTERVAL]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What one reading gave. `changed`: of identity, trust, trust_restrictions; `problem`: why the old ones stay."""

    prefix: str
    files: tuple[Path, ...]
    changed: tuple[str, ...]
    connections_cut: int
    problem: str | None


class Reloader:
    """The contexts of one node."""

    def __init__(self, contexts: Iterable[TlsContexts], settings: Settings, retry_s: float = RETRY_S) -> None:
        self.contexts = tuple(one for one in contexts if one.enabled)
        self._settings = settings
        self._retry_s = retry_s
        self._lock = asyncio.Lock()

    async def reload(self) -> list[Reloaded]:
        """Reads every file now, changed or not. Never raises for what the files hold."""
        async with self._lock:
            return [await self._reload(contexts) for contexts in self.contexts]

    async def watch(self) -> None:
        """Takes up what changes until it is cancelled."""
        if not self._settings.read(RELOAD_ENABLED):
            return
        interval_s = self._settings.read(RELOAD_INTERVAL)
        files = WatchedFiles(self.contexts)
        retried_s = time.monotonic()
        while self.contexts:
            # The first look reloads everything: a file may have changed since the start has read it.
            changed = await asyncio.to_thread(files.changed)
            if is_retry := time.monotonic() - retried_s >= self._retry_s:
                retried_s = time.monotonic()
            async with self._lock:
                for contexts in self.contexts:
                    if contexts in changed or (is_retry and contexts.reload_problem is not None):
                        await self._reload(contexts)
            await asyncio.sleep(interval_s)

    async def _reload(self, contexts: TlsContexts) -> Reloaded:
        identity, trusted, restrictions = contexts.identity, contexts.trusted, contexts.restrictions
        problem = await asyncio.to_thread(contexts.reload)
        cut = contexts.cut_untrusted()
        if cut:
            log.warning("connections to peers that are no longer trusted were cut", prefix=contexts.prefix, count=cut)
        parts = {
            "identity": identity != contexts.identity,
            "trust": trusted != contexts.trusted,
            "trust_restrictions": restrictions != contexts.restrictions,
        }
        changed = tuple(part for part, is_new in parts.items() if is_new)
        return Reloaded(contexts.prefix, contexts.files, changed, cut, problem)
