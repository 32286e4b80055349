from __future__ import annotations

import structlog

from hanse.errors import HanseError, IllegalArgumentError, IndexNotFoundError, RemoteTransportError, SecurityError
from hanse.rest.errors import error_body, error_response, item_error, simple_response, unexpected_response


def test_the_envelope() -> None:
    error = IndexNotFoundError.of("books")
    described = {
        "type": "index_not_found_exception",
        "reason": "no such index [books]",
        "resource.type": "index_or_alias",
        "resource.id": "books",
        "index_uuid": "_na_",
        "index": "books",
    }
    assert error_body(error) == {"error": {"root_cause": [described], **described}, "status": 404}


def test_causes_are_shown_but_not_in_root_causes() -> None:
    error = IllegalArgumentError("outer", caused_by=IllegalArgumentError("inner"))
    body = error_body(error)
    assert body["error"]["caused_by"] == {"type": "illegal_argument_exception", "reason": "inner"}
    assert body["error"]["root_cause"] == [{"type": "illegal_argument_exception", "reason": "outer"}]


def test_what_a_remote_cluster_answered_is_shown_as_its_own() -> None:
    denied = SecurityError("action [x] is unauthorized for user [joe]")
    error = RemoteTransportError("error while communicating with remote cluster [berlin]", caused_by=denied)
    assert error_response(error).status == 403
    assert error_body(error)["error"]["type"] == "security_exception"
    assert error_body(error)["error"]["root_cause"][0]["reason"] == denied.reason


def test_challenges_stand_in_the_body_and_in_the_headers() -> None:
    error = SecurityError("missing", 401, headers={"WWW-Authenticate": ["Basic", "ApiKey"]})
    response = error_response(error)
    assert response.headers == {"WWW-Authenticate": ["Basic", "ApiKey"]}
    assert response.value["error"]["header"] == {"WWW-Authenticate": ["Basic", "ApiKey"]}
    one = SecurityError("missing", 401, headers={"WWW-Authenticate": ["Basic"]})
    assert error_body(one)["error"]["header"] == {"WWW-Authenticate": "Basic"}


def test_an_item_has_no_root_causes() -> None:
    assert item_error(IllegalArgumentError("bad")) == {"type": "illegal_argument_exception", "reason": "bad"}


def test_the_unexpected_names_only_an_id_that_the_log_explains() -> None:
    with structlog.testing.capture_logs() as logs:
        response = unexpected_response(ZeroDivisionError("secret detail"), "/x")
    assert response.status == 500
    assert b"secret detail" not in response.rendered()
    assert logs[0]["id"] in response.value["error"]["reason"]
    assert isinstance(logs[0]["exc_info"], ZeroDivisionError)


def test_a_chain_of_causes_ends() -> None:
    error: HanseError = IllegalArgumentError("0")
    for number in range(100):
        error = IllegalArgumentError(str(number), caused_by=error)
    depth, shown = 0, error_body(error)["error"]
    while "caused_by" in shown:
        depth, shown = depth + 1, shown["caused_by"]
    assert depth < 100


def test_simple_sentences() -> None:
    assert simple_response("no", 405).value == {"error": "no", "status": 405}
    assert simple_response("no", 400, with_status=False).value == {"error": "no"}
