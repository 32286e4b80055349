from __future__ import annotations

import pytest

from hanse.errors import MediaTypeHeaderError
from hanse.rest.media_types import negotiate

V9 = "application/vnd.elasticsearch+json; compatible-with=9"
V8 = "application/vnd.elasticsearch+json; compatible-with=8"


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        (V9, "application/vnd.elasticsearch+json;compatible-with=9"),
        (V8, "application/vnd.elasticsearch+json;compatible-with=8"),
        ("text/plain,application/json", "application/json"),
        ("text/html", "application/json"),
    ],
)
def test_the_answer_has_the_type_asked_for(accept: str | None, answer: str) -> None:
    assert negotiate(accept, None).answer == answer


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=UTF-8",
        "Application/JSON",
        "application/x-ndjson",
        V9,
        "application/vnd.elasticsearch+x-ndjson;compatible-with=8",
    ],
)
def test_bodies_we_read(content_type: str) -> None:
    assert negotiate(None, content_type).unsupported is None


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "application/cbor", "text/plain"])
def test_bodies_we_do_not_read(content_type: str) -> None:
    assert negotiate(None, content_type).unsupported == content_type


def test_a_body_without_a_type_is_not_read() -> None:
    assert negotiate(None, None).unsupported == ""


@pytest.mark.parametrize(
    ("accept", "content_type"), [(V9, V8), (V9, "application/json"), ("application/json", V9), (V8, V9)]
)
def test_both_headers_name_the_same_version(accept: str, content_type: str) -> None:
    with pytest.raises(MediaTypeHeaderError) as error:
        negotiate(accept, content_type)
    assert error.value.status == 400
    assert error.value.reason == "Invalid media-type value on headers [Accept, Content-Type]"
    assert error.value.caused_by is not None
    assert f"Accept={accept}, Content-Type={content_type}" in error.value.caused_by.reason


@pytest.mark.parametrize("header", ["application/vnd.elasticsearch+json;compatible-with=7", "nonsense", "a/b/c"])
def test_headers_that_cannot_be_read(header: str) -> None:
    with pytest.raises(MediaTypeHeaderError, match=r"headers \[Accept\]"):
        negotiate(header, None)
    with pytest.raises(MediaTypeHeaderError, match=r"headers \[Content-Type\]"):
        negotiate(None, header)
