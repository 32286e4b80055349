"""`elasticsearch-users`: the files of the file realm after each command."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hanse.cli.users import users
from hanse.security.passwords import check_now


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "elasticsearch.yml").write_text("xpack.security.authc.password_hashing.algorithm: bcrypt4\n")
    return tmp_path


def run(config: Path, *arguments: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(users, list(arguments), input=answers, env={"ES_PATH_CONF": str(config)})


def hash_of(config: Path, name: str) -> str:
    return dict(line.split(":", 1) for line in (config / "users").read_text().splitlines())[name]


def test_a_user_is_added_with_password_and_roles(config: Path) -> None:
    assert run(config, "useradd", "olaf", "-p", "secret1", "-r", "viewer,superuser").output == ""
    assert check_now("secret1", hash_of(config, "olaf"))
    assert (config / "users_roles").read_text() == "viewer:olaf\nsuperuser:olaf\n"
    for name in ("users", "users_roles"):
        assert stat.S_IMODE((config / name).stat().st_mode) == 0o600
    again = run(config, "useradd", "olaf", "-p", "secret2")
    assert (again.exit_code, again.stderr) == (70, "ERROR: User [olaf] already exists\n")


def test_the_password_is_asked_for_twice(config: Path) -> None:
    asked = run(config, "useradd", "olaf", answers="secret1\nsecret1\n")
    assert asked.stderr == "Enter new password: Retype new password: "
    assert check_now("secret1", hash_of(config, "olaf"))
    differing = run(config, "passwd", "olaf", answers="secret2\nsecret3\n")
    assert (differing.exit_code, "Password mismatch" in differing.stderr) == (64, True)
    assert run(config, "passwd", "olaf", "-p", "secret2").exit_code == 0
    assert check_now("secret2", hash_of(config, "olaf"))


def test_roles_are_given_and_taken(config: Path) -> None:
    (config / "roles.yml").write_text("sailor:\n  cluster: [monitor]\n")
    run(config, "useradd", "olaf", "-p", "secret1", "-r", "viewer")
    warned = run(config, "roles", "olaf", "-a", "sailor,captain", "-r", "viewer")
    assert "The following roles [captain] are not in the" in warned.stderr
    shown = run(config, "roles", "olaf").stdout
    assert shown.splitlines()[0] == "olaf           : sailor,captain*"
    assert "[*]" in shown
    assert run(config, "roles", "olaf", "-r", "sailor,captain").exit_code == 0
    assert run(config, "roles", "olaf").stdout == "olaf           : -\n"


def test_users_are_listed_and_removed(config: Path) -> None:
    assert run(config, "list").stdout == "No users found\n"
    for name in ("rdeniro", "alpacino"):
        run(config, "useradd", name, "-p", "secret1", "-r", "superuser")
    assert run(config, "list").stdout == "alpacino       : superuser\nrdeniro        : superuser\n"
    assert run(config, "list", "rdeniro").stdout == "rdeniro        : superuser\n"
    assert run(config, "userdel", "rdeniro").exit_code == 0
    assert run(config, "list").stdout == "alpacino       : superuser\n"
    assert (config / "users_roles").read_text() == "superuser:alpacino\n"


def test_a_new_user_does_not_inherit_what_a_name_once_had(config: Path) -> None:
    (config / "users_roles").write_text("superuser:olaf\n")
    run(config, "useradd", "olaf", "-p", "secret1")
    assert run(config, "list").stdout == "olaf           : -\n"


def test_the_mode_of_a_file_is_kept(config: Path) -> None:
    run(config, "useradd", "olaf", "-p", "secret1")
    (config / "users").chmod(0o640)
    run(config, "passwd", "olaf", "-p", "secret2")
    assert stat.S_IMODE((config / "users").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("useradd",), 64, "Missing username argument"),
        (("useradd", "elastic", "-p", "secret1"), 65, "Username [elastic] is reserved"),
        (("useradd", "o:l", "-p", "secret1"), 65, "Invalid username [o:l]"),
        (("useradd", "olaf", "-p", "short"), 65, "passwords must be at least [6] characters long"),
        (("useradd", "olaf", "-p", "secret1", "-r", "bäd"), 65, "Invalid role [bäd]"),
        (("userdel", "olaf"), 67, "User [olaf] doesn't exist"),
        (("passwd", "olaf", "-p", "secret1"), 67, "User [olaf] doesn't exist"),
        (("roles", "olaf", "-a", "viewer"), 67, "User [olaf] doesn't exist"),
        (("list", "olaf"), 67, "User [olaf] doesn't exist"),
    ],
)
def test_what_is_wrong_is_said(config: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    result = run(config, *arguments)
    assert (result.exit_code, words in result.stderr) == (status, True), result.output
    assert sorted(path.name for path in config.iterdir()) == ["elasticsearch.yml"]


def test_a_damaged_file_is_not_written_over(config: Path) -> None:
    (config / "users").write_text("what is this\n")
    result = run(config, "useradd", "olaf", "-p", "secret1")
    assert (result.exit_code, "line [1]; mend or remove it first" in result.stderr) == (78, True)
    assert (config / "users").read_text() == "what is this\n"
