"""Over the values of which node attributes the copies of a shard are spread: allocation awareness.

The values of an attribute are those of the data nodes, and with `force` those that are named: the share of a value
whose nodes are away is then not made elsewhere (shard-allocation-awareness).
Tests: tests/cluster/allocation/test_awareness.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hanse.cluster.state import NodeMetadata
from hanse.settings.cluster_settings import AWARENESS_ATTRIBUTES, AWARENESS_VALUES
from hanse.settings.registry import Settings


class Attribute(NamedTuple):
    """`found` on nodes and `forced` by the setting, each sorted."""

    name: str
    found: tuple[str, ...]
    forced: tuple[str, ...]

    @property
    def values(self) -> int:
        """How many there are; one at least, since somebody asks."""
        return len({*self.found, *self.forced}) or 1

    def most(self, copies: int) -> int:
        """How many of a shard's copies may lie on the nodes of one value: an even share, rounded up."""
        return -(-copies // self.values)


def attributes_of(settings: Settings, nodes: Iterable[NodeMetadata]) -> tuple[Attribute, ...]:
    """In the order of the setting; `nodes` are all members."""
    names = settings.read(AWARENESS_ATTRIBUTES)
    if not names:
        return ()
    having = [node.attributes for node in nodes if node.holds_data]
    attributes = []
    for name in names:
        found = {each[name] for each in having if name in each}
        forced = settings.read(AWARENESS_VALUES.at(name))
        attributes.append(Attribute(name, tuple(sorted(found)), tuple(sorted(forced))))
    return tuple(attributes)
