"""Files of instances: what they may hold, and that every fault is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanse.cli.certutil_instances import from_file, from_options, is_file_name
from hanse.cli.terminal import Failure


def listed(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "instances.yml"
    path.write_text(text)
    return path


def test_all_fields(tmp_path: Path) -> None:
    text = (
        "instances:\n  - name: CN=n1,O=Hanse\n    filename: first\n    ip: 10.0.0.1\n    dns: [n1, '*.n1']\n"
        "    cn: [n1.node.hanse]\n  - {name: n2}\n"
    )
    first, second = from_file(listed(tmp_path, text))
    assert (first.filename, first.names.name, first.names.ips) == ("first", "CN=n1,O=Hanse", ("10.0.0.1",))
    assert (first.names.dns, first.names.cn) == (("n1", "*.n1"), ("n1.node.hanse",))
    assert (second.filename, second.names.dns) == ("n2", ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "does not contain a list of [instances]"),
        ("instances: []", "does not contain a list of [instances]"),
        ("instances: [", "cannot read"),
        ("instances: [{name: a}, {name: 'CN=a'}]", "names two instances with the same filename"),
        ("instances: [{name: a, port: 1}]", "contains invalid configuration details"),
        ("instances: [5]", "contains invalid configuration details"),
        ("instances: [{name: 'CN=a,=b', filename: a}]", "contains invalid configuration details"),
    ],
)
def test_files_that_are_none(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Failure) as raised:
        from_file(listed(tmp_path, text))
    assert words in raised.value.message


@pytest.mark.parametrize("text", ["", "..", ".", "-rf", "a/b", "a\\b", "a b", "x" * 65])
def test_what_is_no_file_name(text: str) -> None:
    assert not is_file_name(text)


def test_options() -> None:
    assert from_options(None, ["a,b", " c "], ["::1"]).names.dns == ("a", "b", "c")
    for name, dns, ips in [("a/b", [], []), ("a", ["b c"], []), ("a", [], ["1.2"])]:
        with pytest.raises(Failure):
            from_options(name, dns, ips)
