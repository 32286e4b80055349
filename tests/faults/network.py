"""Places for nodes that can be cut off from one another: a network namespace each, plugged into one switch.

The switch (a bridge in a namespace of its own) joins the nodes and nobody else. A cut pulls a plug: the node's own link
stays up and packets vanish without a word, as with a broken switch. Clients come by another network, which is never
cut, so that a node which lost the others can still be asked. Needs root and `ip` (iproute2).
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from hanse.cli.local_nodes import Place

INSIDE = "10.212.0"
"""Seen by nobody outside of the switch, so every run may use the same."""
OUTSIDE = "10.213"


def why_not() -> str | None:
    """Why there can be no namespaces here; None when there can."""
    if shutil.which("ip") is None:
        return "cutting nodes off needs the program ip (iproute2)"
    if os.geteuid() != 0:
        return "cutting nodes off needs root, for network namespaces"
    name = f"hanse-{secrets.token_hex(3)}"
    try:
        _ip("netns", "add", name)
        _ip("-n", name, "link", "add", "probe", "type", "bridge")
    except OSError as error:
        return f"cutting nodes off needs network namespaces and bridges: {error}"
    finally:
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
    return None


class Network:
    """`places` for nodes; numbers of nodes count from 0."""

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self._token = secrets.token_hex(3)
        self._hub = f"hanse-{self._token}-hub"
        self._outside = f"{OUTSIDE}.{_unused_third_byte()}"
        self.places = [
            Place(
                host=f"{INSIDE}.{at + 1}",
                http_host=f"{self._outside}.{at + 1}",
                through=("ip", "netns", "exec", self._namespace(at)),
            )
            for at in range(nodes)
        ]

    def _namespace(self, at: int) -> str:
        return f"hanse-{self._token}-{at + 1}"

    @property
    def _clients(self) -> str:
        return f"hz{self._token}"

    def open(self) -> None:
        _ip("netns", "add", self._hub)
        _ip("-n", self._hub, "link", "add", "switch", "type", "bridge")
        _ip("-n", self._hub, "link", "set", "switch", "up")
        _ip("link", "add", self._clients, "type", "bridge")
        _ip("addr", "add", f"{self._outside}.254/24", "dev", self._clients)
        _ip("link", "set", self._clients, "up")
        for at, place in enumerate(self.places):
            name, plug = self._namespace(at), f"{self._clients}n{at + 1}"
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", self._hub, "link", "add", f"plug{at}", "type", "veth", "peer", "name", "inside", "netns", name)
            _ip("link", "add", plug, "type", "veth", "peer", "name", "outside", "netns", name)
            _ip("link", "set", plug, "master", self._clients, "up")
            for device, host in (("inside", place.host), ("outside", place.http_host)):
                _ip("-n", name, "addr", "add", f"{host}/24", "dev", device)
                _ip("-n", name, "link", "set", device, "up")
        self.heal()

    def close(self) -> None:
        """Whatever still runs inside keeps its namespace; what is missing already is no error."""
        for name in (*map(self._namespace, range(self._nodes)), self._hub):
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "del", self._clients], stderr=subprocess.DEVNULL)

    def cut_off(self, at: int) -> None:
        """From all others."""
        _ip("-n", self._hub, "link", "set", f"plug{at}", "nomaster")

    def cut_between(self, one: int, other: int) -> None:
        """Both still see everybody else. The switch forwards nothing from one isolated port to another."""
        for at in (one, other):
            _ip("-n", self._hub, "link", "set", "dev", f"plug{at}", "type", "bridge_slave", "isolated", "on")

    def heal(self) -> None:
        """Every plug is in again."""
        for at in range(self._nodes):
            _ip("-n", self._hub, "link", "set", f"plug{at}", "master", "switch", "up")
            _ip("-n", self._hub, "link", "set", "dev", f"plug{at}", "type", "bridge_slave", "isolated", "off")


@contextmanager
def network(nodes: int) -> Iterator[Network]:
    made = Network(nodes)
    try:
        made.open()
        yield made
    finally:
        made.close()


def _ip(*arguments: str) -> str:
    """Raises OSError with what `ip` said."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _unused_third_byte() -> int:
    taken = _ip("-4", "addr", "show")
    return next(at for at in range(secrets.randbelow(200), 255) if f" {OUTSIDE}.{at}." not in taken)
