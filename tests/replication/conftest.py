"""Two nodes: `here` follows what `there` leads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.two_clusters import Cluster, two_clusters


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Cluster, Cluster]]:
    async with two_clusters(tmp_path) as made:
        yield made
