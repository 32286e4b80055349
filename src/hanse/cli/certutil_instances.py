"""Which certificates certutil shall make: from options, from questions (`--multiple`) or from a YAML file (`--in`).

Every fault of a file is told before anything is made. Tests: tests/cli/test_certutil_instances.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hanse.cli.terminal import CONFIG, USAGE, Failure, ask
from hanse.errors import HanseError
from hanse.tls.authority import Names, distinguished_name, dns_name, ip_address

DEFAULT_NAME = "instance"
_FILE_NAME = re.compile(r"^[A-Za-z0-9_.][A-Za-z0-9_.\-]{0,63}$")
_FIELDS = ("name", "filename", "ip", "dns", "cn")


@dataclass(frozen=True, slots=True)
class Instance:
    """One certificate to make. `filename` is its folder in a zip, and the alias of its key."""

    names: Names
    filename: str


def from_options(name: str | None, dns: Iterable[str], ips: Iterable[str]) -> Instance:
    chosen = name or DEFAULT_NAME
    filename = _common_name(chosen)
    if not is_file_name(filename):
        raise Failure(f"[{filename}] cannot be the name of a file; choose a simpler --name, or use --in", USAGE)
    instance = Instance(Names(chosen, split(dns), split(ips)), filename)
    problems = _problems_of_names(instance.names)
    if problems:
        raise Failure("; ".join(problems), USAGE)
    return instance


def from_questions() -> list[Instance]:
    """Asks for one instance after the other."""
    instances: list[Instance] = []
    while True:
        instance = _asked()
        if any(instance.filename == other.filename for other in instances):
            click.echo(f"An instance with the file name [{instance.filename}] was given already", err=True)
        else:
            instances.append(instance)
        more = ask("Would you like to specify another instance? Press 'y' to continue entering instance information: ")
        if more.lower() not in ("y", "yes"):
            return instances


def _asked() -> Instance:
    while True:
        name = ask("Enter instance name: ")
        if not name:
            click.echo("A name must be provided", err=True)
            continue
        proposed = _common_name(name) if is_file_name(_common_name(name)) else ""
        filename = ask(f"Enter name for directories and files of {name} [{proposed}]: ", proposed)
        ips = ask("Enter IP Addresses for instance (comma-separated if more than one) []: ")
        dns = ask("Enter DNS names for instance (comma-separated if more than one) []: ")
        instance = Instance(Names(name, split([dns]), split([ips])), filename)
        problems = [] if is_file_name(filename) else [f"[{filename}] is not a valid filename"]
        problems += _problems_of_names(instance.names)
        if not problems:
            return instance
        for problem in problems:
            click.echo(f" * {problem}", err=True)


def from_file(path: Path) -> list[Instance]:
    """The instances of a YAML file, `instances: [{name, filename, ip, dns, cn}]`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe", pure=True).load(path.read_text())
    except (OSError, YAMLError, UnicodeDecodeError) as error:
        raise Failure(f"cannot read [{path}]: {str(error).splitlines()[0]}", USAGE) from error
    listed = content.get("instances") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed:
        raise Failure(f"File {path} does not contain a list of [instances]", CONFIG)
    problems: list[str] = []
    instances = [_instance(item, problems) for item in listed]
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise Failure(f"File {path} contains invalid configuration details (see messages above)", CONFIG)
    names = [instance.filename for instance in instances]
    if len(set(names)) < len(names):
        raise Failure(f"File {path} names two instances with the same filename", CONFIG)
    return instances


def is_file_name(text: str) -> bool:
    return _FILE_NAME.match(text) is not None and text not in (".", "..")


def split(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _instance(item: Any, problems: list[str]) -> Instance:
    fields = item if isinstance(item, dict) else {}
    name = str(fields.get("name") or "")
    filename = str(fields.get("filename") or _common_name(name))
    names = Names(name, _texts(fields.get("dns")), _texts(fields.get("ip")), _texts(fields.get("cn")))
    found = [] if name else ["name is required"]
    if not is_file_name(filename):
        found.append(f"[{filename}] is not a valid filename; set one in [filename]")
    found += [f"unknown field [{key}]" for key in fields if key not in _FIELDS]
    found += _problems_of_names(names)
    if found:
        problems.append(f"Configuration for instance {name} has invalid details")
        problems.extend(f" * {problem}" for problem in found)
    return Instance(names, filename)


def _problems_of_names(names: Names) -> list[str]:
    checks: list[tuple[Callable[[str], object], tuple[str, ...]]] = [(dns_name, names.dns), (ip_address, names.ips)]
    if names.name:
        checks.append((distinguished_name, (names.name,)))
    return list(_refused(checks))


def _refused(checks: list[tuple[Callable[[str], object], tuple[str, ...]]]) -> Iterator[str]:
    for check, values in checks:
        for value in values:
            try:
                check(value)
            except HanseError as error:
                yield error.reason


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(str(item) for item in value) if isinstance(value, list) else (str(value),)


def _common_name(name: str) -> str:
    """The CN of a distinguished name, or the name itself."""
    match = re.search(r"(?:^|,)\s*CN=([^,]+)", name, re.IGNORECASE)
    return match[1].strip() if match else name
