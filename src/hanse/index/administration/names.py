"""Which index and alias names are allowed, with Elasticsearch's wording.

Tests: tests/index/administration/test_names.py.
"""

from __future__ import annotations

from hanse.errors import InvalidAliasNameError, InvalidIndexNameError

NAME_BYTES_MAX = 255
_FORBIDDEN = '\\/*?"<>| ,#:'


def check_index_name(name: str) -> None:
    """Raises InvalidIndexNameError."""
    problem = _problem(name)
    if problem is None and name != name.lower():
        problem = "must be lowercase"
    if problem is not None:
        error = InvalidIndexNameError(f"Invalid index name [{name}], {problem}", index_uuid="_na_", index=name)
        raise error


def check_alias_name(name: str) -> None:
    """Raises InvalidAliasNameError."""
    problem = _problem(name)
    if problem is not None:
        raise InvalidAliasNameError(f"Invalid alias name [{name}]: {problem}", index_uuid="_na_", index=name)


def _problem(name: str) -> str | None:
    if not name:
        return "must not be empty"
    if any(char in _FORBIDDEN for char in name):
        if "#" in name:
            return "must not contain '#'"
        if ":" in name:
            return "must not contain ':'"
        return "must not contain the following characters [' ','\"','*',',','/','<','>','?','\\','|']"
    if name[0] in "_-+":
        return "must not start with '_', '-', or '+'"
    if name in (".", ".."):
        return "must not be '.' or '..'"
    if len(name.encode()) > NAME_BYTES_MAX:
        return f"index name is too long, ({len(name.encode())} > {NAME_BYTES_MAX})"
    return None
