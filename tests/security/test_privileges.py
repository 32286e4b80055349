from __future__ import annotations

import pytest

from hanse.errors import IllegalArgumentError
from hanse.security.privileges import (
    CLUSTER,
    INDEX,
    cluster_privilege,
    cluster_privileges_granting,
    index_privilege,
    index_privileges_granting,
)


@pytest.mark.parametrize(
    ("action", "privileges"),
    [
        ("indices:data/read/search", ["read", "all"]),
        ("indices:data/write/index", ["create_doc", "create", "index", "write", "all"]),
        ("indices:data/write/bulk[s]", ["create_doc", "create", "delete", "index", "write", "all"]),
        ("indices:data/write/delete", ["delete", "write", "all"]),
        ("indices:admin/create", ["create_index", "manage", "all"]),
        ("indices:admin/delete", ["delete_index", "manage", "all"]),
        ("indices:monitor/stats", ["monitor", "cross_cluster_replication", "manage", "all"]),
        ("indices:admin/mappings/get", ["view_index_metadata", "manage", "all"]),
        ("indices:admin/xpack/ccr/put_follow", ["manage_follow_index", "manage", "all"]),
    ],
)
def test_index_privileges_from_the_least_powerful(action: str, privileges: list[str]) -> None:
    assert list(index_privileges_granting(action)) == privileges


@pytest.mark.parametrize(
    ("action", "privileges"),
    [
        ("cluster:monitor/main", ["monitor", "manage", "all"]),
        ("cluster:admin/xpack/security/user/put", ["manage_security", "all"]),
        ("cluster:admin/xpack/security/api_key/invalidate", ["manage_api_key", "manage_security", "all"]),
        (
            "cluster:admin/xpack/security/api_key/grant",
            ["grant_api_key", "manage_api_key", "manage_security", "all"],
        ),
        (
            "cluster:admin/xpack/security/api_key/create",
            ["manage_own_api_key", "manage_api_key", "manage_security", "all"],
        ),
        ("cluster:admin/xpack/ccr/pause_follow", ["manage", "manage_ccr", "all"]),
        ("cluster:admin/settings/update", ["manage", "all"]),
    ],
)
def test_cluster_privileges_from_the_least_powerful(action: str, privileges: list[str]) -> None:
    assert list(cluster_privileges_granting(action)) == privileges


def test_manage_is_everything_but_security() -> None:
    assert CLUSTER["manage"].grants("cluster:admin/reroute")
    assert not CLUSTER["manage"].grants("cluster:admin/xpack/security/user/put")
    assert not CLUSTER["manage"].covers(CLUSTER["manage_security"])
    assert not CLUSTER["manage"].covers(CLUSTER["all"])
    assert CLUSTER["all"].covers(CLUSTER["manage"])


def test_every_privilege_is_covered_by_all_except_where_it_says() -> None:
    for privilege in INDEX.values():
        assert INDEX["all"].covers(privilege) or privilege.name == "cross_cluster_replication_internal"
    for privilege in CLUSTER.values():
        assert CLUSTER["all"].covers(privilege)


def test_raw_actions_are_privileges_and_cover_their_sub_actions() -> None:
    raw = index_privilege("indices:data/read/search")
    assert raw.grants("indices:data/read/search[phase/query]")
    assert not raw.grants("indices:data/read/get")
    assert cluster_privilege("cluster:monitor/xpack/*").grants("cluster:monitor/xpack/info")


def test_unknown_privileges() -> None:
    with pytest.raises(IllegalArgumentError) as caught:
        index_privilege("reed")
    assert caught.value.reason.startswith(
        "unknown index privilege [reed]. a privilege must be either one of the predefined fixed indices privileges "
        "[all,auto_configure,"
    )
    assert caught.value.reason.endswith("] or a pattern over one of the available index actions")
    with pytest.raises(IllegalArgumentError) as caught:
        cluster_privilege("own:api_key/*")
    assert caught.value.reason.startswith(
        "unknown cluster privilege [own:api_key/*]. a privilege must be either one of the predefined cluster privilege "
        "names [all,cancel_task,"
    )


def test_names_are_case_insensitive() -> None:
    assert index_privilege("READ") is INDEX["read"]
