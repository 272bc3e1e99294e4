"""Tables as declarations: lines (cases, runs or printed rows) and columns of typed cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from prunelab.study.cells import DASH, Cell, Missing, Number, Range, Spread
from prunelab.study.columns import Column as Column
from prunelab.study.columns import Measure as Measure
from prunelab.study.columns import Pair as Pair
from prunelab.study.columns import ours as ours
from prunelab.study.results import Line, Results, Run

Lines = Callable[[Results, str | None], Iterable[Line]]


@dataclass(frozen=True)
class Table:
    """A table of a study.

    Attributes:
        title: its heading; with `presets`, "{}" is replaced by the words for the preset.
        lines: its lines, as returned by `beside`, `each_case` or `each_run`.
        columns: from left to right: `Column`, `Pair` or a rule of `prunelab.study.measures`; a
            string names a column of the printed table.
        preset: the preset whose runs are shown; None = any.
        presets: preset -> words for it; gives one table for each preset that was run.
        claimed: printed numbers that have an id and stand in columns of another type.
    """

    title: str
    lines: Lines
    columns: tuple[Any, ...]
    preset: str | None = None
    presets: Mapping[str, str] = field(default_factory=dict)
    claimed: tuple[Pair, ...] = ()

    @property
    def titles(self) -> list[str]:
        return [self.title.format(words) for words in self.presets.values()] or [self.title]

    def frames(self, results: Results) -> dict[str, pd.DataFrame]:
        """Title -> frame. An empty table has one line that says that nothing is measured."""
        columns = [printed(one) if isinstance(one, str) else one for one in self.columns]

        def filled(lines: list[Line]) -> pd.DataFrame:
            cells = [[cell for column in columns for cell in column.cells(line)] for line in lines]
            return pd.DataFrame([dict(found) for found in cells])

        if self.presets:
            tables = {
                self.title.format(words): list(self.lines(results, preset))
                for preset, words in self.presets.items()
            }
            return {
                t: filled(lines) for t, lines in tables.items() if any(one.runs for one in lines)
            }
        lines = list(self.lines(results, self.preset))
        missing = dict.fromkeys((one.name for one in columns), results.missing(self.preset))
        return {self.title: filled(lines) if lines else pd.DataFrame([missing])}


def beside(
    table: str,
    *match: str,
    only: Callable[[Any], bool] = lambda row: True,
    over: str | None = None,
    at: str | None = None,
    missing: Cell | str | None = None,
    **wanted: Any,
) -> Lines:
    """One line per printed row, with the case that reproduces it.

    Args:
        table: name of the printed table.
        match: its columns whose values are in `Case.printed`.
        only: printed row -> whether it gets a line.
        over: its column that names the printed row of the case to compare with.
        at: its column that names a layer of the network; None = the network as a whole. With it,
            the line has the runs of all matching cases.
        missing: cell of a row for which nothing is run.
        wanted: attribute of a case -> value.
    """

    def lines(results: Results, preset: str | None) -> Iterator[Line]:
        rows = list(results.study.printed(table).itertuples(index=False))
        if over and match:
            _check_over(rows, over, match[0])
        for row in filter(only, rows):
            key = tuple(getattr(row, name) for name in match)
            line = results.line(preset, printed=key, **wanted) if match else Line()
            if line.case is None:
                line = Line(missing=missing or Missing(), note="not run here")
            elif at:
                found = results.lines(preset, printed=key, **wanted)
                runs = tuple(run for one in found for run in one.runs)
                line = replace(line, runs=runs).at(layer(getattr(row, at)))
            if over:
                line = line.over(results.line(preset, printed=(getattr(row, over),), **wanted))
            yield replace(line, printed=row)

    return lines


def _check_over(rows: Iterable[Any], over: str, match: str) -> None:
    names = {getattr(row, match) for row in rows}
    for row in rows:
        name = getattr(row, over)
        if name == name and name not in names:
            raise ValueError(
                f"tables: column `{over}` of a printed table must name one of its rows"
                f" by `{match}`; got {name!r}"
            )


def layer(name: str) -> Callable[[Run], Mapping[str, Any]]:
    """A function from a run to the values of a layer; "total" = the sum over all layers."""

    def look(run: Run) -> Mapping[str, Any]:
        layers = {entry["layer"]: entry for entry in run.values["layers"]}
        if name != "total":
            return layers[name]
        keys = {"kept", "size", "params", "macs", "weights"}.intersection(*layers.values())
        return {key: sum(entry[key] for entry in layers.values()) for key in keys}

    return look


def each_case(only_run: bool = False, **wanted: Any) -> Lines:
    """One line per case of the preset; `only_run` leaves out those without runs."""

    def lines(results: Results, preset: str | None) -> list[Line]:
        return [one for one in results.lines(preset, **wanted) if one.runs or not only_run]

    return lines


def each_run(**wanted: Any) -> Lines:
    """One line per run."""

    def lines(results: Results, preset: str | None) -> Iterator[Line]:
        for line in results.lines(preset, **wanted):
            yield from (replace(line, runs=(run,)) for run in line.runs)

    return lines


def printed(
    name: str, title: str | None = None, kind: Callable[[Any], Any] = lambda value: value
) -> Column:
    """A column of the printed row, under its own name or `title`.

    Args:
        name: name of the printed column.
        title: its heading.
        kind: printed value -> cell; by default the value itself. Missing values become a dash.
    """

    def cell(line: Line) -> Any:
        value = getattr(line.printed, name)
        return kind(value) if value == value else DASH

    return Column(title or name, cell)


def of_case(name: str, title: str | None = None) -> Column:
    """A column with an attribute of the case, under its own name or `title`."""
    return Column(title or name, lambda line: getattr(line.case, name))


PRESET = of_case("preset")
SEEDS = Column("seeds", lambda line: len(line.runs))
SEED = Column("seed", lambda line: line.runs[0].seed)


def number(name: str, measure: Measure, form: str = "{:.2f}") -> Column:
    """A column with the value of one run."""
    return Column(name, ours(Number, measure, form))


def span(name: str, measure: Measure, form: str = "{:.2f}", of: str | None = None) -> Column:
    """A column with mean, minimum and maximum of all runs."""
    return Column(name, ours(Range, measure, form, of))


def spread(name: str, measure: Measure, form: str = "{:.2f}") -> Column:
    """A column with mean and standard deviation of all runs."""
    return Column(name, ours(Spread, measure, form))
