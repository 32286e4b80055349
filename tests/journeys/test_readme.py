"""What the README and the pages tell a newcomer to type works as it stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.shell import run_page, shell_blocks

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").glob("*.md") if shell_blocks(path))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page(page: Path, tmp_path: Path) -> None:
    printed = run_page(page, tmp_path)
    if page.name == "README.md":
        assert '"_index" : "bergen:cities"' in printed or '"_index": "bergen:cities"' in printed
        assert "Visby" in printed
        assert '"tax"' not in printed.split("/_search")[-1].split("follow_index_created")[0]
