from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes


async def nothing(request: RestRequest) -> RestResponse:
    return RestResponse.empty()


def routed(*templates: str, method: str = "GET") -> Routes:
    routes = Routes()
    for template in templates:
        routes.add(method, template, nothing)
    return routes


def found(routes: Routes, path: str, method: str = "GET") -> tuple[str, dict[str, str]] | None:
    answer = routes.find(method, path)
    return None if answer is None else (answer[0].template, answer[1])


def test_a_literal_segment_wins_over_a_name() -> None:
    routes = routed("/{index}", "/_cat", "/{index}/_doc/{id}", "/_cat/{page}")
    assert found(routes, "/_cat") == ("/_cat", {})
    assert found(routes, "/books") == ("/{index}", {"index": "books"})
    assert found(routes, "/books/_doc/7") == ("/{index}/_doc/{id}", {"index": "books", "id": "7"})


def test_where_the_literal_way_leads_nowhere_the_other_is_tried() -> None:
    routes = routed("/_security/user/_privileges", "/_security/user/{name}/_password", "/{index}/_search")
    assert found(routes, "/_security/_search") == ("/{index}/_search", {"index": "_security"})
    assert found(routes, "/_security/user/_privileges/_password") == (
        "/_security/user/{name}/_password",
        {"name": "_privileges"},
    )


def test_the_method_may_decide_which_way() -> None:
    routes = routed("/_alias/_one")
    routes.add("PUT", "/_alias/{name}", nothing)
    assert found(routes, "/_alias/_one", "PUT") == ("/_alias/{name}", {"name": "_one"})
    assert routes.methods("/_alias/_one") == ["GET", "PUT"]
    assert found(routes, "/_alias/_one", "POST") is None


def test_an_encoded_slash_stays_in_its_segment() -> None:
    assert found(routed("/{index}/_doc/{id}"), "/%3Clogs-%7Bnow%2Fd%7D%3E/_doc/a%2Fb+c") == (
        "/{index}/_doc/{id}",
        {"index": "<logs-{now/d}>", "id": "a/b+c"},
    )


def test_a_slash_at_the_end_changes_nothing_and_an_empty_name_is_none() -> None:
    routes = routed("/{index}", "/", "/{index}/_doc/{id}")
    assert found(routes, "/books/") == ("/{index}", {"index": "books"})
    assert found(routes, "/") == ("/", {})
    assert found(routes, "//_doc/1") is None
    assert found(routes, "/books/_doc/") is None


def test_one_way_twice_is_a_programming_error() -> None:
    routes = routed("/{index}/_search")
    with pytest.raises(AssertionError, match="routed twice"):
        routes.add("GET", "/{name}/_search", nothing)


segments = st.text(string.ascii_lowercase + "_", min_size=1, max_size=3)
templates = st.lists(st.one_of(segments, st.sampled_from(["{a}"])), min_size=1, max_size=4).map("/".join)


@given(st.lists(templates, min_size=1, max_size=8), st.lists(segments, min_size=1, max_size=4))
def test_the_tree_finds_a_route_exactly_when_a_template_fits(given_templates: list[str], path: list[str]) -> None:
    routes = Routes()
    known = set()
    for template in given_templates:
        routes.add("GET", "/" + template, nothing) if template not in known else None
        known.add(template)
    fits = {t for t in known if len(t.split("/")) == len(path)}
    fits = {t for t in fits if all(s in ("{a}", p) for s, p in zip(t.split("/"), path, strict=True))}
    answer = found(routes, "/" + "/".join(path))
    assert (answer is None) == (not fits)
    if answer is not None:
        assert answer[0][1:] in fits
