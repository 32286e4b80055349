import pytest

from hanse.errors import ActionRequestValidationError
from hanse.replication.parameters import parse_parameters


def test_defaults_are_shown_as_elasticsearch_writes_them() -> None:
    shown = parse_parameters({}).shown()
    assert shown["max_read_request_size"] == "32mb"
    assert shown["max_write_request_size"] == "9223372036854775807b"
    assert len(shown) == 10


def test_given_values_are_shown_as_given() -> None:
    parameters = parse_parameters({"max_retry_delay": "2s", "max_read_request_operation_count": 7, "leader_index": "x"})
    assert parameters.max_retry_delay_s == 2
    assert parameters.shown()["max_retry_delay"] == "2s"
    assert parameters.given == {"max_retry_delay": "2s", "max_read_request_operation_count": 7}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"max_read_request_operation_count": 0}, "max_read_request_operation_count must be larger than 0"),
        ({"max_retry_delay": "0ms"}, r"\[max_retry_delay\] must be positive but was \[0ms\]"),
        ({"max_retry_delay": "6m"}, r"\[max_retry_delay\] must be less than \[5m\] but was \[6m\]"),
    ],
)
def test_impossible_values_are_refused(body: dict[str, object], reason: str) -> None:
    with pytest.raises(ActionRequestValidationError, match=f"Validation Failed: 1: {reason};"):
        parse_parameters(body)
