"""Results: the cases of a study, each with the runs of it that are among some ledger rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from prunelab.study.cells import DASH, Cell, Missing
from prunelab.study.recipes import IMAGENET, PRESETS

if TYPE_CHECKING:
    from prunelab.study.study import Case, Study

QUICK = "quick"  # measures what every preset measures


@dataclass(frozen=True)
class Run:
    """One seed of a case, or a part of it, as one layer.

    Attributes:
        case: what was run.
        key: of its ledger row.
        seed: of the run.
        device: where it ran.
        values: what was measured.
        base: the run that it is compared with.
    """

    case: Case
    key: str
    seed: int
    values: Mapping[str, Any]
    device: str = ""
    base: Run | None = None

    def at(self, values: Mapping[str, Any]) -> Run:
        """The same run, with other values to look at."""
        return replace(self, values=values)


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes:
        case: what is run for it; None = nothing is.
        runs: of the case.
        printed: the row of the paper's table.
        missing: what stands where there is no run.
        note: the verdict where nothing is run.
    """

    case: Case | None = None
    runs: tuple[Run, ...] = ()
    printed: Any = None
    missing: Cell | str = field(default_factory=Missing)
    note: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the ledger rows of its runs."""
        return tuple(run.key for run in self.runs if run.key)

    @property
    def command(self) -> str:
        """What measures it, with what it needs."""
        place = ", with ImageNet in the folder imagenet of a data root"
        return f"{self.missing.command}{place if self.case.data == IMAGENET else ''}"

    def over(self, base: Line) -> Line:
        """The same runs, each beside the base's run with its seed."""
        whole = {run.seed: run for run in base.runs}
        runs = tuple(replace(run, base=whole.get(run.seed)) for run in self.runs)
        return replace(self, runs=runs)

    def at(self, look: Callable[[Run], Mapping[str, Any]]) -> Line:
        """The same runs, each with the values that `look` finds in it."""
        return replace(self, runs=tuple(run.at(look(run)) for run in self.runs))


class Results:
    """The lines of all cases.

    Args:
        study: whose cases.
        rows: of the ledger; what belongs to no case counts nowhere.
    """

    def __init__(self, study: Study, rows: Iterable[dict]):
        self.study = study
        self._rows = {row["key"]: row for row in rows}
        self._order = {key: place for place, key in enumerate(self._rows)}
        self._lines: dict[str, list[Line]] = {}

    def lines(self, preset: str | None = None, **wanted: Any) -> list[Line]:
        """Every case that fits, in the order in which a study gives them.

        Args:
            preset: under which its rows are kept; None = any, the largest first.
            wanted: attribute of a case -> value, or a set of values.
        """
        presets = [preset] if preset else PRESETS[::-1]
        lines = [line for name in presets for line in self._all(name)]
        return [line for line in lines if _fits(line.case, wanted)]

    def line(self, preset: str | None = None, **wanted: Any) -> Line:
        """The first case that fits and was run, else one that would be; empty if none fits."""
        found = self.lines(preset, **wanted)
        found.sort(key=lambda line: (not line.runs, line.case.preset != QUICK))
        return found[0] if found else Line()

    def runs(self, preset: str | None = None, **wanted: Any) -> list[Run]:
        """All runs of the cases that fit."""
        return [run for line in self.lines(preset, **wanted) for run in line.runs]

    def missing(self, preset: str | None) -> Missing:
        """What stands where nothing is measured."""
        return Missing(self.study.command(preset or QUICK))

    def _all(self, preset: str) -> list[Line]:
        if preset not in self._lines:
            cases = [case for case in self.study.asked(preset) if case.preset == preset]
            missing = self.missing(preset)
            seeds = sorted({r["seed"] for r in self._rows.values() if r["preset"] == preset})
            lines = [Line(case, self._runs(case, seeds), missing=missing) for case in cases]
            self._lines[preset] = lines
        return self._lines[preset]

    def _runs(self, case: Case, seeds: Iterable[int]) -> tuple[Run, ...]:
        """In the order of the rows."""
        keys = {case.recipe(self.study.stem, seed).key for seed in seeds} & self._rows.keys()
        rows = sorted((self._rows[key] for key in keys), key=lambda row: self._order[row["key"]])
        return tuple(
            Run(case, row["key"], row["seed"], row["values"], row.get("device", "")) for row in rows
        )


def _fits(case: Case, wanted: Mapping[str, Any]) -> bool:
    found = {name: getattr(case, name) for name in wanted}
    return all(
        found[name] in value if isinstance(value, set) else found[name] == value
        for name, value in wanted.items()
    )


def device(run: Run) -> str:
    """Where it ran and how exactly: cpu, float32."""
    budget = run.case.network.budget
    return f"{run.device}, {budget.precision if budget else 'counted'}"


def devices(line: Line) -> str:
    """Of all runs."""
    return "; ".join(sorted({device(run) for run in line.runs})) or DASH
