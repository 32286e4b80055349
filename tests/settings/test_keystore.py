"""The keystore file: what goes in comes out, and nothing else opens it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hanse.errors import SettingsError
from hanse.settings.keystore import SEED, Keystore, has_password


def stored(folder: Path, password: str = "") -> Keystore:
    keystore = Keystore.create(folder, password)
    keystore.set("bootstrap.password", "höchst geheim")
    keystore.save()
    return keystore


def test_what_was_set_is_there_after_loading(tmp_path: Path) -> None:
    stored(tmp_path)
    again = Keystore.load(tmp_path)
    assert again is not None
    assert again["bootstrap.password"] == "höchst geheim"
    assert list(again) == ["bootstrap.password", SEED]
    assert len(again[SEED]) == 20
    assert "geheim" not in repr(again)
    assert not has_password(tmp_path)


def test_no_file_is_no_keystore(tmp_path: Path) -> None:
    assert Keystore.load(tmp_path) is None
    assert not has_password(tmp_path)


def test_the_file_is_closed_to_others_and_tells_nothing(tmp_path: Path) -> None:
    path = stored(tmp_path).path
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    data = path.read_bytes()
    assert b"geheim" not in data
    assert b"bootstrap" not in data
    assert [item.name for item in tmp_path.iterdir()] == ["elasticsearch.keystore"]


def test_only_the_password_opens_it(tmp_path: Path) -> None:
    keystore = stored(tmp_path, "open sesame")
    assert has_password(tmp_path)
    with pytest.raises(SettingsError, match="is password protected; pass the password in KEYSTORE_PASSWORD"):
        Keystore.load(tmp_path)
    with pytest.raises(SettingsError, match="Provided keystore password was incorrect"):
        Keystore.load(tmp_path, "open barley")
    assert Keystore.load(tmp_path, "open sesame") == keystore
    keystore.change_password("")
    keystore.save()
    assert Keystore.load(tmp_path) == keystore


def test_removing_and_bad_names(tmp_path: Path) -> None:
    keystore = stored(tmp_path)
    keystore.remove("bootstrap.password")
    assert list(keystore) == [SEED]
    with pytest.raises(SettingsError, match=r"Setting \[nothing\] does not exist in the keystore\."):
        keystore.remove("nothing")
    with pytest.raises(SettingsError, match="does not match the allowed setting name pattern"):
        keystore.set("not a name", "x")


@pytest.mark.parametrize("at", [3, 20, 60, -1])
def test_a_flipped_bit_is_noticed(tmp_path: Path, at: int) -> None:
    path = stored(tmp_path).path
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(SettingsError):
        Keystore.load(tmp_path)


def test_other_files_are_named_for_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "elasticsearch.keystore"
    path.write_bytes(b"\x3f\xd7\x6c\x17\x16elasticsearch.keystore")
    with pytest.raises(SettingsError, match="was written by Elasticsearch, whose format cannot be read"):
        Keystore.load(tmp_path)
    path.write_bytes(b"hello")
    with pytest.raises(SettingsError, match="is not a keystore"):
        Keystore.load(tmp_path)
    path.write_bytes(b'hanse-keystore-1\n{"salt":"","nonce":"","cost":1073741824,"has_password":true}\nxx')
    with pytest.raises(SettingsError, match="is damaged"):
        Keystore.load(tmp_path)
