"""What `hanse doctor` found: one line for each thing looked at, as a table for people or as JSON for tools.

Tests: tests/cli/test_findings.py.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

HOLDS, FAILS, UNKNOWN = "holds", "fails", "unknown"
_STYLES = {HOLDS: "green", FAILS: "bold red", UNKNOWN: "yellow"}


@dataclass(frozen=True, slots=True)
class Finding:
    """`where` is the node itself or the alias of a remote cluster; `mend` a command or a step, for what fails."""

    where: str
    check: str
    status: str
    detail: str
    mend: str = ""


@dataclass(slots=True)
class Findings:
    """In the order of looking."""

    all: list[Finding] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """What could not be looked at does not count against it."""
        return all(finding.status != FAILS for finding in self.all)

    def holds(self, where: str, check: str, detail: str) -> None:
        self.all.append(Finding(where, check, HOLDS, detail))

    def fails(self, where: str, check: str, detail: str, mend: str) -> None:
        self.all.append(Finding(where, check, FAILS, detail, mend))

    def unknown(self, where: str, check: str, why: str) -> None:
        self.all.append(Finding(where, check, UNKNOWN, why))

    def as_json(self) -> str:
        """`{"holds": bool, "findings": [{"where", "check", "status", "detail", "mend"?}]}`."""
        return json.dumps({"holds": self.is_sound, "findings": [_shown(one) for one in self.all]}, indent=2)

    def print_table(self) -> None:
        """On a terminal in colour; long sentences wrap."""
        from rich.console import Console
        from rich.table import Table

        table = Table(show_lines=False, box=None, pad_edge=False)
        for title in ("where", "check", "", "found"):
            table.add_column(title, overflow="fold")
        for one in self.all:
            detail = f"{one.detail}\n-> {one.mend}" if one.mend else one.detail
            table.add_row(one.where, one.check, f"[{_STYLES[one.status]}]{one.status}[/]", _plain(detail))
        Console().print(table)


def _shown(finding: Finding) -> dict[str, Any]:
    shown = asdict(finding)
    return shown if finding.mend else {key: value for key, value in shown.items() if key != "mend"}


def _plain(text: str) -> Any:
    """Settings stand in square brackets, which are markup to rich."""
    from rich.text import Text

    return Text(text)
