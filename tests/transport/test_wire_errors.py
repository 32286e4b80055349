from __future__ import annotations

from datetime import date

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hanse.errors import (
    HanseError,
    IllegalArgumentError,
    IndexNotFoundError,
    SearchPhaseExecutionError,
    SecurityError,
    StatusError,
    UnknownRemoteError,
)
from hanse.transport.wire_errors import CAUSE_DEPTH_MAX, ERROR_BYTES_MAX, WireError, from_wire, to_wire


def crossed(error: HanseError) -> HanseError:
    return from_wire(msgspec.msgpack.decode(msgspec.msgpack.encode(to_wire(error)), type=WireError))


def test_an_error_keeps_its_shape() -> None:
    error = crossed(IndexNotFoundError.of("logs", "u1"))
    assert type(error) is IndexNotFoundError
    assert (error.reason, error.status) == ("no such index [logs]", 404)
    assert list(error.metadata) == ["resource.type", "resource.id", "index_uuid", "index"]
    assert error.root_causes == (error,)


def test_headers_and_a_status_given_by_the_raiser_cross() -> None:
    error = crossed(SecurityError("no", 401, headers={"WWW-Authenticate": ["Basic", "ApiKey"]}))
    assert isinstance(error, SecurityError)
    assert (error.status, error.headers) == (401, {"WWW-Authenticate": ["Basic", "ApiKey"]})
    status = crossed(StatusError("later", 503))
    assert (type(status), status.status) == (StatusError, 503)


def test_causes_and_root_causes_cross() -> None:
    root = IllegalArgumentError("root", index="a")
    error = crossed(SearchPhaseExecutionError("all shards failed", caused_by=root, root_causes=[root], phase="query"))
    assert isinstance(error.caused_by, IllegalArgumentError)
    assert [type(cause) for cause in error.root_causes] == [IllegalArgumentError]
    assert error.root_causes[0].metadata == {"index": "a"}
    assert error.metadata == {"phase": "query"}


def test_an_unknown_type_is_kept_by_name() -> None:
    error = from_wire(WireError("painless_explain_error", "from the future", 418))
    assert type(error) is UnknownRemoteError
    assert (error.name, error.status) == ("painless_explain_error", 418)
    assert crossed(error).name == "painless_explain_error"


def test_a_status_that_is_none_becomes_500() -> None:
    assert from_wire(WireError("exception", "x", 99)).status == 500


def test_values_messagepack_does_not_know_become_text() -> None:
    error = HanseError("x", when=date(2026, 1, 2), odd=object)
    assert crossed(error).metadata["when"] == "2026-01-02"
    assert isinstance(crossed(error).metadata["odd"], str)


def test_an_error_too_large_crosses_with_type_and_reason_only() -> None:
    wire = to_wire(IndexNotFoundError("r" * 100_000, blob="x" * ERROR_BYTES_MAX))
    assert len(msgspec.msgpack.encode(wire)) < ERROR_BYTES_MAX
    assert (wire.type, wire.status, wire.metadata) == ("index_not_found_exception", 404, {})


def test_a_chain_without_end_is_cut() -> None:
    error = HanseError("looped")
    error.caused_by = error
    depth, cause = 0, crossed(error)
    while cause.caused_by is not None:
        depth, cause = depth + 1, cause.caused_by
    assert depth == CAUSE_DEPTH_MAX


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_any_json_metadata_survives(metadata: dict[str, object]) -> None:
    error = HanseError("x")
    error.metadata = dict(metadata)
    assert crossed(error).metadata == metadata
