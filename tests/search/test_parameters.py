"""URI parameters and msearch lines as requests."""

from __future__ import annotations

import pytest

from hanse.errors import ActionRequestValidationError, HanseError, IllegalArgumentError, ParsingError
from hanse.search import pit_id
from hanse.search.parameters import count_request, multi_search_request, search_request
from hanse.transport.actions import IndicesOptions

OPTIONS = IndicesOptions()


def test_parameters_become_members() -> None:
    request = search_request(
        ("a",),
        OPTIONS,
        {
            "q": "x",
            "from": "3",
            "size": "5",
            "_source": "a",
            "explain": "",
            "default_operator": "and",
            "min_score": "1.5",
        },
        b"{}",
    )
    assert (request.q, request.from_, request.size, request.source, request.explain) == ("x", 3, 5, "a", True)
    assert (request.default_operator, request.min_score) == ("AND", 1.5)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"size": "x"}, "Failed to parse int parameter [size] with value [x]"),
        ({"size": ""}, "Failed to parse int parameter [size] with value []"),
        ({"from": "1_0"}, "Failed to parse int parameter [from] with value [1_0]"),
        ({"terminate_after": "2147483648"}, "Failed to parse int parameter [terminate_after] with value [2147483648]"),
        ({"track_total_hits": "x"}, "Failed to parse int parameter [track_total_hits] with value [x]"),
        ({"min_score": "x"}, "Failed to parse float parameter [min_score] with value [x]"),
        ({"version": "yes"}, "Failed to parse value [yes] as only [true] or [false] are allowed."),
        ({"search_type": "count"}, "No search type for [count]"),
        ({"batched_reduce_size": "1"}, "batchedReduceSize must be >= 2"),
        ({"pre_filter_shard_size": "0"}, "preFilterShardSize must be >= 1"),
        (
            {"rest_total_hits_as_int": "true", "track_total_hits": "10"},
            "[rest_total_hits_as_int] cannot be used if the tracking of total hits is not accurate, got 10",
        ),
    ],
)
def test_bad_values(parameters: dict[str, str], reason: str) -> None:
    with pytest.raises(IllegalArgumentError) as refused:
        search_request((), OPTIONS, parameters, b"")
    assert refused.value.reason == reason


def test_a_point_in_time_names_the_indices() -> None:
    body = b'{"pit":{"id":"%s"}}' % pit_id.encode((pit_id.Part("n1", "c", 2),), ("a", "b")).encode()
    request = search_request((), OPTIONS, {}, body)
    assert request.indices == ("a", "b")
    with pytest.raises(ActionRequestValidationError, match="cannot be used with point in time"):
        search_request(("a",), OPTIONS, {}, body)


def test_count_takes_a_query_only() -> None:
    request = count_request(("a",), OPTIONS, {"q": "x"}, b"")
    assert (request.size, request.track_total_hits, request.q) == (0, True, "x")
    with pytest.raises(ParsingError, match=r"request does not support \[size\]"):
        count_request(("a",), OPTIONS, {}, b'{"size":1}')


def test_msearch_lines() -> None:
    body = b'{"index":"a,b","preference":"p"}\n{"size":1}\n{}\n{"size":2}\n\n{"size":3}\n'
    first, second, third = multi_search_request(body, ("d",), OPTIONS, {"typed_keys": "true"}).searches
    assert (first.indices, first.preference, first.typed_keys) == (("a", "b"), "p", True)
    assert (second.indices, third.indices, third.body) == (("d",), ("d",), b'{"size":3}')
    closed = b'{"index":["x"],"expand_wildcards":"closed","ignore_unavailable":true}\n{}\n'
    (options,) = (one.options for one in multi_search_request(closed, (), OPTIONS, {}).searches)
    assert (options.expand_open, options.expand_closed, options.ignore_unavailable) == (False, True, True)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{}\n{}", "The msearch request must be terminated by a newline [\\n]"),
        (b"\n", "Validation Failed: 1: no requests added;"),
        (b'{"foo":1}\n{}\n', "key [foo] is not supported in the metadata section"),
    ],
)
def test_malformed_msearch(body: bytes, reason: str) -> None:
    with pytest.raises(HanseError) as refused:
        multi_search_request(body, (), OPTIONS, {})
    assert (refused.value.reason, refused.value.status) == (reason, 400)
