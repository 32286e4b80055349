"""Taking nats-servers out of the group: three real ones, with the accounts that a managed one has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from nats.js import api
from tests.nats_servers import WAIT_S, NatsCluster, NatsServer, eventually

from hanse.cluster.jetstream.connection import Connection, connect
from hanse.cluster.jetstream.group import ExternalVoters, ManagedVoters, peer_id
from hanse.cluster.jetstream.server import ManagedServer
from hanse.cluster.jetstream.streams import all_streams, make_stream, raised
from hanse.cluster.voting import Candidate, Exclusion
from hanse.errors import IllegalArgumentError, TimeoutElapsedError

OWN = {"user": "hanse", "password": "own"}
SYSTEM = {"user": "system", "password": "systems"}
ACCOUNTS: dict[str, Any] = {"authorization": {"users": [OWN]}, "accounts": {"$SYS": {"users": [SYSTEM]}}}


class Beside(ManagedServer):
    """A server that a test started, in the place of one that a node did."""

    def __init__(self, server: NatsServer) -> None:
        self.managed = cast(Any, server)
        self.managed.server_name = server.config["server_name"]


@pytest.fixture
def three(tmp_path: Path) -> Iterator[NatsCluster]:
    made = NatsCluster(tmp_path, **ACCOUNTS).start()
    yield made
    made.kill()


@pytest.fixture
async def opened(three: NatsCluster) -> AsyncIterator[tuple[Connection, ManagedVoters]]:
    first = three.servers[0]
    connection = await connect([first.url], OWN, replicas=3, timeout_s=WAIT_S)
    voters = ManagedVoters(Beside(first), connection, lambda: SYSTEM)
    connection.group_size = voters.size
    yield connection, voters
    await connection.close()


def of(server: NatsServer, node_id: str = "id") -> Candidate:
    return Candidate(Exclusion(node_id, "node"), server.config["server_name"], is_member=False)


async def refusal(voters: ManagedVoters, server: NatsServer) -> str:
    try:
        await voters.remove([of(server)], 0.5)
    except TimeoutElapsedError as error:
        return error.reason
    return ""


async def written(connection: Connection, name: str) -> api.StreamInfo:
    config = api.StreamConfig(name=name, subjects=[f"{name}.*"], num_replicas=3)
    return await eventually(lambda: make_stream(connection, config))


async def copies(connection: Connection, holds: Callable[[dict[str, bool]], bool]) -> None:
    while True:
        found = [dict(stream.copies) for stream in (await all_streams(connection.client)).led]
        if all(holds(one) for one in found):
            return
        await asyncio.sleep(0.1)


async def test_a_server_that_is_gone_is_taken_out_also_when_nobody_knows_its_name_any_more(
    three: NatsCluster, opened: tuple[Connection, ManagedVoters]
) -> None:
    connection, voters = opened
    await written(connection, "kept")
    first, second, third = three.servers
    third.kill()
    for server in (second, first):
        server.kill()
        server.start()
    assert await voters.size() == 3
    await voters.remove([of(third)], WAIT_S)
    assert await voters.size() == 2
    await copies(connection, lambda found: found == {"n0": True, "n1": True})
    await voters.remove([of(third)], WAIT_S)
    await eventually(lambda: connection.js.publish("kept.x", b"1"))


async def test_with_a_server_less_streams_are_made_and_get_the_others_when_there_are_some(
    three: NatsCluster, opened: tuple[Connection, ManagedVoters], tmp_path: Path
) -> None:
    connection, voters = opened
    await written(connection, "before")
    three.servers[2].kill()
    await voters.remove([of(three.servers[2])], WAIT_S)
    info = await written(connection, "between")
    assert info.config.num_replicas == 2
    assert connection.has_lowered.is_set()
    assert await raised(connection) is False
    routes = three.servers[0].config["cluster"]["routes"]
    fourth = NatsServer(
        tmp_path / "n3", "n3", cluster={"name": "c", "host": "127.0.0.1", "port": -1, "routes": routes}, **ACCOUNTS
    ).start()
    while not await raised(connection):
        await asyncio.sleep(0.1)
    await copies(connection, lambda found: found == {"n0": True, "n1": True, "n3": True})
    fourth.kill()


async def test_a_server_that_nobody_heard_of_keeps_no_stream_from_being_made_and_gets_it_later(
    three: NatsCluster, opened: tuple[Connection, ManagedVoters]
) -> None:
    """It is down, and the others have started since: none of them would place a third copy."""
    connection, _ = opened
    first, second, third = three.servers
    third.kill()
    for server in (second, first):
        server.kill()
        server.start()
    info = await written(connection, "meanwhile")
    assert info.config.num_replicas == 2
    assert connection.has_lowered.is_set()
    await eventually(lambda: connection.js.publish("meanwhile.x", b"1"))
    third.start()
    while not await eventually(lambda: raised(connection)):
        await asyncio.sleep(0.1)
    await copies(connection, lambda found: found == {"n0": True, "n1": True, "n2": True})


async def test_one_that_runs_goes_when_the_others_have_and_lead_everything(
    three: NatsCluster, opened: tuple[Connection, ManagedVoters]
) -> None:
    connection, voters = opened
    for name in ("a", "b", "c"):
        await written(connection, name)
    both = [of(three.servers[1], "one"), of(three.servers[2], "two")]
    with pytest.raises(
        IllegalArgumentError, match=r"\[node/one, node/two\]: \[1\] nats-servers would be left, but one"
    ):
        await voters.remove(both, WAIT_S)
    await voters.remove(both[1:], WAIT_S)
    assert await voters.size() == 2
    await copies(connection, lambda found: found == {"n0": True, "n1": True})
    await eventually(lambda: connection.js.publish("a.x", b"1"))
    with pytest.raises(IllegalArgumentError, match=r"\[node/one\]: \[1\] nats-servers would be left"):
        await voters.remove(both[:1], WAIT_S)


@pytest.mark.parametrize("seems_alive", [True, False])
async def test_nobody_is_taken_out_whom_the_majority_needs(
    three: NatsCluster, opened: tuple[Connection, ManagedVoters], seems_alive: bool
) -> None:
    connection, voters = opened
    await written(connection, "kept")
    three.servers[2].freeze() if seems_alive else three.servers[2].kill()
    with pytest.raises(
        IllegalArgumentError, match=r"of the \[2\] nats-servers that would be left \[1\] would answer, .*\[n2\]"
    ):
        await voters.remove([of(three.servers[1])], WAIT_S)
    assert await voters.size() == 3


async def test_a_node_that_nobody_knows_is_refused_and_its_server_can_be_named(
    three: NatsCluster, opened: tuple[Connection, ManagedVoters]
) -> None:
    connection, voters = opened
    await written(connection, "kept")
    unknown = Candidate(Exclusion("_absent_", "nobody"), None, is_member=False)
    with pytest.raises(IllegalArgumentError, match=r"\[nobody\]: no nats-server is known of that node\..*\[n2\] \("):
        await voters.remove([unknown], WAIT_S)
    three.servers[2].kill()
    by_peer = Candidate(Exclusion(peer_id("n2"), "_absent_"), None, is_member=False)
    await voters.remove([by_peer], WAIT_S)
    assert await voters.size() == 2


async def test_without_a_majority_it_is_said_what_is_waited_for(
    three: NatsCluster, opened: tuple[Connection, ManagedVoters]
) -> None:
    _, voters = opened
    for server in three.servers[1:]:
        server.kill()
    # A leader believes for a while that it still leads.
    async with asyncio.timeout(WAIT_S):
        while "a majority of its nats-servers must run" not in await refusal(voters, three.servers[2]):
            pass
    three.servers[0].kill()
    with pytest.raises(TimeoutElapsedError, match="this node's nats-server does not answer"):
        await voters.remove([of(three.servers[2])], 0.5)


async def test_external_servers_are_somebody_elses() -> None:
    with pytest.raises(IllegalArgumentError, match=r"\[hanse.nats.mode\] is \[external\].*cluster peer-remove"):
        await ExternalVoters().remove([], 1)
