"""Runs exchanges: durable state, the calls to the inviting node, the clock. What happens when is `protocol.py`'s.

Every transition is one atomic change of the security store, so a token cannot be used twice at the same moment. One
event of an exchange is worked on at a time. Tests: tests/security/trust/test_exchanges.py.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from hanse import clock
from hanse.errors import HanseError, ResourceNotFoundError, SecurityError, StatusError
from hanse.security import keys
from hanse.security.store import Changes, Entries, SecurityStore
from hanse.security.trust import protocol
from hanse.security.trust.protocol import ACCEPTOR, Command, Ended, Event, Exchange
from hanse.security.trust.trusted import TrustedClusters

log = structlog.get_logger(__name__)

KIND = "trust_exchange"
ASK_AGAIN_S = 1.0
REASON_CHARS_MAX = 1000

Call = Callable[[Exchange, str, dict[str, Any]], Awaitable[tuple[int, dict[str, Any]]]]
"""Asks the inviting node: status and body. Raises StatusError 503 when it cannot be reached."""


class Exchanges:
    """The pending ones, and those that are over until their time has run out."""

    def __init__(
        self,
        store: SecurityStore,
        trusted: TrustedClusters,
        call: Call,
        *,
        now_ms: Callable[[], int] = clock.now_ms,
    ) -> None:
        self._store = store
        self._trusted = trusted
        self._call = call
        self._now_ms = now_ms
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._changed = asyncio.Event()

    def all(self) -> Mapping[str, Exchange]:
        return {id: _decode(entry) for id, entry in self._store.entries(KIND).items()}

    def get(self, id: str) -> Exchange:
        """Raises ResourceNotFoundError."""
        entry = self._store.entries(KIND).get(id)
        if entry is None:
            raise ResourceNotFoundError(f"there is no exchange of trust with the id [{id}]; it may have expired")
        return _decode(entry)

    async def begin(self, exchange: Exchange) -> None:
        await self._store.change(KIND, lambda _: {exchange.id: msgspec.to_builtins(exchange)})
        self._changed.set()

    async def handle(self, id: str, event: Event) -> dict[str, Any]:
        """Raises what the event is refused with."""
        async with self._locks[id]:
            if self.get(id).expires_ms <= self._now_ms() and not isinstance(event, Ended):
                await self._handle(id, Ended(self._expired(self.get(id))))
            answer = await self._handle(id, event)
            return {**answer, "phase": self.get(id).phase}

    async def _handle(self, id: str, event: Event) -> dict[str, Any]:
        commands: list[Command] = []

        def change(stored: Entries) -> Changes:
            nonlocal commands
            after, commands = protocol.step(_decode(stored[id]), event)
            return {id: msgspec.to_builtins(after)}

        before = self.get(id)
        await self._store.change(KIND, change)
        after = self.get(id)
        if after.phase != before.phase:
            log.info("exchange of trust", id=id, alias=after.alias, phase=after.phase, reason=after.reason or None)
        return await self._run(id, before, commands)

    async def _run(self, id: str, before: Exchange, commands: list[Command]) -> dict[str, Any]:
        """`before` still has what a call needs when the exchange is over."""
        answer: dict[str, Any] = {}
        refusal: HanseError | None = None
        for command in commands:
            if isinstance(command, protocol.Send):
                answer |= await self._send(id, before, command)
            elif isinstance(command, protocol.Establish):
                answer |= await self._establish(id)
            elif isinstance(command, protocol.Undo):
                await self._undo(id)
            elif isinstance(command, protocol.Answer):
                answer |= command.body
            else:
                refusal = command.error
        if refusal is not None:
            raise refusal
        return answer

    async def _send(self, id: str, exchange: Exchange, command: protocol.Send) -> dict[str, Any]:
        may_wait = command.step in ("compare", "finish", "abort")
        try:
            status, body = await self._call(exchange, command.step, command.body)
        except HanseError as error:
            if may_wait and error.status >= 500:
                log.debug("the inviting cluster cannot be reached, asking again", id=id, why=error.reason)
                return {}
            await self._handle(id, Ended(error.reason, tell=False))
            raise
        if command.step == "abort":
            return {}
        if status == 200:
            return await self._handle(id, protocol.Answered(command.step, body))
        if may_wait and status >= 500:
            return {}
        refused = self._refused(exchange, status, body)
        await self._handle(id, Ended(refused.reason, tell=False))
        raise refused

    async def _undo(self, id: str) -> None:
        """What cannot be undone now is tried again at every tick."""
        try:
            await self._trusted.undo(self.get(id))
        except HanseError as error:
            log.error("what an exchange of trust has put cannot be removed yet", id=id, why=error.reason)
        else:
            await self._handle(id, protocol.Undone())

    async def _establish(self, id: str) -> dict[str, Any]:
        try:
            await self._trusted.establish(self.get(id))
        except HanseError as error:
            await self._handle(id, Ended(error.reason))
            raise
        return await self._handle(id, protocol.Done())

    def _refused(self, exchange: Exchange, status: int, body: dict[str, Any]) -> HanseError:
        other = exchange.other.cluster_name if exchange.other is not None else "the inviting cluster"
        if status == 401:
            now = self._now_ms()
            why = f"its token was good until [{_shown(exchange.expires_there_ms)}] by the inviter's clock"
            if now < exchange.expires_there_ms:
                why += f", and it is [{_shown(now)}] by this one: it was withdrawn, or the clocks differ"
            return SecurityError(f"[{other}] does not know the invitation any more: {why}. Ask for a new one", 401)
        error = body.get("error")
        reason = _printable(str(error.get("reason") if isinstance(error, dict) else error))
        kind: type[SecurityError] | type[StatusError] = SecurityError if status == 403 else StatusError
        return kind(f"[{other}] refused: {reason}", status if 400 <= status < 500 else 502)

    async def watch(self) -> None:
        """Lets exchanges expire and, on the accepting side, asks how far the other one is. Runs while the node does."""
        while True:
            self._changed.clear()
            for exchange in list(self.all().values()):
                try:
                    await self.tick(exchange.id)
                except HanseError as error:
                    log.warning("exchange of trust went wrong", id=exchange.id, why=error.reason)
                except Exception:
                    log.exception("exchange of trust failed", id=exchange.id)
            if self._store.entries(KIND):
                await asyncio.sleep(ASK_AGAIN_S)
            else:
                await self._changed.wait()

    async def tick(self, id: str) -> None:
        async with self._locks[id]:
            exchange = self.all().get(id)
            if exchange is None:
                return
            if exchange.undoing or exchange.expires_ms > self._now_ms():
                await self._handle(id, protocol.Ticked())
            elif exchange.is_over:
                await self._forget(exchange)
            else:
                await self._handle(id, Ended(self._expired(exchange)))

    async def _forget(self, exchange: Exchange) -> None:
        await self._store.change(KIND, lambda _: {exchange.id: None})
        if exchange.role != ACCEPTOR:
            await self._store.change(keys.KIND, lambda stored: {exchange.key: None} if exchange.key in stored else {})
        self._locks.pop(exchange.id, None)

    def _expired(self, exchange: Exchange) -> str:
        return f"it expired at [{_shown(exchange.expires_ms)}] before it was complete on both sides"


def _decode(entry: Mapping[str, Any]) -> Exchange:
    return msgspec.convert(entry, Exchange)


def _printable(text: str) -> str:
    """What another cluster says ends up on a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text[:REASON_CHARS_MAX])


def _shown(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="seconds")
