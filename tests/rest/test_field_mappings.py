from __future__ import annotations

import pytest

from hanse.rest.field_mappings import chosen_field_mappings

MAPPINGS = {
    "properties": {
        "title": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "author": {"properties": {"name": {"type": "keyword"}, "born": {"type": "date"}}},
    }
}


@pytest.mark.parametrize(
    ("patterns", "paths"),
    [
        (("title",), ["title"]),
        (("title.*",), ["title.raw"]),
        (("*",), ["title", "title.raw", "author.name", "author.born"]),
        (("author.name", "title"), ["title", "author.name"]),
        (("author",), []),
    ],
)
def test_chosen_by_full_name(patterns: tuple[str, ...], paths: list[str]) -> None:
    assert list(chosen_field_mappings(MAPPINGS, patterns)) == paths


def test_shown_under_the_last_part_of_the_name() -> None:
    shown = chosen_field_mappings(MAPPINGS, ("author.name",))
    assert shown == {"author.name": {"full_name": "author.name", "mapping": {"name": {"type": "keyword"}}}}


def test_with_defaults() -> None:
    definition = chosen_field_mappings(MAPPINGS, ("title",), defaults=True)["title"]["mapping"]["title"]
    assert (definition["type"], definition["analyzer"], definition["index"]) == ("text", "default", True)
