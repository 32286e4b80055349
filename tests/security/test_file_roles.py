"""roles.yml: what counts, what is left out, what comes first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hanse.security.file_roles import FileRoles, read_roles
from hanse.security.role_store import RoleStore
from tests.security.conftest import Cluster, user

ROLES = """
sailor:
  cluster: monitor
  indices:
    - names: 'logs-*, ships'
      privileges: [read]
      field_security: {grant: ['*'], except: [secret]}
      query: '{"term": {"port": "bergen"}}'
    - names: '/a,b.*/'
      privileges: read
captain: {cluster: [all]}
"""


def test_roles_are_read(tmp_path: Path) -> None:
    (tmp_path / "roles.yml").write_text(ROLES)
    found, problems = read_roles(tmp_path / "roles.yml")
    assert not problems
    first, second = found["sailor"].indices
    assert found["sailor"].cluster == ("monitor",)
    assert (first.names, first.privileges) == (("logs-*", "ships"), ("read",))
    assert first.query == '{"term": {"port": "bergen"}}'
    assert second.names == ("/a,b.*/",)
    assert found["captain"].cluster == ("all",)


def test_a_bad_role_is_left_out_and_the_others_count(tmp_path: Path) -> None:
    (tmp_path / "roles.yml").write_text("superuser: {}\nodd: {cluster: [nonsense]}\nlist: [a]\ngood: {}\n")
    found, problems = read_roles(tmp_path / "roles.yml")
    assert list(found) == ["good"]
    assert len(problems) == 3
    assert "is reserved" in problems[0]
    assert "unknown cluster privilege [nonsense]" in problems[1]


@pytest.mark.parametrize("content", ["a: [", "- a\n", "a: 1\na: 2\n", "\xff"])
def test_a_file_that_is_none_changes_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "roles.yml"
    path.write_text("captain: {cluster: [all]}\n")
    roles = FileRoles(tmp_path)
    path.write_bytes(content.encode("latin-1"))
    roles.reload()
    assert roles.names() == ("captain",)
    assert roles.version == 1


async def test_a_role_of_the_file_comes_before_a_stored_one(
    tmp_path: Path, make_cluster: Callable[..., Cluster]
) -> None:
    cluster = make_cluster()
    await cluster.add_role("captain", cluster=["monitor"])
    (tmp_path / "roles.yml").write_text("captain: {cluster: [manage_ccr]}\n")
    of_files = FileRoles(tmp_path)
    roles = RoleStore(cluster.store, of_files)
    captain = user("erik", "captain")
    assert not roles.permission(captain).allows_cluster("cluster:monitor/health")
    version = roles.version
    (tmp_path / "roles.yml").unlink()
    of_files.reload()
    assert roles.version > version
    assert roles.permission(captain).allows_cluster("cluster:monitor/health")
