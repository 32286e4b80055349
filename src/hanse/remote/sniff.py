"""Sniff mode: seeds are asked for the cluster's nodes, and some of these become gateways.

A round asks the seeds in turn (or a gateway that is still connected) for the nodes, keeps the seed's own link when the
seed may be a gateway, and dials further eligible nodes until `node_connections` are open. A node that refuses is
skipped. Tests (transcripts): tests/remote/test_sniff.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from hanse.cluster.state import NodeMetadata
from hanse.remote.settings import RemoteConfig, split_address
from hanse.remote.strategy import Command, Dial, Drop, FailureKind, Link, ListNodes, Say, Strategy
from hanse.transport.hello import Hello

_DATA_ROLES = ("data", "data_content", "data_hot", "data_warm", "data_cold", "data_frozen", "ingest")


def is_eligible(roles: Sequence[str], attributes: Mapping[str, str], wanted_attribute: str) -> bool:
    """Whether a node may be a gateway: no dedicated master, and carrying the attribute when one is demanded."""
    is_dedicated_master = "master" in roles and not any(role in _DATA_ROLES for role in roles)
    has_attribute = not wanted_attribute or attributes.get(wanted_attribute) == "true"
    return not is_dedicated_master and has_attribute


class SniffStrategy(Strategy):
    def __init__(self, config: RemoteConfig, own: Hello, jitter: Callable[[], float]) -> None:
        super().__init__(config, own, jitter)
        self._seeds_left: deque[str] = deque()
        self._seed: tuple[int, Link, Hello] | None = None
        """The link a seed was reached by, until it is kept or dropped."""
        self._asked: int | None = None
        self._candidates: deque[NodeMetadata] = deque()
        self._failures: list[str] = []

    def temporary_links(self) -> list[int]:
        return [self._seed[0]] if self._seed is not None else []

    def begin_round(self) -> list[Command]:
        self._failures = []
        self._seeds_left = deque(self.config.seeds)
        if self.links:
            self._asked = next(iter(self.links))
            return [ListNodes(self._asked)]
        return self._next_seed()

    def _next_seed(self) -> list[Command]:
        if not self._seeds_left or self.links:
            return self._finish()
        return [self._dial_node(self._seeds_left.popleft(), None)]

    def _dial_node(self, address: str, node_id: str | None) -> Dial:
        """Through `proxy`, when set: then the node's own host is announced as the TLS server name."""
        if not self.config.proxy:
            return self.dial(address, node_id=node_id)
        host, _ = split_address(address)
        return self.dial(self.config.proxy, named=address, server_name=host, node_id=node_id)

    def dialled(self, link: int, peer: Hello) -> list[Command]:
        dialled = self._dialling.pop(link)
        wrong = self.wrong_cluster(peer)
        if wrong is None and dialled.node_id not in (None, peer.node_id):
            wrong = f"handshake failed. another node answered, [{peer.node_name}]"
        if wrong is not None:
            return [Drop(link), *self._refused(dialled, wrong)]
        if dialled.node_id is None:
            self._seed, self._asked = (link, dialled, peer), link
            return [ListNodes(link)]
        return [*self.keep(link, peer, dialled), *self._fill()]

    def dial_failed(self, link: int, reason: str) -> list[Command]:
        return self._refused(self._dialling.pop(link), reason)

    def _refused(self, dialled: Link, reason: str) -> list[Command]:
        is_seed = dialled.node_id is None
        self._failures.append(f"{'seed' if is_seed else 'node'} [{dialled.address}]: {reason}")
        if not is_seed:
            fields = {"cluster": self.config.alias, "address": dialled.address, "reason": reason}
            return [Say("info", "gateway node of remote cluster skipped", fields), *self._fill()]
        return self._next_seed()

    def nodes_failed(self, link: int, reason: str) -> list[Command]:
        if link != self._asked:
            return []
        self._asked = None
        address = self._seed[1].address if self._seed is not None else "connected gateway"
        self._failures.append(f"seed [{address}]: fetching nodes failed: {reason}")
        return [*self._drop_seed(), *self._next_seed()]

    def nodes_listed(self, link: int, nodes: tuple[NodeMetadata, ...]) -> list[Command]:
        if link != self._asked:
            return []
        self._asked = None
        wanted = self.config.node_attribute
        commands: list[Command] = []
        if self._seed is not None and is_eligible(self._seed[2].roles, self._seed[2].attributes, wanted):
            seed_link, dialled, peer = self._seed
            self._seed = None
            commands += self.keep(seed_link, peer, dialled)
        connected = {kept.peer.node_id for kept in self.links.values() if kept.peer is not None}
        eligible = (node for node in nodes if is_eligible(node.roles, node.attributes, wanted))
        self._candidates = deque(node for node in eligible if node.id not in connected)
        return commands + self._fill()

    def _fill(self) -> list[Command]:
        """Dials as many candidates as there is room for; ends the round when nothing is left to wait for."""
        commands: list[Command] = []
        while self._candidates and len(self.links) + len(self._dialling) < self.config.connections_max:
            node = self._candidates.popleft()
            commands.append(self._dial_node(node.transport_address, node.id))
        if self._dialling:
            return commands
        if not self.links and self._seeds_left:
            return commands + self._drop_seed() + self._next_seed()
        return commands + self._finish()

    def _finish(self) -> list[Command]:
        alias = self.config.alias
        dropped = self._drop_seed()
        if self._failures:
            return dropped + self.round_done(
                FailureKind.CONNECT, f"unable to connect to remote cluster [{alias}]: {'; '.join(self._failures)}"
            )
        attribute = self.config.node_attribute
        which = f"carries the attribute [{attribute}: true] and " if attribute else ""
        return dropped + self.round_done(
            FailureKind.NO_SEED,
            f"no seed node left for cluster: [{alias}]. Unable to open any connections to remote cluster [{alias}]: "
            f"no node of it {which}is more than a dedicated master; name a data or ingest node as seed",
        )

    def _drop_seed(self) -> list[Command]:
        seed, self._seed = self._seed, None
        return [] if seed is None else [Drop(seed[0])]
