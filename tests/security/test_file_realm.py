"""Users of the file realm log in, beside and before native ones, and files change under a running node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hanse.security.passwords import hash_now
from hanse.security.realms.chain import RealmChain
from hanse.security.realms.file import FileRealm
from hanse.security.user_files import edited_user_files
from hanse.settings.registry import Settings
from tests.security.conftest import Cluster

FILE, NATIVE = "xpack.security.authc.realms.file", "xpack.security.authc.realms.native"
QUICK = {"xpack.security.authc.password_hashing.algorithm": "bcrypt4"}


def add(config: Path, name: str, password: str, *roles: str) -> None:
    with edited_user_files(config) as files:
        files.hashes[name] = hash_now(password, "bcrypt4")
        if roles:
            files.roles[name] = roles


async def test_a_user_of_the_files_logs_in(tmp_path: Path, make_cluster: Callable[..., Cluster]) -> None:
    add(tmp_path, "olaf", "secret1", "sailor", "captain")
    chain = RealmChain.from_settings(Settings(QUICK), make_cluster().store, "node-1", config_dir=tmp_path)
    found = await chain.authenticate("olaf", "secret1")
    assert found is not None
    assert (found.roles, found.realm.name, found.realm.type) == (("sailor", "captain"), "default_file", "file")
    assert await chain.authenticate("olaf", "secret2") is None
    assert chain.find("olaf") == found
    chain.close()


async def test_the_same_name_in_two_realms_is_tried_in_both(
    tmp_path: Path, make_cluster: Callable[..., Cluster]
) -> None:
    cluster = make_cluster()
    add(tmp_path, "olaf", "of-files", "sailor")
    await cluster.add_user("olaf", "of-store", "captain")
    chain = RealmChain.from_settings(Settings(QUICK), cluster.store, config_dir=tmp_path)
    for password, roles in (("of-files", ("sailor",)), ("of-store", ("captain",))):
        found = await chain.authenticate("olaf", password)
        assert found is not None
        assert found.roles == roles
    assert await chain.authenticate("olaf", "neither") is None
    chain.close()


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["reserved", "default_file", "default_native"]),
        ({f"{NATIVE}.n1.order": "0"}, ["reserved", "default_file", "n1"]),
        ({f"{FILE}.f1.order": "0"}, ["reserved", "default_native", "f1"]),
        ({f"{FILE}.f1.order": "1", f"{NATIVE}.n1.order": "0"}, ["reserved", "n1", "f1"]),
        ({f"{FILE}.f1.enabled": "false"}, ["reserved", "default_native"]),
    ],
)
def test_the_order_of_realms(
    tmp_path: Path, make_cluster: Callable[..., Cluster], settings: dict[str, str], names: list[str]
) -> None:
    chain = RealmChain.from_settings(Settings({**QUICK, **settings}), make_cluster().store, config_dir=tmp_path)
    assert [realm.name for realm in chain.realms] == names
    chain.close()


def test_a_reserved_name_in_the_files_is_nobody(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(f"elastic:{hash_now('secret1', 'bcrypt4')}\n")
    assert not FileRealm(tmp_path).knows("elastic")


def test_changed_files_are_read_and_damaged_ones_leave_the_users_as_they_were(tmp_path: Path) -> None:
    realm = FileRealm(tmp_path)
    assert not realm.knows("olaf")
    add(tmp_path, "olaf", "secret1")
    realm.reload()
    assert realm.knows("olaf")
    (tmp_path / "users").write_bytes(b"\xff")
    realm.reload()
    assert realm.knows("olaf")
    (tmp_path / "users").unlink()
    realm.reload()
    assert not realm.knows("olaf")
