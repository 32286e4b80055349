"""The house rules no reviewer should have to say: sizes, banned words, module docstrings, register of docs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "hanse").rglob("*.py"))
VAGUE = {"utils", "helpers", "common", "core", "manager", "misc", "base"}
LINES_MAX = 700


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), f"{name_of(path)} has no module docstring"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_is_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES_MAX


def test_no_vague_names() -> None:
    assert not [name_of(path) for path in SOURCES if path.stem in VAGUE]


def test_ssl_lives_in_tls_only() -> None:
    allowed = {"src/hanse/cli/local_cluster.py"}
    users = [
        name_of(path)
        for path in SOURCES
        if any(
            line in ("import ssl",) or line.startswith(("import ssl ", "from ssl "))
            for line in path.read_text().splitlines()
        )
    ]
    assert not [user for user in users if not user.startswith("src/hanse/tls/") and user not in allowed]


def test_engines_live_in_their_rooms() -> None:
    homes = {
        "apsw": ("src/hanse/index/", "src/hanse/cluster/embedded/"),
        "nats": ("src/hanse/cluster/jetstream/",),
        "tantivy": ("src/hanse/index/", "src/hanse/search/"),
    }
    strays = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for library, rooms in homes.items():
                if any(name.split(".")[0] == library for name in names) and not name_of(path).startswith(rooms):
                    strays.append((name_of(path), library))
    assert not strays


def test_no_machine_paths_or_registry_hosts() -> None:
    forbidden = ("/work/" + "main", "files.python" + "hosted.org", "pypi" + ".org", "/root" + "/")
    tracked = [*SOURCES, *ROOT.glob("*.toml"), *ROOT.glob("*.txt"), *ROOT.glob("docs/*.md"), ROOT / "Makefile"]
    assert not [name_of(path) for path in tracked for word in forbidden if word in path.read_text()]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_the_tests_that_a_module_names_are_there(path: Path) -> None:
    named = re.findall(r"tests/[a-z_0-9/]+\.py", path.read_text())
    assert not [name for name in named if not (ROOT / name).exists()]
