"""Rules of role mappings: what they hold for, and who cannot talk himself into one."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from hanse.security.role_mappings import MappedUser, holds, mapped_roles

from .certificates import OU, O, name

JOE = MappedUser("joe", "pki1", "CN=joe,OU=readers,O=acme", metadata={"level": 3, "tags": ["a", "b"], "on": True})


@pytest.mark.parametrize(
    ("field", "wanted", "is_so"),
    [
        ("username", "joe", True),
        ("username", "j*", True),
        ("username", "J*", False),
        ("username", "/jo[ea]/", True),
        ("username", ["max", "joe"], True),
        ("username", [], False),
        ("realm.name", "pki1", True),
        ("realm.name", "pki2", False),
        ("dn", "CN=joe,OU=readers,O=acme", True),
        ("dn", "cn=JOE, ou=Readers, o=ACME", True),
        ("dn", "*,OU=readers,O=acme", True),
        ("dn", "cn=*, ou=READERS, o=acme", True),
        ("dn", "*,OU=writers,O=acme", False),
        ("dn", "CN=joe", False),
        ("dn", "not a name", False),
        ("dn", "/CN=joe,.*/", True),
        ("groups", "admins", False),
        ("groups", None, True),
        ("username", None, False),
        ("metadata.level", 3, True),
        ("metadata.level", "3", False),
        ("metadata.on", True, True),
        ("metadata.on", 1, False),
        ("metadata.tags", "b", True),
        ("metadata.none", None, True),
        ("unknown", "joe", False),
    ],
)
def test_fields(field: str, wanted: Any, is_so: bool) -> None:
    assert holds({"field": {field: wanted}}, JOE) is is_so


def test_rules_combine() -> None:
    joe, max_ = {"field": {"username": "joe"}}, {"field": {"username": "max"}}
    assert holds({"any": [max_, joe]}, JOE)
    assert not holds({"all": [max_, joe]}, JOE)
    assert holds({"all": [joe, {"except": max_}]}, JOE)
    assert not holds({"any": []}, JOE)


@pytest.mark.parametrize(
    "rdns",
    [
        ([(O, "acme")], "x,OU=readers"),
        ([(O, "acme")], [(OU, "evil,OU=readers")], "joe"),
        ([(O, "acme,OU=readers")], "joe"),
        ([(O, "acme")], "joe,OU=readers,O=acme"),
        ([(O, "acme")], [(OU, "readers\0")], "joe"),
        ([(O, "acme")], [(OU, "readers*")], "joe"),
    ],
)
@pytest.mark.parametrize("wanted", ["*,OU=readers,O=acme", "CN=joe,OU=readers,O=acme", "/CN=.*,OU=readers,O=acme/"])
def test_a_crafted_name_does_not_meet_a_rule(rdns: Any, wanted: str) -> None:
    crafted = MappedUser("x", "pki1", name(*rdns).rfc4514_string())
    assert not holds({"field": {"dn": wanted}}, crafted)


def test_roles_of_every_mapping_that_holds_and_of_none_that_is_off_or_broken() -> None:
    rule = {"field": {"username": "joe"}}
    mappings = {
        "a": {"enabled": True, "roles": ["reader", "shared"], "rules": rule},
        "b": {"roles": ["shared", "writer"], "rules": {"all": [rule]}},
        "off": {"enabled": False, "roles": ["superuser"], "rules": rule},
        "other": {"roles": ["superuser"], "rules": {"except": rule}},
        "broken": {"roles": ["superuser"], "rules": {"field": {"username": "/(/"}}},
        "odd": {"roles": ["superuser"], "rules": {}},
    }
    with structlog.testing.capture_logs() as logs:
        assert mapped_roles(mappings, JOE) == ("reader", "shared", "writer")
    assert [entry["mapping"] for entry in logs] == ["broken", "odd"]
