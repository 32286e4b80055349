"""Whoever does harm to a cluster: a schedule of faults drawn from a seed, each struck, held, and healed.

After each the cluster must take writes again through every node before the next one comes, or the run ends with what
was seen. Nodes that end by themselves are reported and started again, as a service manager would.
Tests: tests/faults/test_nemesis.py.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from hanse.cli.local_cluster import LocalNode
from hanse.cli.local_nodes import LocalCluster
from tests.faults.network import Network

RECOVERY_S = 120.0
"""Only ends a run that would never go on."""
WRITES_AFTER = 50
SHORT_S = (0.3, 2.0)
LONG_S = (6.0, 12.0)
"""Longer than leases and elections last."""
PAIRS = 0.2


class Harm(StrEnum):
    KILL = "SIGKILL of node and nats-server"
    KILL_NATS = "SIGKILL of nats-server"
    STOP = "planned stop"
    SLEEP = "SIGSTOP of the node"
    SLEEP_NATS = "SIGSTOP of nats-server"
    SLEEP_BOTH = "SIGSTOP of node and nats-server"
    BLACKOUT = "SIGKILL of all nodes"
    CUT_OFF = "cut off from both others"
    CUT_BETWEEN = "cut between two nodes"


NEED_NETWORK = {Harm.CUT_OFF, Harm.CUT_BETWEEN}


class Fault(NamedTuple):
    """`node` is its victim's number; of a cut between two, `other` is the second."""

    harm: Harm
    node: int
    other: int
    hold_s: float

    def __str__(self) -> str:
        return f"{self.harm}, node {self.node + 1} ({self.other + 1}), {self.hold_s:.1f} s"


def schedule(chance: random.Random, count: int, harms: Sequence[Harm], nodes: int = 3) -> list[tuple[Fault, ...]]:
    """`count` times one fault, now and then two on two nodes; every harm comes as often as any other."""
    order: list[Harm] = []
    while len(order) < count:
        order += chance.sample(harms, len(harms))
    faults: list[tuple[Fault, ...]] = []
    for harm in order[:count]:
        victims = chance.sample(range(nodes), nodes)
        hold_s = chance.uniform(*chance.choice((SHORT_S, LONG_S)))
        fault = Fault(harm, victims[0], victims[1 % nodes], hold_s)
        if harm is not Harm.BLACKOUT and chance.random() < PAIRS:
            second = chance.choice([each for each in harms if each not in NEED_NETWORK | {Harm.BLACKOUT}])
            faults.append((fault, Fault(second, victims[1 % nodes], victims[0], hold_s)))
        else:
            faults.append((fault,))
    return faults


class Nemesis:
    """`complaints` collects what nodes did that they must not do: end by themselves, not heed SIGTERM, not start."""

    def __init__(self, cluster: LocalCluster, network: Network | None, written: Mapping[str, int]) -> None:
        self._cluster = cluster
        self._network = network
        self._written = written
        self._down: set[str] = set()
        self.complaints: list[str] = []
        self.struck = 0

    def run(self, faults: Sequence[tuple[Fault, ...]], say: Callable[[str], None]) -> None:
        for group in faults:
            began = time.monotonic()
            for fault in group:
                self._strike(fault)
                self.struck += 1
            time.sleep(max(fault.hold_s for fault in group))
            self.heal()
            self._wait_for_writes(" and ".join(map(str, group)))
            say(f"{' and '.join(map(str, group))}: writes through every node after {time.monotonic() - began:.1f} s")

    def _strike(self, fault: Fault) -> None:
        node = self._cluster.nodes[fault.node]
        match fault.harm:
            case Harm.KILL:
                self._down.add(node.node_name)
                node.kill()
            case Harm.KILL_NATS:
                node.signal_nats(signal.SIGKILL)
            case Harm.STOP:
                self._down.add(node.node_name)
                status = node.stop()
                if status not in (0, None):
                    self.complaints.append(f"{node.node_name} was asked to stop and ended with status {status}")
            case Harm.SLEEP:
                node.send_signal(signal.SIGSTOP)
            case Harm.SLEEP_NATS:
                node.signal_nats(signal.SIGSTOP)
            case Harm.SLEEP_BOTH:
                node.signal_nats(signal.SIGSTOP)
                node.send_signal(signal.SIGSTOP)
            case Harm.BLACKOUT:
                self._down |= {each.node_name for each in self._cluster.nodes}
                self._cluster.kill()
            case Harm.CUT_OFF:
                self._net.cut_off(fault.node)
            case Harm.CUT_BETWEEN:
                self._net.cut_between(fault.node, fault.other)

    @property
    def _net(self) -> Network:
        assert self._network is not None, "cuts need a network"
        return self._network

    def heal(self) -> None:
        """Everything runs, is awake and sees everything else."""
        if self._network is not None:
            self._network.heal()
        for node in self._cluster.nodes:
            node.wake()
        starting = [node for node in self._cluster.nodes if self._is_down(node)]
        self._down.clear()
        for node in starting:
            node.start(wait=False)
        for node in starting:
            try:
                node.wait_until_ready()
            except RuntimeError as error:
                self.complaints.append(f"{node.node_name} did not start: {error}")

    def _is_down(self, node: LocalNode) -> bool:
        if node.process is None:
            return True
        status = node.process.poll()
        if status is None:
            return False
        if node.node_name not in self._down:
            self.complaints.append(f"{node.node_name} ended by itself with status {status}: {node.last_lines()}")
        node.kill()
        return True

    def _wait_for_writes(self, after: str) -> None:
        """Through every node, so that none of them is left behind."""
        names = [node.node_name for node in self._cluster.nodes]
        wanted = {name: self._written[name] + WRITES_AFTER for name in names}
        deadline = time.monotonic() + RECOVERY_S
        while behind := [name for name in names if self._written[name] < wanted[name]]:
            if any(self._is_down(node) for node in self._cluster.nodes):
                self.heal()
            assert time.monotonic() < deadline, f"no writes through {behind} after {after}; {self.complaints}"
            time.sleep(0.02)
