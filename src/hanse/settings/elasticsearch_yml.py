"""Reads elasticsearch.yml and `-E key=value` into flat raw settings.

YAML 1.2, nested or dotted keys, a scalar is the text as it was written (`on`, `010` and `12:30` stay what they are).
A key given twice, an empty value or an object in a list is refused with the line that holds it. `${VAR}` and
`${VAR:default}` are filled from the environment as Elasticsearch does. Size, depth and the number of values are
bounded, since aliases multiply. Names and types are judged later, by the registry.
Tests: tests/settings/test_elasticsearch_yml.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hanse.errors import SettingsError
from hanse.settings.registry import RawValue, Settings

FILE_NAME = "elasticsearch.yml"
FILE_BYTES_MAX = 1024 * 1024
VALUES_MAX = 10_000
DEPTH_MAX = 32
PLACEHOLDER_DEPTH_MAX = 16

_NULL = "tag:yaml.org,2002:null"
_BOOLEAN = "tag:yaml.org,2002:bool"

V = TypeVar("V")


def load(
    config_dir: Path, overrides: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """The settings of a node: the file (a missing one counts as empty), then `overrides` on top.

    Raises SettingsError in one line that names the setting and, for the file, its line.
    """
    path = config_dir / FILE_NAME
    values = dict(read_yaml(_read(path), str(path)))
    values.update(overrides or {})
    return Settings(_fill_placeholders(values, os.environ if environment is None else environment))


def parse_overrides(pairs: Iterable[str]) -> dict[str, str]:
    """The values of repeated `-E key=value` options."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise SettingsError(f"[{pair}] is not a setting; write -E <setting>=<value>")
        if not value:
            raise SettingsError(f"setting [{key}] must not be empty")
        if key in found:
            raise SettingsError(f"setting [{key}] already set, saw [{found[key]}] and [{value}]")
        found[key] = value
    return found


def read_yaml(text: str, source: str) -> dict[str, RawValue]:
    """The flat settings in a YAML text. Placeholders stay as they are."""
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" at line number [{mark.line + 1}], column number [{mark.column + 1}]" if mark is not None else ""
        raise SettingsError(f"failed to load settings from [{source}]: {error.problem}{where}") from error
    except (YAMLError, RecursionError, ValueError) as error:
        raise SettingsError(f"failed to load settings from [{source}]: {_first_line(error)}") from error
    if root is None or (isinstance(root, ScalarNode) and root.tag == _NULL):
        return {}
    if not isinstance(root, MappingNode):
        raise SettingsError(
            f"failed to load settings from [{source}]: it does not hold settings of the form [name: value]"
        )
    return _collect(root, source)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SettingsError(f"failed to load settings from [{path}]: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise SettingsError(f"failed to load settings from [{path}]: it is larger than {FILE_BYTES_MAX} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise SettingsError(f"failed to load settings from [{path}]: it is not UTF-8 text") from error


def _collect(root: MappingNode, source: str) -> dict[str, RawValue]:
    values: dict[str, RawValue] = {}
    for key, node in _walk(root, "", 0):
        value = _value(key, node)
        if key in values:
            raise SettingsError(
                f"duplicate settings key [{key}] found{_place(node)}, previous value [{_shown(values[key])}], current "
                f"value [{_shown(value)}] in [{source}]"
            )
        values[key] = value
        if len(values) > VALUES_MAX:
            raise SettingsError(f"failed to load settings from [{source}]: it holds more than {VALUES_MAX} settings")
    return values


def _walk(mapping: MappingNode, prefix: str, depth: int) -> Iterator[tuple[str, Node]]:
    if depth > DEPTH_MAX:
        raise SettingsError(f"settings are nested deeper than {DEPTH_MAX} levels at [{prefix.removesuffix('.')}]")
    for name, node in mapping.value:
        if not isinstance(name, ScalarNode):
            raise SettingsError(f"a setting's name must be plain text, but found something else{_place(name)}")
        key = f"{prefix}{name.value}"
        if node.tag == _NULL:  # an empty value has no place of its own: name the line of the key
            raise SettingsError(f"null-valued setting found for key [{key}] found{_place(name)}")
        if isinstance(node, MappingNode):
            yield from _walk(node, key + ".", depth + 1)
        else:
            yield key, node


def _value(key: str, node: Node) -> RawValue:
    if not isinstance(node, SequenceNode):
        return _scalar(key, node)
    if len(node.value) > VALUES_MAX:
        raise SettingsError(f"setting [{key}] holds more than {VALUES_MAX} values{_place(node)}")
    return [_scalar(key, item) for item in node.value]


def _scalar(key: str, node: Node) -> str:
    if not isinstance(node, ScalarNode):
        raise SettingsError(f"setting [{key}] must be a list of plain values, but found something else{_place(node)}")
    if node.tag == _NULL:
        raise SettingsError(f"null-valued setting found for key [{key}] found{_place(node)}")
    return node.value.lower() if node.tag == _BOOLEAN else str(node.value)


def _fill_placeholders(values: Mapping[str, RawValue], environment: Mapping[str, str]) -> dict[str, RawValue]:
    filled: dict[str, RawValue] = {}
    for key, raw in values.items():
        if isinstance(raw, list):
            filled[key] = [_fill(key, item, environment, 0) for item in raw]
        elif "${" not in raw:
            filled[key] = raw
        elif text := _fill(key, raw, environment, 0):
            filled[key] = text  # one that becomes empty counts as not set, as in Elasticsearch
    return filled


def _fill(key: str, text: str, environment: Mapping[str, str], depth: int) -> str:
    start = text.find("${")
    if start < 0:
        return text
    if depth > PLACEHOLDER_DEPTH_MAX:
        raise SettingsError(f"Circular placeholder reference in setting [{key}]")
    end = _closing_brace(text, start)
    if end < 0:
        return text
    name = _fill(key, text[start + 2 : end], environment, depth + 1)
    name, colon, default = name.partition(":")
    value = environment.get(name, default if colon else None)
    if value is None:
        raise SettingsError(f"Could not resolve placeholder '{name}' in setting [{key}]; no such environment variable")
    filled = _fill(key, value, environment, depth + 1)
    return text[:start] + filled + _fill(key, text[end + 1 :], environment, depth)


def _closing_brace(text: str, start: int) -> int:
    depth = 0
    for at in range(start, len(text)):
        if text.startswith("${", at):
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
    return -1


def _place(node: Node) -> str:
    mark = node.start_mark
    return f" at line number [{mark.line + 1}], column number [{mark.column + 1}]" if mark is not None else ""


def _shown(value: RawValue) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
