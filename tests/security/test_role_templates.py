"""Names of roles made from what is known of a user: as documented, and never a built-in one by the user's own words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.errors import HanseError
from hanse.security.builtin_roles import BUILTIN_ROLES
from hanse.security.role_mappings import MappedUser, mapped_roles
from hanse.security.role_templates import check_template, roles_of


def given_roles(source: str, format: str = "string", **user: Any) -> tuple[str, ...]:
    template = check_template("m", {"template": {"source": source}, "format": format})
    mapping = {"rules": {"any": [{"field": {"username": "*"}}]}, "role_templates": [template]}
    return mapped_roles({"m": mapping}, MappedUser(user.pop("username", "joe"), "pki1", **user))


@pytest.mark.parametrize(
    ("source", "format", "roles"),
    [
        ("reader", "string", ("reader",)),
        ("_user_{{username}}", "string", ("_user_joe",)),
        ("{{ realm.name }}-{{metadata.team}}", "string", ("pki1-blue",)),
        ("{{#tojson}}groups{{/tojson}}", "json", ("one", "two")),
        ("{{#toJson}}groups{{/toJson}}", "json", ("one", "two")),
        ("{{#tojson}}username{{/tojson}}", "json", ("joe",)),
        ('["{{username}}", "{{metadata.team}}"]', "json", ("joe", "blue")),
        ("{{metadata.none}}", "string", ()),
        ("{{groups}}", "string", ()),
        ('["x"', "json", ()),
        ("superuser", "string", ("superuser",)),
    ],
)
def test_what_a_template_makes(source: str, format: str, roles: tuple[str, ...]) -> None:
    assert given_roles(source, format, groups=("one", "two"), metadata={"team": "blue"}) == roles


@pytest.mark.parametrize(
    ("username", "source", "format"),
    [
        ("superuser", "{{username}}", "string"),
        ("super", "{{username}}user", "string"),
        ('a","superuser', '["{{username}}"]', "json"),
        ('["superuser"]', "{{username}}", "json"),
        ("superuser", "{{#tojson}}username{{/tojson}}", "json"),
        ("x\\", '["{{username}}","superuser"]', "json"),
        ("{{realm.name}}", "{{username}}-{{username}}", "string"),
    ],
)
def test_a_crafted_name_is_worth_no_built_in_role(username: str, source: str, format: str) -> None:
    assert not set(given_roles(source, format, username=username)) & set(BUILTIN_ROLES)


@given(st.text(), st.sampled_from(['["{{username}}"]', '["a-{{username}}", "b"]', "{{#tojson}}username{{/tojson}}"]))
def test_a_name_stays_one_name(username: str, source: str) -> None:
    template = check_template("m", {"template": {"source": source}, "format": "json"})
    try:
        made = roles_of(template, lambda field: (username,))
    except ValueError:
        return
    assert len(made) == (2 if '"b"' in source else 1)
    assert all(username in name or name == "b" for name in made)


@pytest.mark.parametrize(
    "template",
    [
        "{{username}}",
        {},
        {"template": {"source": ""}},
        {"template": {"id": "stored"}},
        {"template": {"source": "a", "params": {}}},
        {"template": {"source": "a", "lang": "painless"}},
        {"template": {"source": "{{{username}}}"}, "format": "json"},
        {"template": {"source": "{{&username}}"}},
        {"template": {"source": "{{#groups}}x{{/groups}}"}},
        {"template": {"source": "{{#join}}groups{{/join}}"}},
        {"template": {"source": "{{password}}"}},
        {"template": {"source": "{{username}"}, "format": "xml"},
        {"template": {"source": "x" * 5000}},
        {"template": {"source": "x"}, "other": 1},
    ],
)
def test_what_is_not_evaluated_is_refused_when_it_is_stored(template: Any) -> None:
    with pytest.raises(HanseError) as caught:
        check_template("m", template)
    assert caught.value.status == 400


def test_a_template_as_text_is_the_same() -> None:
    stored = {"template": {"source": "{{username}}"}, "format": "string"}
    assert check_template("m", {"template": '{"source": "{{username}}"}'}) == stored
