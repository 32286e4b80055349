"""The fixture all search tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.search.searching import Library, library


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Library]:
    async with library(tmp_path) as made:
        yield made
