"""The tables of `_cat`: columns, chosen and sorted by parameters, as aligned text, JSON or YAML.

Tests: tests/rest/test_cat_table.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from hanse.errors import IllegalArgumentError
from hanse.settings.units import format_bytes, format_duration, in_time_unit

_BYTE_UNITS = {"b": 1, "k": 1024, "kb": 1024, "m": 1024**2, "mb": 1024**2, "g": 1024**3, "gb": 1024**3}


class Units(NamedTuple):
    """What values of each kind are counted in; None: the one that suits each value."""

    bytes: str | None = None
    time: str | None = None


HUMAN = Units()


@dataclass(frozen=True, slots=True)
class Column:
    """`kind`: text, number, bytes, time (values in seconds). Hidden columns show up only when asked for by name."""

    name: str
    help: str
    aliases: tuple[str, ...] = ()
    kind: str = "text"
    hidden: bool = False

    @property
    def is_right_aligned(self) -> bool:
        return self.kind != "text"


def columns(*specifications: str) -> tuple[Column, ...]:
    """`name|aliases|help|kind|hidden`, short enough to read as a table."""
    made = []
    for specification in specifications:
        name, aliases, text, kind, hidden = (specification + "||||").split("|")[:5]
        made.append(
            Column(name, text, tuple(alias for alias in aliases.split(",") if alias), kind or "text", bool(hidden))
        )
    return tuple(made)


@dataclass(slots=True)
class Table:
    columns: tuple[Column, ...]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def help_text(self) -> str:
        """One line a column: name | aliases | description."""
        cells = [(column.name, ",".join(column.aliases) or "-", column.help) for column in self.columns]
        widths = [max(len(row[n]) for row in cells) for n in range(3)]
        return "".join(
            " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + "\n" for row in cells
        )

    def chosen(self, names: tuple[str, ...]) -> list[tuple[str, Column]]:
        """Columns to show under the names the caller used; unknown names are left out, as Elasticsearch does."""
        if not names:
            return [(column.name, column) for column in self.columns if not column.hidden]
        found: list[tuple[str, Column]] = []
        for name in names:
            for column in self.columns:
                known = (column.name, *column.aliases)
                if name in known:
                    found.append((name, column))
                elif "*" in name and fnmatchcase(column.name, name):
                    found.append((column.name, column))
        return found

    def sort(self, keys: tuple[str, ...]) -> None:
        """`name`, `name:asc`, `name:desc`. Raises IllegalArgumentError for an unknown column."""
        for key in reversed(keys):
            name, _, order = key.partition(":")
            column = next((c for c in self.columns if name in (c.name, *c.aliases)), None)
            if column is None:
                raise IllegalArgumentError(f"Unable to sort by unknown sort key `{name}`")
            self.rows.sort(key=lambda row, c=column: _sort_key(row.get(c.name)), reverse=order == "desc")  # type: ignore[misc]

    def text(self, names: tuple[str, ...], *, header: bool, units: Units = HUMAN) -> str:
        """Columns padded to the widest cell, but for a last one that starts at the left."""
        chosen = self.chosen(names)
        cells = [[_shown(row.get(column.name), column, units) for _, column in chosen] for row in self.rows]
        titles = [[name for name, _ in chosen]] if header else []
        widths = [max((len(row[n]) for row in titles + cells), default=0) for n in range(len(chosen))]
        if chosen and not chosen[-1][1].is_right_aligned:
            widths[-1] = 0
        lines = [
            " ".join(
                cell.rjust(width) if column.is_right_aligned else cell.ljust(width)
                for cell, width, (_, column) in zip(row, widths, chosen, strict=True)
            )
            for row in titles + cells
        ]
        return "".join(line + "\n" for line in lines)

    def objects(self, names: tuple[str, ...], *, units: Units = HUMAN) -> list[dict[str, Any]]:
        """For format=json: every value is text, or null."""
        chosen = self.chosen(names)
        return [
            {name: _shown(row.get(column.name), column, units, null=True) for name, column in chosen}
            for row in self.rows
        ]


def _sort_key(value: Any) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    return (1, value) if isinstance(value, int | float) else (2, str(value))


def _shown(value: Any, column: Column, units: Units, *, null: bool = False) -> Any:
    if value is None:
        return None if null else ""
    if column.kind == "bytes" and isinstance(value, int):
        if units.bytes is None:
            return format_bytes(value)
        if units.bytes not in _BYTE_UNITS:
            raise IllegalArgumentError(f"invalid byte unit [{units.bytes}]")
        return str(value // _BYTE_UNITS[units.bytes])
    if column.kind == "time" and isinstance(value, int | float):
        return format_duration(value) if units.time is None else str(in_time_unit(value, units.time))
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
