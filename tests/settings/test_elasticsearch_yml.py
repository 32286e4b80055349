"""elasticsearch.yml as operators write it, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanse.errors import SettingsError
from hanse.settings.elasticsearch_yml import DEPTH_MAX, FILE_BYTES_MAX, load, parse_overrides, read_yaml


def written(folder: Path, text: str) -> Path:
    (folder / "elasticsearch.yml").write_text(text)
    return folder


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as raised:
        read_yaml(text, "x.yml")
    assert "\n" not in raised.value.reason
    return raised.value.reason


def test_nested_and_dotted_keys_are_the_same() -> None:
    text = """
# a cluster
cluster.name: harbour
xpack.security:
  enabled: true
  transport.ssl: {enabled: True, key: certs/node.key}
discovery.seed_hosts: [ "10.0.0.1:9300", b ]
node:
  roles:
    - data
    - master
cluster.initial_master_nodes: []
"""
    assert read_yaml(text, "x.yml") == {
        "cluster.name": "harbour",
        "xpack.security.enabled": "true",
        "xpack.security.transport.ssl.enabled": "true",
        "xpack.security.transport.ssl.key": "certs/node.key",
        "discovery.seed_hosts": ["10.0.0.1:9300", "b"],
        "node.roles": ["data", "master"],
        "cluster.initial_master_nodes": [],
    }


def test_a_value_is_the_text_that_was_written() -> None:
    text = "a: on\nb: 010\nc: 12:30:45\nd: 1.10\ne: 'true '\nf: no\ng: 0x1F\nh: 2024-01-01\n"
    assert read_yaml(text, "x.yml") == {
        "a": "on",
        "b": "010",
        "c": "12:30:45",
        "d": "1.10",
        "e": "true ",
        "f": "no",
        "g": "0x1F",
        "h": "2024-01-01",
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n"])
def test_an_empty_file_has_no_settings(text: str) -> None:
    assert read_yaml(text, "x.yml") == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "a.b: 1\na:\n  b: 2\n",
            "duplicate settings key [a.b] found at line number [3], column number [6], previous value [1], current "
            "value [2]",
        ),
        ("a: 1\na: 2\n", "duplicate settings key [a] found at line number [2]"),
        ("node.name:\n", "null-valued setting found for key [node.name] found at line number [1]"),
        ("a: [1, ~]\n", "null-valued setting found for key [a]"),
        ("a: [{b: 1}]\n", "setting [a] must be a list of plain values"),
        ("- a\n- b\n", "does not hold settings of the form [name: value]"),
        ("just text", "does not hold settings of the form [name: value]"),
        ("a: 'open\n", "at line number ["),
        ("a: b: c\n", "at line number [1]"),
        ("\ta: 1\n", "at line number [1]"),
        ("{a: 1}: 2\n", "a setting's name must be plain text"),
        ("a: 1\n---\nb: 2\n", "failed to load settings from [x.yml]"),
        ("a: \x00\n", "failed to load settings from [x.yml]"),
    ],
)
def test_what_cannot_be_read_has_its_line(text: str, reason: str) -> None:
    assert reason in refusal(text)


def test_aliases_cannot_multiply_without_end() -> None:
    levels = "\n".join(f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}" for n in range(1, 25))
    assert "holds more than 10000 settings" in refusal(f"a0: &a0 {{x: 1}}\n{levels}\n")
    assert f"nested deeper than {DEPTH_MAX} levels" in refusal("a: &a\n  b: *a\n")
    assert refusal("a: " + "[" * 5000 + "]" * 5000)


def test_a_missing_file_leaves_the_overrides(tmp_path: Path) -> None:
    assert dict(load(tmp_path, {"node.name": "n1"})) == {"node.name": "n1"}


def test_overrides_win(tmp_path: Path) -> None:
    folder = written(tmp_path, "node.name: from-file\nhttp.port: 9200\n")
    assert dict(load(folder, {"node.name": "from-E"})) == {"node.name": "from-E", "http.port": "9200"}


def test_a_file_beyond_the_limit_and_one_that_is_no_text(tmp_path: Path) -> None:
    folder = written(tmp_path, "#" * (FILE_BYTES_MAX + 1))
    with pytest.raises(SettingsError, match="is larger than"):
        load(folder)
    (folder / "elasticsearch.yml").write_bytes(b"a: \xff\n")
    with pytest.raises(SettingsError, match="it is not UTF-8 text"):
        load(folder)


def test_placeholders_come_from_the_environment(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        "node.name: node-${HOST}-${ZONE:none}\nlist: ['${HOST}', b]\ngone: ${EMPTY}\nnested: ${A_${HOST}}\n"
        "default: ${MISSING:9200}\nliteral: $HOME {x}\n",
    )
    environment = {"HOST": "berlin", "EMPTY": "", "A_berlin": "found"}
    assert dict(load(folder, {"x": "${HOST}"}, environment)) == {
        "node.name": "node-berlin-none",
        "list": ["berlin", "b"],
        "nested": "found",
        "default": "9200",
        "literal": "$HOME {x}",
        "x": "berlin",
    }


def test_a_placeholder_without_a_value_names_the_setting(tmp_path: Path) -> None:
    folder = written(tmp_path, "node.name: ${NOBODY}\n")
    with pytest.raises(SettingsError, match=r"Could not resolve placeholder 'NOBODY' in setting \[node.name\]"):
        load(folder, {}, {})


def test_a_placeholder_that_holds_itself_ends(tmp_path: Path) -> None:
    folder = written(tmp_path, "a: ${A}\n")
    with pytest.raises(SettingsError, match=r"Circular placeholder reference in setting \[a\]"):
        load(folder, {}, {"A": "${A}"})


def test_overrides_are_pairs() -> None:
    assert parse_overrides(["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    for pairs, reason in (
        (["a"], "write -E <setting>=<value>"),
        (["a="], r"setting \[a\] must not be empty"),
        (["a=1", "a=2"], r"setting \[a\] already set, saw \[1\] and \[2\]"),
    ):
        with pytest.raises(SettingsError, match=reason):
            parse_overrides(pairs)
