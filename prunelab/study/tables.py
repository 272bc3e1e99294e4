"""Tables as declarations: lines (cases, runs or printed rows) and columns of typed cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from prunelab.study.cells import DASH, Cell, Missing, Number, Printed, Range
from prunelab.study.results import Line, Results, Run

Measure = Callable[[Run], float | None]
Lines = Callable[[Results, str | None], Iterable[Line]]


def ours(kind: type, measure: Measure, form: str = "{:.2f}", of: str | None = None):
    """A function that gives a line's cell of measured values.

    Args:
        kind: `Range`, `Spread` or `Number`.
        measure: run -> value; None where it has none.
        form: of the value.
        of: only of runs with this name.
    """

    def cell(line: Line) -> Cell | str:
        runs = [run for run in line.runs if of in (None, run.case.name)]
        if not runs:
            return line.missing
        found = [(value, run.key) for run in runs if (value := measure(run)) is not None]
        if not found:
            return DASH
        values, rows = zip(*found)
        return kind.of(values, form, rows)

    return cell


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: its heading.
        cell: line -> what stands there.
    """

    name: str
    cell: Callable[[Line], Any]

    def cells(self, line: Line) -> Iterator[tuple[str, Any]]:
        """Heading and cell."""
        yield self.name, self.cell(line)


@dataclass(frozen=True)
class Pair:
    """Two columns: what is printed beside what was measured.

    Attributes:
        name: how both headings begin.
        field: of the printed row.
        measure: run -> value.
        form: of a measured value.
        kind: of the measured cell.
        places: digits after the point that are printed; None = as many as it was read with.
        unit: what follows the printed value.
        raw: the printed number as it was read.
        heads: how the headings end.
        at_least: a measured value should be no smaller than printed; else, no larger.
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

    def cells(self, line: Line) -> Iterator[tuple[str, Any]]:
        """Headings and cells."""
        value = self.printed(line)
        shown = value if self.raw else Printed(value, self.places, self.unit)
        yield f"{self.name} {self.heads[0]}", shown
        yield f"{self.name} {self.heads[1]}", ours(self.kind, self.measure, self.form)(line)

    def printed(self, line: Line) -> float:
        """What the paper gives; nan = nothing."""
        return getattr(line.printed, self.field)


@dataclass(frozen=True)
class Table:
    """A table of a study.

    Attributes:
        title: its heading; with `presets`, "{}" takes the preset's words.
        lines: what stands in it, as `beside`, `each_case` and `each_run` give it.
        columns: from left to right.
        preset: whose runs; None = any.
        presets: preset -> its words, for a table of each that was run.
    """

    title: str
    lines: Lines
    columns: tuple[Column | Pair, ...]
    preset: str | None = None
    presets: Mapping[str, str] = field(default_factory=dict)

    def frames(self, results: Results) -> dict[str, pd.DataFrame]:
        """Title -> frame."""
        if not self.presets:
            return {self.title: self._frame(results, self.preset)}
        tables = {
            self.title.format(words): list(self.lines(results, preset))
            for preset, words in self.presets.items()
        }
        run = {title: lines for title, lines in tables.items() if any(line.runs for line in lines)}
        return {title: self._filled(lines) for title, lines in run.items()}

    def _frame(self, results: Results, preset: str | None) -> pd.DataFrame:
        lines = list(self.lines(results, preset))
        return self._filled(lines) if lines else self._empty(results.missing(preset))

    def _filled(self, lines: list[Line]) -> pd.DataFrame:
        return pd.DataFrame([dict(self._cells(line)) for line in lines])

    def _cells(self, line: Line) -> Iterator[tuple[str, Any]]:
        for column in self.columns:
            yield from column.cells(line)

    def _empty(self, missing: Missing) -> pd.DataFrame:
        """One line that says so."""
        return pd.DataFrame([{column.name: missing for column in self.columns}])


def beside(
    table: str,
    *match: str,
    where: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    at: str | None = None,
    missing: Cell | str | None = None,
    note: Callable[[Any], str] | None = None,
    **wanted: Any,
) -> Lines:
    """A line for each printed row, with the case that stands for it.

    Args:
        table: of the paper.
        match: its columns that `Case.printed` holds.
        where: which of its rows; None = all.
        at: its column with the layer of a run that it is about; None = the run as a whole. If
            several cases fit, the runs of all of them stand in the line.
        missing: what stands in the cells of a row for which nothing is run.
        note: printed row -> the verdict of such a row; None = "not run here".
        wanted: attribute of a case -> value.
    """

    def lines(results: Results, preset: str | None) -> Iterator[Line]:
        rows = results.study.printed(table)
        for row in (where(rows) if where else rows).itertuples():
            key = tuple(getattr(row, name) for name in match)
            line = results.line(preset, printed=key, **wanted) if match else Line()
            if line.case is None:
                why = note(row) if note else "not run here"
                line = Line(missing=missing or Missing(), note=why)
            elif at:
                found = results.lines(preset, printed=key, **wanted)
                runs = tuple(run for one in found for run in one.runs)
                line = replace(line, runs=runs).at(layer(getattr(row, at)))
            yield replace(line, printed=row)

    return lines


def layer(name: str) -> Callable[[Run], Mapping[str, Any]]:
    """A function that finds a layer in the values of a run; "total" = the sum over all."""

    def look(run: Run) -> Mapping[str, Any]:
        layers = {entry["layer"]: entry for entry in run.values["layers"]}
        if name != "total":
            return layers[name]
        keys = {"kept", "size", "params", "macs", "weights"}.intersection(*layers.values())
        return {key: sum(entry[key] for entry in layers.values()) for key in keys}

    return look


def each_case(only_run: bool = False, **wanted: Any) -> Lines:
    """A line for each case of the preset; those that are not measured say so, or are left out."""

    def lines(results: Results, preset: str | None) -> list[Line]:
        found = results.lines(preset, **wanted)
        return [line for line in found if line.runs or not only_run]

    return lines


def each_run(**wanted: Any) -> Lines:
    """A line for each run."""

    def lines(results: Results, preset: str | None) -> Iterator[Line]:
        for line in results.lines(preset, **wanted):
            yield from (replace(line, runs=(run,)) for run in line.runs)

    return lines


def printed(name: str, title: str | None = None) -> Column:
    """A column of the printed row as it is, under its own name or `title`."""

    def cell(line: Line) -> Any:
        value = getattr(line.printed, name)
        return value if value == value else DASH

    return Column(title or name, cell)


PRESET = Column("preset", lambda line: line.case.preset)
SEEDS = Column("seeds", lambda line: len(line.runs))
SEED = Column("seed", lambda line: line.runs[0].seed)


def number(name: str, measure: Measure, form: str = "{:.2f}") -> Column:
    """A column with one run's value."""
    return Column(name, ours(Number, measure, form))
