"""Roles by subject from role_mapping.yml: exact names, nothing by accident."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanse.errors import SettingsError
from hanse.security.role_mapping_file import RoleMappingFile, roles_of_subject

JOE = "CN=joe,OU=readers,O=acme"


def roles(file: RoleMappingFile, subject: str) -> tuple[str, ...]:
    return roles_of_subject(file.roles, subject)


def written(folder: Path, text: str) -> RoleMappingFile:
    (folder / "role_mapping.yml").write_text(text)
    return RoleMappingFile(folder / "role_mapping.yml", "a.setting")


def test_names_are_compared_part_by_part(tmp_path: Path) -> None:
    file = written(tmp_path, f'reader: ["{JOE}", "cn=ann, o=acme"]\nmonitor: "{JOE}"\n')
    assert roles(file, JOE) == ("reader", "monitor")
    assert roles(file, "CN=ann,O=acme") == ("reader",)
    assert roles(file, "CN=JOE,OU=Readers,O=ACME") == ("reader", "monitor")
    for other in (
        "CN=joe",
        "CN=joe+OU=readers,O=acme",
        "OU=readers,CN=joe,O=acme",
        r"CN=joe\,OU=readers,O=acme",
        "*",
        "",
    ):
        assert roles(file, other) == ()


@pytest.mark.parametrize(
    "text", ["- a", "reader: [5]", "reader: {a: b}", "reader: ['no name']", "reader: ['*']", "a: [", "reader: [null]"]
)
def test_a_file_that_cannot_be_used_stops_the_start_and_changes_nothing_later(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"role_mapping\.yml"):
        written(tmp_path, text)
    file = written(tmp_path, f"reader: ['{JOE}']")
    file.path.write_text(text)
    file.reload()
    assert roles(file, JOE) == ("reader",)


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "role_mapping.yml"
    with pytest.raises(SettingsError, match=r"of \[a\.setting\] does not exist"):
        RoleMappingFile(path, "a.setting")
    assert RoleMappingFile(path).roles == {}
    file = written(tmp_path, f"reader: ['{JOE}']")
    path.unlink()
    file.reload()
    assert roles(file, JOE) == ("reader",), "gone by accident"
    path.write_text("")
    file.reload()
    assert roles(file, JOE) == ()
