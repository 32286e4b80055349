from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.faults.network import Network, network, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

_ASK = """
import json, socket, sys
answers = []
for host in sys.argv[1:]:
    with socket.socket() as probe:
        probe.settimeout(1)
        try:
            probe.connect((host, 9))
        except ConnectionRefusedError:
            answers.append(True)  # refused by a host that is there
        except OSError:
            answers.append(False)
print(json.dumps(answers))
"""


@pytest.fixture
def joined() -> Iterator[Network]:
    with network(3) as made:
        yield made


def sees(joined: Network, at: int) -> set[int]:
    """The numbers of the nodes that this one reaches on the cluster's network."""
    command = [*joined.places[at].through, sys.executable, "-c", _ASK, *(place.host for place in joined.places)]
    answers = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {other for other, reached in enumerate(answers) if reached and other != at}


def test_who_sees_whom(joined: Network) -> None:
    assert [sees(joined, at) for at in range(3)] == [{1, 2}, {0, 2}, {0, 1}]
    joined.cut_off(0)
    assert [sees(joined, at) for at in range(3)] == [set(), {2}, {1}]
    command = [sys.executable, "-c", _ASK, joined.places[0].http_host]
    assert json.loads(subprocess.run(command, check=True, capture_output=True).stdout) == [True], "clients still come"
    joined.heal()
    joined.cut_between(0, 1)
    assert [sees(joined, at) for at in range(3)] == [{2}, {2}, {0, 1}]
    joined.heal()
    assert [sees(joined, at) for at in range(3)] == [{1, 2}, {0, 2}, {0, 1}]
