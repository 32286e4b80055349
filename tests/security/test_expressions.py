from __future__ import annotations

import pytest

from hanse.errors import HanseError, IllegalArgumentError, NoSuchRemoteClusterError
from hanse.security.expressions import names_remotes, remote_part, split

CLUSTERS = ("bergen", "brugge", "luebeck")


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("logs", None),
        ("bergen:logs-*", ("bergen", "logs-*")),
        ("bergen:-logs", ("bergen", "-logs")),
        ("*:logs", ("*", "logs")),
        ("-bergen:*", ("-bergen", "*")),
        ("<logs-{now/d{yyyy-MM-dd|+02:00}}>", None),
        ("-<logs-{now/d{HH:mm}}>", None),
        ("logs::failures", None),
        ("bergen:logs::failures", ("bergen", "logs::failures")),
        ("bergen:<logs-{now/d}>", ("bergen", "<logs-{now/d}>")),
        (":logs", ("", "logs")),
    ],
)
def test_one_part(part: str, found: tuple[str, str] | None) -> None:
    assert remote_part(part) == found
    assert names_remotes([part]) is (found is not None)


def test_groups_by_cluster_in_order() -> None:
    found = split(["b*:x", "local-1", "bergen:y", "-z"], CLUSTERS)
    assert found.local == ("local-1", "-z")
    assert found.remotes == {"bergen": ("x", "y"), "brugge": ("x",)}
    assert found.has_local


def test_only_remotes_leave_nothing_local() -> None:
    found = split(["*:x"], CLUSTERS)
    assert (found.local, found.has_local) == ((), False)
    assert set(found.remotes) == set(CLUSTERS)


def test_a_wildcard_that_matches_no_alias_is_nothing() -> None:
    assert split(["oslo*:x"], CLUSTERS).remotes == {}
    assert split(["oslo*:x"], CLUSTERS).has_local is False


def test_no_parts_are_all_local() -> None:
    assert split([], CLUSTERS).has_local


def test_an_unknown_literal_alias() -> None:
    for part in ("oslo:x", "-oslo:*"):
        with pytest.raises(NoSuchRemoteClusterError, match=r"no such remote cluster: \[oslo\]"):
            split(["*:x", part], CLUSTERS)


@pytest.mark.parametrize("parts", [["*:x", "-b*:*"], ["-b*:*", "*:x"], ["*:x", "-bergen:*", "-brugge:*::*"]])
def test_exclusions_apply_after_all_inclusions(parts: list[str]) -> None:
    assert split(parts, CLUSTERS).remotes == {"luebeck": ("x",)}


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([":idx"], "index name [:idx] is invalid because the remote part is empty"),
        (
            ["*:x", "-bergen:idx"],
            "To exclude a cluster you must specify the '*' wildcard for the index expression, but found: [idx]",
        ),
        (
            ["*:x", "-bergen:*::failures"],
            "To exclude a cluster you must specify the '::*' selector or leave it off, but found: [failures]",
        ),
        (
            ["x", "brugge:x", "-bergen:*"],
            "Attempt to exclude cluster [bergen] failed as it is not included in the list of clusters to be included: "
            "[(local), brugge]. Input: [x,brugge:x,-bergen:*]",
        ),
        (
            ["luebeck:x", "-b*:*"],
            "Attempt to exclude clusters [bergen, brugge] failed as they are not included in the list of clusters to "
            "be included: [luebeck]. Input: [luebeck:x,-b*:*]",
        ),
        (
            ["bergen:x", "-bergen:*"],
            "The '-' exclusions in the index expression list excludes all indexes. Nothing to search. "
            "Input: [bergen:x,-bergen:*]",
        ),
    ],
)
def test_what_is_refused(parts: list[str], reason: str) -> None:
    with pytest.raises(HanseError) as caught:
        split(parts, CLUSTERS)
    assert isinstance(caught.value, IllegalArgumentError)
    assert caught.value.reason == reason
