"""What holds for any order of events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hanse.cluster.state import NodeMetadata
from hanse.remote.proxy import ProxyStrategy
from hanse.remote.settings import RemoteConfig
from hanse.remote.sniff import SniffStrategy
from hanse.remote.strategy import (
    Demanded,
    Dial,
    DialFailed,
    Dialled,
    Drop,
    GaveUp,
    Keep,
    ListNodes,
    Lost,
    NodesFailed,
    NodesListed,
    Started,
    State,
    Stopped,
    Strategy,
    WakeAfter,
    Woke,
)
from hanse.transport.hello import Hello

from .conftest import BERGEN

NODES = tuple(NodeMetadata(f"n{i}", f"n{i}", f"n{i}:9300", "", ("data",)) for i in range(5))


def hello(number: int, cluster: str) -> Hello:
    name = f"n{number}"
    return Hello(cluster, f"uuid-{cluster}", name, name, f"e-{name}", "9.1.0", f"{name}:9300", ("data",))


def strategy_of(mode: str) -> Strategy:
    if mode == "sniff":
        config = RemoteConfig("l", seeds=("n0:9300", "n1:9300"), node_connections=3)
        return SniffStrategy(config, BERGEN, jitter=lambda: 0.5)
    config = RemoteConfig("l", mode="proxy", proxy_address="gate:1", proxy_socket_connections=4)
    return ProxyStrategy(config, BERGEN, jitter=lambda: 0.5)


class World:
    """Plays the driver: what was commanded may happen, in any order the test draws."""

    def __init__(self, mode: str) -> None:
        self.strategy = strategy_of(mode)
        self.dialling: dict[int, Dial] = {}
        self.asked: list[int] = []
        self.open: set[int] = set()
        self.kept: set[int] = set()
        self.has_timer = False

    def tell(self, event: object) -> None:
        for command in self.strategy.handle(event):  # type: ignore[arg-type]
            match command:
                case Dial(link):
                    self.dialling[link] = command
                case ListNodes(link):
                    self.asked.append(link)
                case Keep(link):
                    assert link in self.open
                    self.kept.add(link)
                case Drop(link):
                    assert link in self.open
                    self.open.discard(link)
                    self.kept.discard(link)
                case WakeAfter(delay_s):
                    assert delay_s > 0
                    self.has_timer = True
                case GaveUp(_, sentence):
                    assert "[l]" in sentence
                    assert not self.kept

    def step(self, draw: st.DataObject) -> None:
        choices = [name for name, there in self._possible().items() if there]
        name = draw.draw(st.sampled_from(choices))
        if name == "dial":
            link = draw.draw(st.sampled_from(sorted(self.dialling)))
            dial = self.dialling.pop(link)
            if draw.draw(st.booleans()):
                self.open.add(link)
                number = int(dial.address[1]) if dial.address.startswith("n") else draw.draw(st.integers(0, 4))
                self.tell(Dialled(link, hello(number, draw.draw(st.sampled_from(["luebeck", "luebeck", "visby"])))))
            else:
                self.tell(DialFailed(link, "refused"))
        elif name == "list":
            link = self.asked.pop()
            is_answered = link in self.open and draw.draw(st.booleans())
            self.tell(NodesListed(link, NODES) if is_answered else NodesFailed(link, "reset"))
        elif name == "lose":
            link = draw.draw(st.sampled_from(sorted(self.open)))
            self.open.discard(link)
            self.kept.discard(link)
            self.tell(Lost(link, "reset"))
        elif name == "wake":
            self.has_timer = False
            self.tell(Woke())
        else:
            self.tell(Demanded())

    def _possible(self) -> dict[str, bool]:
        return {
            "dial": bool(self.dialling),
            "list": bool(self.asked),
            "lose": bool(self.open & self.kept),
            "wake": self.has_timer,
            "demand": True,
        }


@given(st.sampled_from(["sniff", "proxy"]), st.data())
def test_whatever_happens_the_remote_is_never_forgotten(mode: str, data: st.DataObject) -> None:
    world = World(mode)
    world.tell(Started())
    for _ in range(data.draw(st.integers(0, 40))):
        world.step(data)
        strategy = world.strategy
        assert set(strategy.links) == world.kept
        assert len(strategy.links) <= strategy.config.connections_max
        is_busy = bool(world.dialling or world.asked)
        assert (strategy.state is State.CONNECTING) == is_busy
        is_full = len(strategy.links) == strategy.config.connections_max
        # Not full and not at work: then a timer must be running, or nobody would ever try again.
        assert is_busy or is_full or world.has_timer
        assert world.open - world.kept <= set(strategy.temporary_links())
    world.tell(Stopped())
    assert world.strategy.links == {}
    assert not world.open
