"""Columns of a table: what each makes of a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from prunelab.study.cells import DASH, Cell, Number, Printed, Range
from prunelab.study.results import Line, Run

Measure = Callable[[Run], float | None]


def ours(kind: type, measure: Measure, form: str = "{:.2f}", of: str | None = None):
    """A function from a line to its cell of measured values.

    Args:
        kind: `Range` or `Spread` of all runs, or `Number` of the first.
        measure: run -> value, or None if the run has none.
        form: format of the value.
        of: use only the runs of cases with this name.
    """

    def cell(line: Line) -> Cell | str:
        runs = [run for run in line.runs if of in (None, run.case.name)]
        if not runs:
            return line.missing
        found = [(value, run.key) for run in runs if (value := measure(run)) is not None]
        if not found:
            return DASH
        values, rows = zip(*found)
        if kind is Number:
            return Number(values[0], form, rows=rows[:1])
        return kind(values, form, rows=rows)

    return cell


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        cell: line -> cell.
    """

    name: str
    cell: Callable[[Line], Any]

    def cells(self, line: Line) -> Iterator[tuple[str, Any]]:
        yield self.name, self.cell(line)


@dataclass(frozen=True)
class Pair:
    """Two columns: the printed value beside the measured one.

    Attributes:
        name: start of both headings.
        field: field of the printed row.
        measure: run -> value.
        form: format of the measured value.
        kind: type of the measured cell.
        places: digits after the decimal point that are printed; None = as few as its value needs,
            so 3.0 shows as 3.
        unit: text after the printed value.
        raw: show the printed number as it was read.
        heads: ends of the two headings.
        at_least: whether larger is better; by default smaller is.
        built: whether what is measured was built to reach print, so that it proves nothing.
    """

    name: str
    field: str
    measure: Measure
    form: str = "{:.2f}"
    kind: type = Range
    places: int | None = None
    unit: str = ""
    raw: bool = False
    heads: tuple[str, str] = ("printed", "ours")
    at_least: bool = False
    built: bool = False

    def cells(self, line: Line) -> Iterator[tuple[str, Any]]:
        value = self.printed(line)
        shown = value if self.raw else Printed(value, self.places, self.unit)
        yield f"{self.name} {self.heads[0]}", shown
        yield f"{self.name} {self.heads[1]}", ours(self.kind, self.measure, self.form)(line)

    def printed(self, line: Line) -> float:
        """The printed value; nan if there is none. Errors: ValueError, it is no number."""
        value = getattr(line.printed, self.field)
        try:
            return float(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError(
                f"tables: column `{self.field}` of a printed table must have numbers; got {value!r}"
            ) from None
