"""A search: candidates beside the setting that is shown, and the rule that chooses among them.

The lowest of many noisy means is too low by chance. So a candidate replaces the setting shown only
if every seed of it meets a constraint, as a size, and if its mean validation error is lower by more
than one standard error of the difference. The test error has no say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from statistics import fmean, variance
from typing import Any

from prunelab.study import printed
from prunelab.study.measures import error, val_error
from prunelab.study.results import Line
from prunelab.study.tables import Column, Lines, Table, spread

NAMES = {"lr": "rate", "weight_decay": "decay"}  # of fields, in labels


@dataclass(frozen=True)
class Candidate:
    """Changes of the setting that the search found; without any, that setting itself.

    Attributes:
        scale: `scaled` times this, of all layers or by layer (1 where it names none).
        changes: field -> value, of the method or of its budget. `flat` is the share of the training
            before the rate falls, along a line.
        scaled: a field of the method that holds a value for each layer.
    """

    scale: float | Mapping[str, float] = 1.0
    changes: Mapping[str, Any] = field(default_factory=dict)
    scaled: str = "c"

    @property
    def label(self) -> str:
        """What tables call it."""
        if self == Candidate(scaled=self.scaled):
            return "as searched"
        scales = self.scale if isinstance(self.scale, Mapping) else {self.scaled: self.scale}
        words = [f"{NAMES.get(name, name)} {value:g}" for name, value in self.changes.items()]
        return ", ".join([*words, *(f"{name} x {value:g}" for name, value in scales.items())])

    def of(self, method: Any) -> Any:
        """The method with these changes."""
        own = {f.name for f in fields(method)}
        masks = {name: value for name, value in self.changes.items() if name in own}
        trained = {name: value for name, value in self.changes.items() if name not in own}
        if "flat" in trained:
            trained |= {"schedule": "linear", "milestones": (trained.pop("flat"),)}
        scaled = {self.scaled: times(getattr(method, self.scaled), self.scale)}
        return replace(method, **scaled, **masks, budget=replace(method.budget, **trained))


def candidate(scale: float | Mapping[str, float] = 1.0, **changes: Any) -> Candidate:
    """A candidate, its changes by name."""
    return Candidate(scale, changes)


def times(values: Mapping[str, float], scale: float | Mapping[str, float]) -> dict[str, float]:
    """Every value times the scale, which is of all layers or by layer (1 where it names none)."""
    scales = scale if isinstance(scale, Mapping) else dict.fromkeys(values, scale)
    return {layer: round(scales.get(layer, 1.0) * value, 3) for layer, value in values.items()}


@dataclass(frozen=True)
class Search:
    """A search on one network.

    Attributes:
        found: the setting that the search found.
        candidates: changes of it, named before they ran.
        taken: the one that is shown.
        seen: seeds that had a say; all others are fresh.
    """

    found: Any
    candidates: tuple[Candidate, ...]
    seen: tuple[int, ...]
    taken: Candidate = field(default_factory=Candidate)

    @classmethod
    def stated(cls, found: Any, stem: str, model: str) -> Search:
        """The search that a paper's `study.toml` states for a network.

        A candidate there is its `scale`, one for all layers or by layer, and its changes by name.
        """
        entry = printed.stated(stem).searches[model]
        candidates = tuple(candidate(**one) for one in entry["candidates"])
        return cls(found, candidates, tuple(entry["seen"]), candidate(**entry.get("taken", {})))

    @property
    def plain(self) -> Candidate:
        """The setting that the search found, as a candidate."""
        return Candidate(scaled=self.taken.scaled)

    @property
    def shown(self) -> Any:
        """The setting that is shown."""
        return self.taken.of(self.found)

    @property
    def title(self) -> str:
        """What a table calls the setting that is shown."""
        return "the one shown" + (f": {self.taken.label}" if self.taken != self.plain else "")

    @property
    def others(self) -> dict[str, Any]:
        """Label -> method: what the shown setting was held against."""
        every = (self.plain, *self.candidates)
        return {one.label: one.of(self.found) for one in every if one != self.taken}

    def judged(
        self, shown: Line, others: Iterable[Line], fits: Callable[[Line], bool]
    ) -> list[Line]:
        """The lines that were run, without the fresh seeds; the one taken has the note "yes".

        Args:
            shown: the setting that is shown.
            others: the candidates.
            fits: whether all seeds of a line meet the constraint.
        """
        shown, *others = (self._seen(line) for line in (shown, *others))
        others = [line for line in others if line.runs]
        taken = chosen(shown, others, fits)
        lines = [shown, *others] if shown.runs else others
        return [replace(line, note="yes" if line is taken else "") for line in lines]

    def _seen(self, line: Line) -> Line:
        return replace(line, runs=tuple(run for run in line.runs if run.seed in self.seen))


def chosen(shown: Line, others: Iterable[Line], fits: Callable[[Line], bool]) -> Line | None:
    """The line that the rule takes.

    Args:
        shown: runs of the setting that is shown.
        others: runs of the candidates.
        fits: whether all seeds of a line meet the constraint.

    Returns:
        A line, or None: the shown setting is not measured, or does not fit.
    """
    if not shown.runs or not fits(shown):
        return None
    better = [line for line in others if fits(line) and _is_lower(line, shown)]
    return min(better, key=_error, default=shown)


def _error(line: Line) -> float:
    return fmean(val_error(run) for run in line.runs)


def _is_lower(line: Line, shown: Line) -> bool:
    """By more than one standard error of the difference; one run alone has none."""
    both = [[val_error(run) for run in one.runs] for one in (line, shown)]
    if min(map(len, both)) < 2:
        return False
    scatter = math.sqrt(sum(variance(errors) / len(errors) for errors in both))
    return _error(line) < _error(shown) - scatter


def table(
    title: str,
    lines: Lines,
    network: Column,
    searches: Mapping[str, Search],
    fields: Mapping[str, str],
    size: Column,
    fits: Callable[[Line], bool],
    met: Callable[[Line], str],
) -> Table:
    """Each setting that was compared, and which one the rule takes, of preset `paper`.

    Args:
        title: of the table.
        lines: as `Search.judged` gives them.
        network: names the network of a line.
        searches: model -> its search.
        fields: heading -> field of the method's budget.
        size: what the constraint is about.
        fits: the constraint.
        met: line -> how often print is met; it has no say.
    """

    def setting(line: Line) -> str:
        return line.case.setting or searches[line.case.model].title

    def of_budget(name: str) -> Callable[[Line], Any]:
        return lambda line: getattr(line.case.task.method.budget, name)

    columns = (
        network,
        Column("setting", setting),
        *(Column(heading, of_budget(name)) for heading, name in fields.items()),
        spread("validation error %", val_error),
        size,
        Column("small enough", lambda line: "yes" if fits(line) else "no"),
        Column("taken by the rule", lambda line: line.note),
        spread("test error %", error),
        Column("within print", met),
    )
    return Table(title, lines, columns, preset="paper")
