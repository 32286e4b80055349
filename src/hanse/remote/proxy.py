"""Proxy mode: several sockets to one address, behind which any node of the cluster may answer.

A round dials one socket first; when that answers, the others follow together. Fewer than wanted are accepted. About a
third of the sockets are for bulk transfers, so that a change feed never delays a search.
Tests (transcripts): tests/remote/test_proxy.py.
"""

from __future__ import annotations

from hanse.remote.strategy import Command, Drop, FailureKind, Say, Strategy
from hanse.transport.actions import Lane
from hanse.transport.hello import Hello


def bulk_sockets(sockets: int) -> int:
    """How many of the sockets serve the bulk lane; a single one serves both."""
    return max(1, sockets // 3) if sockets > 1 else 0


class ProxyStrategy(Strategy):
    _reason = ""
    _is_probing = False

    def begin_round(self) -> list[Command]:
        self._is_probing = True
        return [self._dial_socket()]

    def _dial_socket(self) -> Command:
        known = [*self.links.values(), *self._dialling.values()]
        bulk = sum(link.lane is Lane.BULK for link in known)
        is_bulk = len(known) > bulk and bulk < bulk_sockets(self.config.connections_max)
        return self.dial(
            self.config.proxy_address,
            server_name=self.config.server_name or None,
            lane=Lane.BULK if is_bulk else Lane.INTERACTIVE,
        )

    def dialled(self, link: int, peer: Hello) -> list[Command]:
        dialled = self._dialling.pop(link)
        wrong = self.wrong_cluster(peer)
        if wrong is not None:
            self._reason = wrong
            return [Drop(link), *self._finish()]
        commands = self.keep(link, peer, dialled)
        if self._is_probing:
            # The first one proved the address; a dead address costs one dial a round, not eighteen.
            self._is_probing = False
            commands += [self._dial_socket() for _ in range(self.config.connections_max - len(self.links))]
        return commands + self._finish()

    def dial_failed(self, link: int, reason: str) -> list[Command]:
        del self._dialling[link]
        self._reason = reason
        return self._finish()

    def _finish(self) -> list[Command]:
        if self._dialling:
            return []
        missing = self.config.connections_max - len(self.links)
        commands: list[Command] = []
        if missing and self.links:
            fields = {"cluster": self.config.alias, "open": len(self.links), "wanted": self.config.connections_max}
            commands.append(Say("debug", "fewer proxy connections than wanted", fields))
        return commands + self.round_done(
            FailureKind.NO_SEED,
            f"Unable to open any proxy connections to cluster [{self.config.alias}] "
            f"at address [{self.config.proxy_address}]: {self._reason}",
        )
