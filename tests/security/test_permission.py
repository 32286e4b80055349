from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hanse.security.permission import NO_ACCESS, Permission, is_restricted
from hanse.security.roles import parse_role

READ = "indices:data/read/search"
GET = "indices:data/read/get"


def permission(*bodies: dict[str, Any], ceiling: Permission | None = None) -> Permission:
    return Permission([parse_role(f"r{n}", body) for n, body in enumerate(bodies)], (), ceiling)


def on(*names: str, privileges: tuple[str, ...] = ("read",), **rules: Any) -> dict[str, Any]:
    return {"indices": [{"names": list(names), "privileges": list(privileges), **rules}]}


def test_roles_are_united() -> None:
    both = permission(on("a"), on("b", privileges=("write",)), {"cluster": ["monitor"], "run_as": ["x*"]})
    assert both.allows_index(READ, "a")
    assert not both.allows_index(READ, "b")
    assert both.allows_index("indices:data/write/index", "b")
    assert both.allows_cluster("cluster:monitor/health")
    assert not both.allows_cluster("cluster:admin/reroute")
    assert both.allows_run_as("xy")
    assert not both.allows_run_as("y")


def test_fields_and_documents_are_united_independently() -> None:
    both = permission(on("a", query={"term": {"x": 1}}), on("a", field_security={"grant": ["f"]}))
    assert both.access(READ, ["a"]).is_full
    two = permission(on("a", field_security={"grant": ["f"]}), on("a", field_security={"grant": ["g"]}))
    assert [rule.grant for rule in two.access(READ, ["a"]).fields[0]] == [("f",), ("g",)]


def test_granting_all_fields_is_no_rule() -> None:
    assert permission(on("a", field_security={"grant": ["*"]})).access(READ, ["a"]).is_full


def test_granting_no_field_is_a_rule() -> None:
    assert permission(on("a", field_security={"grant": []})).access(READ, ["a"]).fields[0][0].grant == ()


def test_a_ceiling_limits() -> None:
    limit = permission(on("logs-*", query={"term": {"x": 1}}), {"cluster": ["monitor"]})
    key = permission(on("*", query={"term": {"y": 2}}), {"cluster": ["all"]}, ceiling=limit)
    assert key.allows_index(READ, "logs-1")
    assert not key.allows_index(READ, "other")
    assert not key.allows_cluster("cluster:admin/reroute")
    assert key.access(READ, ["logs-1"]).documents == (({"term": {"y": 2}},), ({"term": {"x": 1}},))


def test_what_nothing_grants_shows_nothing() -> None:
    assert permission(on("a")).access(READ, ["b"]) == NO_ACCESS


def test_restricted_names() -> None:
    assert is_restricted(".security-7")
    assert not is_restricted(".securities")
    assert not permission(on("*", privileges=("all",))).allows_index(READ, ".security-7")
    assert permission(on("*", allow_restricted_indices=True)).allows_index(READ, ".security-7")


_entries = st.builds(
    lambda names, privileges: on(*names, privileges=tuple(privileges)),
    st.lists(st.text("ab*", min_size=1, max_size=3), min_size=1, max_size=2),
    st.lists(st.sampled_from(["read", "write", "all", "monitor"]), min_size=1, max_size=2),
)


@given(st.lists(_entries, max_size=3), st.lists(_entries, max_size=3), st.text("ab", max_size=3))
def test_a_derived_key_never_exceeds_its_creator(
    own: list[dict[str, Any]], creators: list[dict[str, Any]], name: str
) -> None:
    creator = permission(*creators)
    key = permission(*own, ceiling=creator)
    for action in (READ, GET, "indices:data/write/bulk", "indices:admin/create"):
        assert not key.allows_index(action, name) or creator.allows_index(action, name)
        assert not key.allows_somewhere(action) or creator.allows_somewhere(action)
