"""Two operators at two terminals: one invites, the other accepts, both type what the other one reads to them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hanse.cli.local_cluster import LocalNode
from hanse.tls.authority import CertificateAuthority
from tests.journeys.world import ok

Nodes = tuple[LocalNode, LocalNode]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("operators")
    made = [LocalNode(folder / name, name, CertificateAuthority.create(f"CN=ca-{name}")) for name in ("here", "there")]
    for node in made:
        node.start(wait=False)
    try:
        for node in made:
            node.wait_until_ready()
        yield made[0], made[1]
    finally:
        for node in made:
            node.stop()


class Operator:
    """A tool with somebody in front of it."""

    def __init__(self, node: LocalNode, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hanse", "trust", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "ES_PATH_CONF": str(node.config)},
        )
        self.seen = ""

    def reads(self, pattern: str) -> str:
        assert self.process.stdout is not None
        while not (found := re.search(pattern, self.seen)):
            line = self.process.stdout.readline()
            assert line, f"[{pattern}] did not come: {self.seen}"
            self.seen += line
        return found[1]

    def types(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ends(self) -> tuple[int, str]:
        rest, _ = self.process.communicate(timeout=60)
        return self.process.returncode, self.seen + rest


TOKEN, DIGITS = r"(hanse_trust_1_\S+)", r"authentication string: (\S+)"


def token_of(node: LocalNode, *more: str) -> str:
    inviting = Operator(node, "invite", "-s", "--no-wait", "--alias", "there", *more)
    token = inviting.reads(TOKEN)
    assert inviting.ends()[0] == 0
    return token


def users_left(nodes: Nodes) -> str:
    return "".join((node.config / "users").read_text() for node in nodes)


def test_invite_and_accept(nodes: Nodes) -> None:
    here, there = nodes
    inviting = Operator(here, "invite", "--alias", "there", "--search", "logs-*", "--roles", "reader,superuser")
    accepting = Operator(there, "accept", "--alias", "here", inviting.reads(TOKEN))
    told_there, told_here = accepting.reads(DIGITS), inviting.reads(DIGITS)
    assert told_there == told_here
    inviting.types(told_there)
    accepting.types(told_here)
    for operator, alias in ((inviting, "there"), (accepting, "here")):
        status, text = operator.ends()
        assert (status, f"[{alias}] is trusted and connected." in text) == (0, True), text
    assert "It may do here at most: nothing" in accepting.seen + text
    assert ok(here, "GET", "/_security/remote_peer/there")["there"]["limits"] == {
        "search": [{"names": ["logs-*"]}],
        "roles": ["reader", "superuser"],
    }
    assert users_left(nodes) == ""
    status, text = Operator(here, "list").ends()
    assert (status, "there          : trusted, there of [CN=ca-there]" in text) == (0, True), text
    for node, alias in ((here, "there"), (there, "here")):
        assert Operator(node, "remove", alias).ends()[0] == 0


def test_scripts_pass_the_digits(nodes: Nodes) -> None:
    here, there = nodes
    token = token_of(here)
    accepting = Operator(there, "accept", "-s", "--no-wait", "--alias", "here")
    accepting.types(token)
    digits = accepting.reads(DIGITS)
    assert accepting.ends()[0] == 0
    status, text = Operator(there, "confirm", "--sas", digits, "--no-wait", "here").ends()
    assert (status, "Confirmed here" in text) == (0, True), text
    status, text = Operator(here, "confirm", "--sas", "1111-2222-3333", "there").ends()
    assert (status, "the short authentication strings differ" in text) == (65, True), text
    status, text = Operator(here, "confirm", "--sas", digits, "there").ends()
    assert (status, "no exchange of trust with [there] is pending; the last one has failed" in text) == (67, True), text
    assert ok(here, "GET", "/_security/trust") == ok(there, "GET", "/_security/trust") == {}


def test_an_invitation_is_withdrawn(nodes: Nodes) -> None:
    here, there = nodes
    token = token_of(here)
    assert Operator(here, "cancel", "there").ends()[0] == 0
    status, text = Operator(there, "accept", "--alias", "here", token).ends()
    assert (status, "it was cancelled by an administrator" in text) == (65, True), text


def test_nobody_answers(nodes: Nodes) -> None:
    here, there = nodes
    token = token_of(here, "--address", "127.0.0.1:1")
    status, text = Operator(there, "accept", "--alias", "here", token).ends()
    assert (status, "the inviting cluster cannot be reached: cannot call [127.0.0.1:1]" in text) == (69, True), text
