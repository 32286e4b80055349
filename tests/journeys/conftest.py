"""Fixtures of the journeys: one node, or two connected clusters, for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hanse.cli.local_cluster import LocalNode
from hanse.tls.authority import CertificateAuthority
from tests.journeys.world import Pair


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNode]:
    """One secured node for the tests of a module."""
    folder = tmp_path_factory.mktemp("node")
    with LocalNode(folder, "single", CertificateAuthority.create("CN=ca-single")) as running:
        yield running


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two connected clusters for the tests of a module."""
    running = Pair(tmp_path_factory.mktemp("pair"))
    try:
        running.start().connect()
        yield running
    finally:
        running.stop()
