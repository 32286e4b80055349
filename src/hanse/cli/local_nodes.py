"""A cluster of several nodes on this host: one authority, one password for `elastic`, a managed nats-server each.

The nodes start at the same time, since their nats-servers need a majority of one another before any of them serves.
A `Place` says where a node lives; on loopback each has ports of its own, elsewhere (a network namespace of its own)
all have the usual ports. Used by `hanse demo`, the journeys, the fault tests and the benches.
Tests: tests/cli/test_local_nodes.py.
"""

from __future__ import annotations

import secrets
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hanse.cli.local_cluster import LocalNode
from hanse.settings.keystore import Keystore
from hanse.tls.authority import CertificateAuthority

LOOPBACK = "127.0.0.1"
# The system gives ports above these to outgoing connections; one of them could sit on a port while its node restarts.
PORTS = range(10_000, 32_000)


class Place(NamedTuple):
    """A node's addresses and ports, and what its command is started through (see LocalNode)."""

    host: str = LOOPBACK
    http_host: str = LOOPBACK
    http_port: int = 9200
    transport_port: int = 9300
    client_port: int = 4222
    route_port: int = 6222
    through: tuple[str, ...] = ()

    @property
    def transport(self) -> str:
        return f"{self.host}:{self.transport_port}"

    @property
    def route(self) -> str:
        return f"{self.host}:{self.route_port}"


class LocalCluster:
    """`nodes` nodes named <name>-1, <name>-2 ... below `folder`.

    `settings` are those of every node, `own_settings` (by number of the node, from 0) those of one. `places` are
    taken in order and may be more than there are nodes: `add` takes the next.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "hansa",
        *,
        nodes: int = 3,
        settings: Mapping[str, Any] | None = None,
        own_settings: Mapping[int, Mapping[str, Any]] | None = None,
        authority: CertificateAuthority | None = None,
        trusted: tuple[bytes, ...] = (),
        password: str | None = None,
        places: Sequence[Place] | None = None,
    ) -> None:
        self.folder = folder
        self.name = name
        self.authority = authority or CertificateAuthority.create(f"CN=ca-{name}")
        self.password = password or secrets.token_urlsafe(12)
        self.nodes: list[LocalNode] = []
        self._settings = dict(settings or {})
        self._trusted = trusted
        self._route_password = secrets.token_urlsafe(24)
        self._free_places = list(places or free_places(nodes))
        self._founders = tuple(self._free_places[:nodes])
        for number in range(nodes):
            self.add((own_settings or {}).get(number))

    def add(
        self, settings: Mapping[str, Any] | None = None, *, authority: CertificateAuthority | None = None
    ) -> LocalNode:
        """One node more, not started; it looks for the nodes that the cluster was made of.

        `authority` issues its certificate instead of the cluster's, and is the only one it trusts.
        """
        place = self._free_places.pop(0) if self._free_places else free_places(1)[0]
        others = [founder for founder in self._founders if founder != place]
        node_name = f"{self.name}-{len(self.nodes) + 1}"
        node = LocalNode(
            self.folder / node_name,
            self.name,
            authority or self.authority,
            node_name=node_name,
            password=self.password,
            trusted=self._trusted,
            http_port=place.http_port,
            transport_port=place.transport_port,
            ips=tuple({LOOPBACK: None, place.host: None, place.http_host: None}),
            through=place.through,
            settings={
                "network.host": place.host,
                "http.host": place.http_host,
                "hanse.cluster.engine": "jetstream",
                "hanse.nats.client_port": place.client_port,
                "hanse.nats.route_port": place.route_port,
                **self._formation(others),
                **self._settings,
                **(settings or {}),
            },
        )
        keystore = Keystore.create(node.config)
        keystore.set("hanse.nats.route_password", self._route_password)
        keystore.save()
        self.nodes.append(node)
        return node

    def _formation(self, others: Sequence[Place]) -> dict[str, Any]:
        if not others:
            return {}
        return {
            "discovery.type": None,
            "discovery.seed_hosts": [other.transport for other in others],
            "cluster.initial_master_nodes": [f"{self.name}-{at + 1}" for at in range(len(self._founders))],
            "hanse.nats.routes": [other.route for other in others],
        }

    def start(self, *, wait: bool = True) -> LocalCluster:
        """Starts every node that does not run; with `wait` returns when all serve. Raises RuntimeError as a node."""
        for node in self.nodes:
            if node.process is None:
                node.start(wait=False)
        if wait:
            for node in self.nodes:
                node.wait_until_ready()
        return self

    def stop(self) -> dict[str, int | None]:
        """Asks all to stop, then waits; the exit statuses by node name. Nodes that sleep are woken for it."""
        for node in self.nodes:
            node.wake()
            node.ask_to_stop()
        return {node.node_name: node.wait_until_stopped() for node in self.nodes}

    def kill(self) -> None:
        """A power cut for all at once."""
        for node in self.nodes:
            node.send_signal(signal.SIGKILL)
        for node in self.nodes:
            node.kill()

    def __enter__(self) -> LocalCluster:
        try:
            return self.start()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_places(count: int) -> list[Place]:
    """Places on loopback whose ports nobody uses now."""
    ports = iter(free_ports(4 * count))
    return [Place(LOOPBACK, LOOPBACK, next(ports), next(ports), next(ports), next(ports)) for _ in range(count)]


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody uses now and that no outgoing connection will be given."""
    found: set[int] = set()
    while len(found) < count:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        found.add(port)
    return list(found)
