from __future__ import annotations

from typing import Any

import pytest

from hanse.errors import HanseError
from hanse.security.roles import check_name, parse_role, render_role, role_from_stored, stored_role

FULL: dict[str, Any] = {
    "cluster": ["monitor"],
    "indices": [
        {
            "names": ["logs-*"],
            "privileges": ["read", "indices:admin/get"],
            "field_security": {"grant": ["*"], "except": ["secret.*"]},
            "query": {"term": {"port": "Bergen"}},
            "allow_restricted_indices": False,
        }
    ],
    "applications": [{"application": "app", "privileges": ["user"], "resources": ["*"]}],
    "run_as": ["other*"],
    "metadata": {"team": 1},
    "description": "reads logs",
    "global": {"application": {"manage": {"applications": ["a*"]}}},
    "remote_indices": [{"clusters": ["b*"], "names": ["x"], "privileges": ["read"]}],
    "remote_cluster": [{"clusters": ["b*"], "privileges": ["monitor_enrich"]}],
}


def test_what_was_put_is_shown_again() -> None:
    shown = render_role(parse_role("r", FULL))
    assert shown.pop("transient_metadata") == {"enabled": True}
    assert shown["indices"][0].pop("query") == '{"term":{"port":"Bergen"}}'
    assert shown["remote_indices"][0].pop("allow_restricted_indices") is False
    wanted = {**FULL, "indices": [{k: v for k, v in FULL["indices"][0].items() if k != "query"}]}
    assert shown == wanted


def test_what_is_shown_can_be_put() -> None:
    role = parse_role("r", FULL)
    assert parse_role("r", render_role(role)) == role


def test_what_is_stored_is_read_again() -> None:
    role = parse_role("r", FULL)
    assert role_from_stored("r", stored_role(role)) == role


def test_an_empty_role() -> None:
    assert render_role(parse_role("r", {})) == {
        "cluster": [],
        "indices": [],
        "applications": [],
        "run_as": [],
        "metadata": {},
        "transient_metadata": {"enabled": True},
    }


def test_a_single_name_may_be_a_string() -> None:
    assert parse_role("r", {"indices": [{"names": "*", "privileges": ["all"]}]}).indices[0].names == ("*",)


def on(**entry: Any) -> dict[str, Any]:
    return {"indices": [{"names": ["a"], "privileges": ["read"], **entry}]}


@pytest.mark.parametrize(
    ("body", "type", "reason"),
    [
        ({"x": 1}, "parse_exception", "failed to parse role [r]. unexpected field [x]"),
        (
            {"cluster": "all"},
            "parse_exception",
            "failed to parse role [r]. expected field [cluster] to be an array of strings",
        ),
        (
            {"indices": [{"names": ["a"]}]},
            "parse_exception",
            "failed to parse indices privileges for role [r]. missing required [privileges] field",
        ),
        (
            on(colour="red"),
            "parse_exception",
            "failed to parse indices privileges for role [r]. unexpected field [colour]",
        ),
        (on(privileges=["reed"]), "action_request_validation_exception", "unknown index privilege [reed]"),
        ({"cluster": ["monitr"]}, "action_request_validation_exception", "unknown cluster privilege [monitr]"),
        (on(names=["/(/"]), "action_request_validation_exception", "invalid regular expression"),
        (
            on(field_security={"grant": ["a*"], "except": ["b"]}),
            "illegal_argument_exception",
            "Exceptions for field permissions must be a subset of the granted fields but [b] is not a subset of [a*]",
        ),
        (on(query="{"), "parse_exception", "failed to parse field 'query' for indices privileges of role [r]"),
        (on(query=[1]), "parse_exception", "failed to parse field 'query'"),
        (on(query={"template": {"source": "{}"}}), "illegal_argument_exception", "templates in role queries"),
        (
            on(query={"bool": {"must": [{"terms": {"f": {"index": "i", "id": "1", "path": "p"}}}]}}),
            "illegal_argument_exception",
            "terms query with terms lookup isn't supported as part of a role query",
        ),
        (
            on(query={"has_child": {"type": "x"}}),
            "illegal_argument_exception",
            "has_child query isn't supported as part of a role query",
        ),
        ({"metadata": {"_reserved": True}}, "action_request_validation_exception", "may not start with [_]"),
        ({"description": "x" * 1001}, "action_request_validation_exception", "less than 1000 characters"),
        ({"restriction": {"workflows": []}}, "parse_exception", "unexpected field [restriction]"),
    ],
)
def test_what_is_refused(body: dict[str, Any], type: str, reason: str) -> None:
    with pytest.raises(HanseError) as caught:
        parse_role("r", body)
    assert (caught.value.name, caught.value.status) == (type, 400)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("a", True),
        ("a b", True),
        ("", False),
        (" a", False),
        ("ä", False),
        ("a\n", False),
        ("x" * 507, True),
        ("x" * 508, False),
    ],
)
def test_names(name: str, fine: bool) -> None:
    assert (check_name(name, "Role") is None) is fine
