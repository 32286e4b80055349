"""The two files: what is read, what is left out, and how they are written."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hanse.errors import SettingsError
from hanse.security.passwords import hash_now
from hanse.security.user_files import edited_user_files, name_problem, owner_of, read_user_files

HASH = hash_now("secret1", "bcrypt4")


def test_comments_and_empty_lines_are_no_entries(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(f"# ours\n\nolaf:{HASH}\r\nerik:{HASH}")
    (tmp_path / "users_roles").write_text("# ours\nsailor:olaf, erik\ncaptain: olaf\nnobody:\n")
    found = read_user_files(tmp_path)
    assert list(found.hashes) == ["olaf", "erik"]
    assert found.roles == {"olaf": ("sailor", "captain"), "erik": ("sailor",)}
    assert not found.problems


def test_no_files_are_no_users(tmp_path: Path) -> None:
    found = read_user_files(tmp_path)
    assert (found.hashes, found.roles, found.problems) == ({}, {}, [])


def test_lines_that_cannot_be_read_are_told_and_the_rest_counts(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(f"nonsense\nolaf:plain\nelastic:{HASH}\nerik:{HASH}\n")
    (tmp_path / "users_roles").write_text("sailor\ncaptain:erik\n")
    found = read_user_files(tmp_path)
    assert list(found.hashes) == ["erik"]
    assert found.roles == {"erik": ("captain",)}
    assert [problem.partition(" [")[0] for problem in found.problems] == [
        "invalid entry in users file",
        "unknown password hash in users file",
        "invalid entry in users file",
        "invalid entry in users_roles file",
    ]


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "users").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="cannot read the file"):
        read_user_files(tmp_path)


def test_an_edit_that_fails_writes_nothing(tmp_path: Path) -> None:
    def half_an_edit() -> None:
        with edited_user_files(tmp_path) as files:
            files.hashes["olaf"] = HASH
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_an_edit()
    assert not list(tmp_path.iterdir())


def test_edits_at_once_are_all_kept(tmp_path: Path) -> None:
    def add(name: str) -> None:
        with edited_user_files(tmp_path) as files:
            files.hashes[name] = HASH
            files.roles[name] = ("sailor",)

    threads = [threading.Thread(target=add, args=(f"user{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_user_files(tmp_path).hashes) == 20
    assert len(read_user_files(tmp_path).roles) == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["users", "users_roles"]


@pytest.mark.parametrize("name", ["", " a", "a ", "a:b", "a,b", "#a", "ä", "a\nb", "x" * 1025])
def test_names_a_file_cannot_hold(name: str) -> None:
    assert name_problem(name, "Role") is not None


@pytest.mark.parametrize("name", ["a", "a b", "x" * 1024, "o'neill@example"])
def test_names(name: str) -> None:
    assert name_problem(name, "User") is None


def test_reserved_names_are_for_roles_only() -> None:
    assert "is reserved" in str(name_problem("elastic", "User"))
    assert name_problem("superuser", "Role") is None


def test_the_owner_of_a_file(tmp_path: Path) -> None:
    assert owner_of(tmp_path / "none") is None
    assert owner_of(tmp_path)
