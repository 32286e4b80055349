"""What is refused before a node is asked, and that ceilings are built as they were named."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hanse.cli.main import main
from hanse.cli.terminal import Failure
from hanse.cli.trust import _printable, _side

NOTHING = {"limits": None, "search": None, "replication": None, "roles": None, "max_concurrent_requests": None}


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["trust", *arguments], env={"ES_PATH_CONF": str(config)})


def side(**given: object) -> object:
    return _side(**{"alias": "munich", "seeds": (), **NOTHING, **given})["limits"]  # type: ignore[arg-type]


def test_a_ceiling_that_was_not_named_allows_nothing() -> None:
    assert side() == {}


def test_a_ceiling_is_what_was_named() -> None:
    assert side(search="logs-*, metrics-*", replication="logs-*", roles="reader,ops-*", max_concurrent_requests=64) == {
        "search": [{"names": ["logs-*", "metrics-*"]}],
        "replication": [{"names": ["logs-*"]}],
        "roles": ["reader", "ops-*"],
        "max_concurrent_requests": 64,
    }


def test_a_ceiling_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "limits.json"
    path.write_text('{"search": [{"names": ["a"], "query": {"match_all": {}}}]}')
    assert side(limits=path) == {"search": [{"names": ["a"], "query": {"match_all": {}}}]}
    with pytest.raises(Failure, match="either \\[--limits\\] or \\[--search\\]"):
        side(limits=path, search="a")
    path.write_text("{")
    with pytest.raises(Failure, match="is no JSON"):
        side(limits=path)


def test_what_a_stranger_says_does_not_move_the_cursor() -> None:
    assert _printable("munich\x1b[2J\r") == "munich?[2J?"


def test_an_alias_is_needed(tmp_path: Path) -> None:
    result = run(tmp_path, "invite")
    assert (result.exit_code, "--alias" in result.stderr) == (2, True)


def test_without_security_there_is_nobody_to_ask(tmp_path: Path) -> None:
    (tmp_path / "elasticsearch.yml").write_text("xpack.security.enabled: false\n")
    result = run(tmp_path, "list")
    assert (result.exit_code, "security is disabled" in result.stderr) == (78, True)
    assert run(tmp_path, "accept", "--alias", "a", "-").exit_code == 64
