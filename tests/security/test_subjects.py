"""Names in certificates that try to be read as another's."""

from __future__ import annotations

from typing import Any

import pytest
import re2
from cryptography import x509
from cryptography.x509.oid import NameOID

from hanse.security.subjects import rendered, username_of

from .certificates import CN, OU, O, name

DEFAULT = re2.compile("CN=(.*?)(?:,|$)")
EMAIL = NameOID.EMAIL_ADDRESS


def subject(*rdns: Any) -> str:
    """As tls.identity writes it: most significant last in `rdns`, first in the text."""
    return name(*rdns).rfc4514_string()


@pytest.mark.parametrize(
    ("rdns", "username"),
    [
        (("joe",), "joe"),
        (([(O, "Acme, Inc.")], "joe"), "joe"),
        (("Doe, John",), "Doe, John"),
        (("a+b=c",), "a+b=c"),
        (("zwölf ☕",), "zwölf ☕"),
        (('"quoted" <x> #1 *',), '"quoted" <x> #1 *'),
        (("back\\slash",), "back\\slash"),
        (([(O, "x,CN=admin")], "joe"), "joe"),
        (([(O, "CN=admin")], "joe"), "joe"),
        ((r"joe\2CCN\3Dadmin",), r"joe\2CCN\3Dadmin"),
        (("joe", [(OU, "CN=admin,CN=admin")]), "joe"),
    ],
)
def test_the_name_is_one_whole_value(rdns: Any, username: str) -> None:
    assert username_of(subject(*rdns), DEFAULT) == username


@pytest.mark.parametrize(
    "rdns",
    [
        ("admin", "joe"),
        ([(CN, "admin"), (CN, "joe")],),
        ([(CN, "admin"), (OU, "x")],),
        ([(OU, "CN=admin")],),
        ([(O, "CN=admin"), (OU, "CN=root")],),
        ("admin\0.evil.example",),
        ("admin\n",),
        (" admin",),
        ("admin ",),
        ("admin\u202e",),
        ("admin\u200b",),
        ("_system",),
        ("_xpack_security",),
    ],
)
def test_where_there_is_doubt_there_is_no_name(rdns: Any) -> None:
    with pytest.raises(ValueError, match=r"the (pattern|name) "):
        username_of(subject(*rdns), DEFAULT)


@pytest.mark.parametrize(
    ("pattern", "rdns", "username"),
    [
        ("EMAILADDRESS=(.*?)(?:,|$)", ([(EMAIL, "joe@acme.example")], "x"), "joe@acme.example"),
        ("CN=(.*)", ("joe",), "joe"),
        ("CN=(.*)", ([(O, "acme")], "joe"), None),
        ("O=(.*?)(?:,|$)", ([(O, "CN=admin")],), "CN=admin"),
        (r"CN=(\w+)", ("joe,evil",), None),
        (r"CN=.*?(evil)", ("joe,evil",), None),
        ("CN=([^,]*)@acme", ("joe@acme",), "joe"),
        ("CN=x(.*?)(?:,|$)", ("x",), None),
    ],
)
def test_patterns_of_ones_own(pattern: str, rdns: Any, username: str | None) -> None:
    compiled = re2.compile(pattern)
    if username is not None:
        assert username_of(subject(*rdns), compiled) == username
        return
    with pytest.raises(ValueError, match=r"the (pattern|name) "):
        username_of(subject(*rdns), compiled)


def test_the_text_shows_its_own_structure_only() -> None:
    text = rendered(subject([(O, "a,b"), (OU, "c+d=e")], "f\0\u202e"))
    assert text in ("CN=f\\00\\E2\\80\\AE, O=a\\2Cb+OU=c\\2Bd\\3De", "CN=f\\00\\E2\\80\\AE, OU=c\\2Bd\\3De+O=a\\2Cb")
    assert x509.Name.from_rfc4514_string(subject("x")).rfc4514_string() == "CN=x"
