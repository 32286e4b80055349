import pytest

from hanse.errors import InvalidAliasNameError, InvalidIndexNameError
from hanse.index.administration.names import check_alias_name, check_index_name


@pytest.mark.parametrize("name", ["logs", "logs-2026.11", ".hidden", "größe", "a" * 255])
def test_good_names(name: str) -> None:
    check_index_name(name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Logs", "must be lowercase"),
        ("_logs", "must not start with"),
        ("a#b", "must not contain '#'"),
        ("a b", "must not contain the following characters"),
        ("..", "must not be"),
        ("a" * 256, "too long"),
        ("", "must not be empty"),
    ],
)
def test_bad_names(name: str, text: str) -> None:
    with pytest.raises(InvalidIndexNameError, match=text):
        check_index_name(name)


def test_aliases_may_have_capitals_but_no_stars() -> None:
    check_alias_name("Logs")
    with pytest.raises(InvalidAliasNameError, match="must not contain"):
        check_alias_name("lo*gs")
