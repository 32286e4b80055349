from __future__ import annotations

from typing import Any

import pytest

from hanse.errors import IllegalArgumentError, InvalidIndexNameError
from hanse.rest.json_body import BodyRequiredError
from hanse.rest.request import RestRequest
from hanse.transport.actions import Action, Empty, IndicesOptions, Scope

PING = Action("cluster:monitor/main", Empty, Empty, Scope.CLUSTER)


def request(path: dict[str, str] | None = None, body: bytes = b"", accept: str = "", **parameters: str) -> RestRequest:
    async def run(action: Any, asked: Any) -> Any:
        return Empty()

    headers = {"Accept": accept} if accept else {}
    return RestRequest("GET", "/x", run, path_parameters=path, parameters=parameters, headers=headers, body=body)


async def test_parameters_nobody_read_are_refused_at_the_first_run() -> None:
    asked = request(routin="a", sizee="1", pretty="")
    asked.accept("routing", "size")
    with pytest.raises(IllegalArgumentError) as error:
        await asked.run(PING, Empty())
    assert error.value.reason == (
        "request [/x] contains unrecognized parameters: [routin] -> did you mean [routing]?, "
        "[sizee] -> did you mean [size]?"
    )


async def test_a_single_stranger_without_a_likeness() -> None:
    asked = request(zzz="1", v="")
    assert asked.flag("v")
    with pytest.raises(IllegalArgumentError, match=r"^request \[/x\] contains unrecognized parameter: \[zzz\]$"):
        await asked.run(PING, Empty())


async def test_several_likenesses_are_all_named() -> None:
    asked = request(tim="1")
    asked.accept("time", "timx", "other")
    with pytest.raises(IllegalArgumentError, match=r"did you mean any of \[time, timx\]\?"):
        await asked.run(PING, Empty())


async def test_what_was_read_or_is_allowed_everywhere_passes() -> None:
    asked = request(v="", format="json", human="", filter_path="a", error_trace="", q="x")
    assert asked.accept_all({"q"})["q"] == "x"
    assert asked.flag("v")
    assert await asked.run(PING, Empty()) == Empty()


def test_flags_are_true_false_or_present() -> None:
    asked = request(a="", b="true", c="false", d="yes")
    assert (asked.flag("a"), asked.flag("b"), asked.flag("c"), asked.flag("e", default=True)) == (
        True,
        True,
        False,
        True,
    )
    with pytest.raises(IllegalArgumentError) as error:
        asked.flag("d")
    assert error.value.reason == "Failed to parse value [yes] as only [true] or [false] are allowed."


def test_numbers_and_times() -> None:
    asked = request(n="12", bad="1x", wait="90s", worse="9")
    assert (asked.integer("n"), asked.integer("none"), asked.integer("none", 3)) == (12, None, 3)
    assert asked.time_s("wait", 1.0) == 90.0
    with pytest.raises(IllegalArgumentError) as error:
        asked.integer("bad")
    assert error.value.reason == "Failed to parse int parameter [bad] with value [1x]"
    assert error.value.caused_by is not None
    assert (error.value.caused_by.name, error.value.caused_by.reason) == (
        "number_format_exception",
        'For input string: "1x"',
    )
    with pytest.raises(IllegalArgumentError, match="failed to parse setting"):
        asked.time_s("worse", 1.0)


def test_versions_and_sequence_numbers_have_64_bits() -> None:
    asked = request(version="9223372036854775807", if_seq_no="9223372036854775808", size="2147483648")
    assert (asked.long("version"), asked.long("none")) == (2**63 - 1, None)
    for name, kind, read in (("if_seq_no", "long", asked.long), ("size", "int", asked.integer)):
        with pytest.raises(IllegalArgumentError, match=rf"Failed to parse {kind} parameter \[{name}\] with value"):
            read(name)


def test_names_come_from_the_path_or_the_query() -> None:
    asked = request({"index": "a, b,,c*"}, name="x,y")
    assert asked.names("index") == ("a", "b", "c*")
    assert asked.names("name") == ("x", "y")
    assert asked.names("other") == ()
    assert request({"index": "_all"}).names("index") == ("_all",)
    with pytest.raises(InvalidIndexNameError, match=r"Invalid index name \[_b\], must not start with '_'"):
        request({"index": "a,_b"}).names("index")


def test_indices_options() -> None:
    default = IndicesOptions()
    assert request().indices_options(default) is default
    changed = request(ignore_unavailable="true", allow_no_indices="false", expand_wildcards="closed,hidden")
    assert changed.indices_options(default) == IndicesOptions(
        ignore_unavailable=True,
        allow_no_indices=False,
        expand_open=False,
        expand_closed=True,
        expand_hidden=True,
    )
    with pytest.raises(IllegalArgumentError, match="No valid expand wildcard value"):
        request(expand_wildcards="some").indices_options(default)


def test_a_body_may_be_required() -> None:
    assert request().json_object() == {}
    assert request(body=b" \n").json_object() == {}
    for body in (b"", b"  "):
        with pytest.raises(BodyRequiredError, match="request body is required"):
            request(body=body).json_object(required=True)


def test_the_source_parameter_stands_for_a_body() -> None:
    asked = request(source='{"a":1}', source_content_type="application/json")
    assert asked.json_object(required=True) == {"a": 1}
    with pytest.raises(IllegalArgumentError, match="source and source_content_type parameters are required"):
        _ = request(source="{}").content


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", ""),
        ("*/*", ""),
        ("application/json", "json"),
        ("application/vnd.elasticsearch+json; compatible-with=9", "json"),
        ("text/plain,application/json", ""),
        ("application/yaml", "yaml"),
        ("text/plain", "text"),
    ],
)
def test_what_the_client_would_like(header: str, wanted: str) -> None:
    assert request(accept=header).accepted_format == wanted
