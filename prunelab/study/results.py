"""Results: the cases of a study, each with its runs among some ledger rows."""

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
    """One seed of a case, or a part of that run, such as one layer.

    Attributes:
        case: the case that was run.
        key: key of its ledger row.
        seed: its seed.
        values: the measured values.
        device: the device it ran on.
        base: the run it is compared with.
    """

    case: Case
    key: str
    seed: int
    values: Mapping[str, Any]
    device: str = ""
    base: Run | None = None

    def at(self, values: Mapping[str, Any]) -> Run:
        return replace(self, values=values)


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes:
        case: the case behind it; None if nothing is run for it.
        runs: the runs of that case.
        printed: the row of the paper's table.
        missing: the cell shown where there is no run.
        note: the verdict where nothing is run.
        base: the case that its runs are compared with.
    """

    case: Case | None = None
    runs: tuple[Run, ...] = ()
    printed: Any = None
    missing: Cell | str = field(default_factory=Missing)
    note: str = ""
    base: Case | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(run.key for run in self.runs if run.key)

    @property
    def command(self) -> str:
        """The command that measures it, and the data this needs."""
        place = ", with ImageNet in the folder imagenet of a data root"
        return f"{self.missing.command}{place if self.case.data == IMAGENET else ''}"

    def over(self, base: Line) -> Line:
        """The same runs, each with the base's run of the same seed as its base."""
        whole = {run.seed: run for run in base.runs}
        runs = tuple(replace(run, base=whole.get(run.seed)) for run in self.runs)
        return replace(self, runs=runs, base=base.case)

    def at(self, look: Callable[[Run], Mapping[str, Any]]) -> Line:
        """The same runs, each with the values that `look` returns for it."""
        return replace(self, runs=tuple(run.at(look(run)) for run in self.runs))


class Results:
    """The lines of all cases.

    Args:
        study: the study whose cases are looked up.
        rows: ledger rows; those that belong to no case are ignored.
    """

    def __init__(self, study: Study, rows: Iterable[dict]):
        self.study = study
        self._rows = {row["key"]: row for row in rows}
        self._lines: dict[str, list[Line]] = {}

    def lines(self, preset: str | None = None, **wanted: Any) -> list[Line]:
        """The lines of all matching cases, in the order of the study.

        Args:
            preset: the preset their rows belong to; None = any, the largest first.
            wanted: attribute of a case -> its value, or a set of allowed values.
        """
        presets = [preset] if preset else PRESETS[::-1]
        lines = [line for name in presets for line in self._all(name)]
        return [line for line in lines if _fits(line.case, wanted)]

    def line(self, preset: str | None = None, **wanted: Any) -> Line:
        """The first matching case with runs, else one without; an empty line if none matches."""
        found = self.lines(preset, **wanted)
        found.sort(key=lambda line: (not line.runs, line.case.preset != QUICK))
        return found[0] if found else Line()

    def runs(self, preset: str | None = None, **wanted: Any) -> list[Run]:
        return [run for line in self.lines(preset, **wanted) for run in line.runs]

    def missing(self, preset: str | None) -> Missing:
        """The cell shown where nothing is measured."""
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
        """The runs of a case, in the order of the rows."""
        keys = {case.recipe(self.study.stem, seed).key for seed in seeds}
        return tuple(
            Run(case, key, row["seed"], row["values"], row.get("device", ""))
            for key, row in self._rows.items()
            if key in keys
        )


def _fits(case: Case, wanted: Mapping[str, Any]) -> bool:
    found = {name: getattr(case, name) for name in wanted}
    return all(
        found[name] in value if isinstance(value, set) else found[name] == value
        for name, value in wanted.items()
    )


def device(run: Run) -> str:
    """Device and precision of a run: "cpu, float32"."""
    budget = run.case.network.budget
    return f"{run.device}, {budget.precision if budget else 'counted'}"


def devices(line: Line) -> str:
    """Devices and precisions of all runs."""
    return "; ".join(sorted({device(run) for run in line.runs})) or DASH
