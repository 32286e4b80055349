"""A key of its owner's alone, made once."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from hanse.cli.syskeygen import syskeygen


def run(folder: Path, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(syskeygen, [*options], env={"ES_PATH_CONF": str(folder)})
    return done.exit_code, done.output


def test_a_key_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "system_key"
    assert run(tmp_path) == (
        0,
        f"Generated key stored in [{path}]\n"
        "Ensure that the user that runs the node can read it, and nobody else; every node needs the same file.\n",
    )
    key = path.read_bytes()
    assert (len(key), path.stat().st_mode & 0o777) == (128, 0o600)
    status, printed = run(tmp_path)
    assert (status, printed) == (78, f"ERROR: A system key already exists in [{path}]\n")
    assert path.read_bytes() == key


def test_no_link_is_followed_and_no_folder_is_made(tmp_path: Path) -> None:
    (tmp_path / "system_key").symlink_to(tmp_path / "elsewhere")
    assert run(tmp_path)[0] == 78
    assert not (tmp_path / "elsewhere").exists()
    assert run(tmp_path / "missing")[0] == 74


def test_silence(tmp_path: Path) -> None:
    assert run(tmp_path, "--silent", "-E", "a=b") == (0, "")
