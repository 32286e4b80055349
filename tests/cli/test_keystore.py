"""`elasticsearch-keystore`: what an operator types, and what lies in the file afterwards."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hanse.cli.keystore import keystore
from hanse.settings.keystore import SEED, Keystore


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


def run(config: Path, *arguments: object, answers: str | None = None) -> Result:
    return CliRunner().invoke(
        keystore, [str(argument) for argument in arguments], input=answers, env={"ES_PATH_CONF": str(config)}
    )


def values(config: Path, password: str = "") -> dict[str, str]:
    opened = Keystore.load(config, password)
    assert opened is not None
    return dict(opened)


def test_a_new_keystore_has_a_seed_and_is_not_overwritten_unasked(config: Path) -> None:
    result = run(config, "create")
    path = config / "elasticsearch.keystore"
    assert result.stdout == f"Created elasticsearch keystore in {path}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    seed = values(config)[SEED]
    declined = run(config, "create", answers="n\n")
    assert "An elasticsearch keystore already exists. Overwrite? [y/N]" in declined.stderr
    assert (declined.exit_code, declined.stdout) == (0, "Exiting without creating keystore.\n")
    assert values(config)[SEED] == seed
    assert run(config, "create", answers="y\n").exit_code == 0
    assert values(config)[SEED] != seed


def test_settings_are_added_listed_shown_and_removed(config: Path, tmp_path: Path) -> None:
    run(config, "create")
    assert "Enter value for b.two: " in run(config, "add", "b.two", "a.one", answers="2\n1\n").stderr
    assert run(config, "add", "--stdin", "c.three", answers="3\n").exit_code == 0
    assert run(config, "list").stdout == "a.one\nb.two\nc.three\nkeystore.seed\n"
    assert run(config, "show", "c.three").stdout == "3\n"
    out = tmp_path / "value"
    assert run(config, "show", "-o", out, "c.three").stdout == ""
    assert (out.read_text(), stat.S_IMODE(out.stat().st_mode)) == ("3", 0o600)
    assert run(config, "show", "-o", out, "c.three").exit_code == 74
    assert run(config, "remove", "a.one", "b.two").exit_code == 0
    gone = run(config, "remove", "a.one")
    assert (gone.exit_code, gone.stderr) == (78, "ERROR: Setting [a.one] does not exist in the keystore.\n")


def test_a_setting_that_exists_is_overwritten_only_when_asked_or_forced(config: Path) -> None:
    run(config, "create")
    run(config, "add", "-x", "x", answers="old\n")
    declined = run(config, "add", "x", answers="n\n")
    assert "Setting x already exists. Overwrite? [y/N]" in declined.stderr
    assert (declined.exit_code, declined.stdout) == (0, "Exiting without modifying keystore.\n")
    assert values(config)["x"] == "old"
    assert run(config, "add", "x", answers="y\nnew\n").exit_code == 0
    assert values(config)["x"] == "new"
    assert run(config, "add", "-fx", "x", answers="newest\n").exit_code == 0
    assert values(config)["x"] == "newest"


def test_adding_makes_a_keystore_when_that_is_wanted(config: Path) -> None:
    declined = run(config, "add", "x", answers="n\n")
    assert "The elasticsearch keystore does not exist. Do you want to create it? [y/N]" in declined.stderr
    assert declined.stdout == "Exiting without creating keystore.\n"
    assert run(config, "add", "x", answers="y\nvalue\n").exit_code == 0
    assert values(config)["x"] == "value"
    (config / "elasticsearch.keystore").unlink()
    assert run(config, "add", "-f", "x", answers="value\n").exit_code == 0


def test_files_are_added(config: Path, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text('{"a": 1}\n')
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    run(config, "create")
    assert run(config, "add-file", "gcs.key", tmp_path / "key.json").exit_code == 0
    assert values(config)["gcs.key"] == '{"a": 1}\n'
    for arguments, status, words in [
        (("x", tmp_path / "missing"), 74, "does not exist"),
        (("x", tmp_path / "binary"), 65, "is not UTF-8 text"),
        (("x",), 64, "Missing file name"),
        ((), 64, "Missing setting name"),
        (("x", tmp_path / "key.json", "y"), 64, "must come in pairs"),
    ]:
        result = run(config, "add-file", *arguments)
        assert (result.exit_code, words in result.stderr) == (status, True)


def test_a_password_protects_the_keystore(config: Path) -> None:
    assert run(config, "create", "-p", answers="first1\nfirst1\n").exit_code == 0
    assert run(config, "has-passwd").stdout == "Keystore is password-protected\n"
    asked = run(config, "list", answers="first1\n")
    assert (asked.stdout, asked.stderr) == ("keystore.seed\n", "Enter password for the elasticsearch keystore : ")
    wrong = run(config, "list", answers="second\n")
    assert wrong.exit_code == 65
    assert "Provided keystore password was incorrect" in wrong.stderr
    changed = run(config, "passwd", answers="first1\nsecond\nsecond\n")
    assert changed.stdout == "Elasticsearch keystore password changed successfully.\n"
    assert SEED in values(config, "second")
    assert run(config, "add", "-x", "x", answers="second\nvalue\n").exit_code == 0
    assert values(config, "second")["x"] == "value"
    mismatch = run(config, "passwd", answers="second\none\ntwo\n")
    assert (mismatch.exit_code, "Passwords are not equal, exiting." in mismatch.stderr) == (65, True)
    assert run(config, "passwd", answers="second\n\n\n").exit_code == 0
    without = run(config, "has-passwd")
    assert (without.exit_code, without.stderr) == (1, "ERROR: Keystore is not password-protected\n")


def test_upgrade_gives_a_seed(config: Path) -> None:
    Keystore(config / "elasticsearch.keystore", {"x": "1"}).save()
    assert run(config, "upgrade").exit_code == 0
    assert sorted(values(config)) == [SEED, "x"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("list",), 65, "Elasticsearch keystore not found at"),
        (("show", "x"), 65, "Use 'create' command to create one."),
        (("remove", "x"), 65, "not found"),
        (("has-passwd",), 65, "not found"),
        (("passwd",), 65, "not found"),
        (("add",), 64, "the setting names can not be empty"),
        (("remove",), 64, "Must supply at least one setting to remove"),
        (("show",), 64, "Must provide a single setting name to show"),
    ],
)
def test_what_is_wrong_is_said(config: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    result = run(config, *arguments)
    assert (result.exit_code, words in result.stderr) == (status, True), result.output
    assert not list(config.iterdir())


def test_names_and_values_that_cannot_be(config: Path) -> None:
    run(config, "create")
    assert run(config, "add", "sp ace", answers="x\n").exit_code == 64
    assert "must not be empty" in run(config, "add", "x", answers="\n").stderr
    assert "no value for [x]" in run(config, "add", "-x", "x", answers="").stderr
    assert run(config, "show", "x").exit_code == 78
    assert list(values(config)) == [SEED]
