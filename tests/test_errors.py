from hanse.errors import (
    ActionRequestValidationError,
    HanseError,
    IndexNotFoundError,
    NoSuchRemoteClusterError,
    error_class,
)


def test_validation_problems_are_numbered() -> None:
    error = ActionRequestValidationError.of("name is missing", "size is negative")
    assert error.reason == "Validation Failed: 1: name is missing;2: size is negative;"
    assert error.status == 400


def test_a_missing_index_names_itself_in_the_metadata() -> None:
    error = IndexNotFoundError.of("logs")
    assert (error.name, error.status, error.reason) == ("index_not_found_exception", 404, "no such index [logs]")
    assert error.metadata["resource.id"] == "logs"
    assert error.metadata["index"] == "logs"


def test_types_find_their_class() -> None:
    assert error_class("no_such_remote_cluster_exception") is NoSuchRemoteClusterError
    assert error_class("nobody_raises_this") is None


def test_an_error_is_its_own_root_cause() -> None:
    error = HanseError("x", caused_by=HanseError("y"))
    assert error.root_causes == (error,)
    assert error.with_metadata(index="i").metadata == {"index": "i"}
