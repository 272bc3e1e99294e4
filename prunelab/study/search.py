"""A search: the setting shown, the candidates it was compared with, and the rule that chooses.

The lowest of many noisy means is too low by chance. A candidate therefore replaces the setting
shown only if it meets a constraint, such as a size, with the seeds that choose, and if its mean
validation error is lower by more than one standard error of the difference. Each study says what
its constraint `fits` asks of the seeds: of every one, or of their mean. The test error is not used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from statistics import fmean, variance
from typing import Any

from prunelab.study import printed
from prunelab.study.measures import error, val_error
from prunelab.study.networks import Network
from prunelab.study.results import Line
from prunelab.study.tables import Column, Lines, Table, spread

NAMES = {"lr": "rate", "weight_decay": "decay"}  # of fields, in labels
Pair = tuple[Network, Any]  # a network, and the method that prunes it


@dataclass(frozen=True)
class Candidate:
    """Changes to the setting that the search found; without any, that setting itself.

    Attributes:
        scale: factor of c, for all layers or by layer (1 for those not named).
        changes: field of the network, the method or its budget -> value. `flat` is the share of the
            training before the learning rate starts to fall linearly; `plain` is how many epochs
            the network trains before the method, under the method's budget.
    """

    scale: float | Mapping[str, float] = 1.0
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        if self == Candidate():
            return "as searched"
        words = [f"{NAMES.get(name, name)} {_told(value)}" for name, value in self.changes.items()]
        if self.scale != 1.0:
            scales = self.scale if isinstance(self.scale, Mapping) else {"c": self.scale}
            words += [f"{name} x {value:g}" for name, value in scales.items()]
        return ", ".join(words)

    def of(self, network: Network, method: Any) -> Pair:
        """The network and the method, changed. Errors: TypeError, a change is no field of them."""
        changes = dict(self.changes)
        if "flat" in changes:
            changes |= {"schedule": "linear", "milestones": (changes.pop("flat"),)}
        plain = changes.pop("plain", None)
        if self.scale != 1.0:
            changes["c"] = times(method.c, self.scale)
        of_network, of_method = ({f.name for f in fields(one)} for one in (network, method))
        own = {name: changes.pop(name) for name in of_method & changes.keys()}
        where = {name: changes.pop(name) for name in of_network & changes.keys()}
        budget = replace(method.budget, **changes)
        if plain is not None:
            where["budget"] = replace(budget, epochs=plain)
        return replace(network, **where), replace(method, budget=budget, **own)


def _told(value: object) -> str:
    """A value in a label; of several places, one after the other."""
    if isinstance(value, Mapping):
        return " ".join(map(_told, value.values()))
    return f"{value:g}" if isinstance(value, float | int) else str(value)


def candidate(scale: float | Mapping[str, float] = 1.0, **changes: Any) -> Candidate:
    """A candidate, with its changes as keyword arguments."""
    return Candidate(scale, changes)


def times(values: Mapping[str, float], scale: float | Mapping[str, float]) -> dict[str, float]:
    """Each value times the scale, for all layers or by layer (1 for those not named)."""
    scales = scale if isinstance(scale, Mapping) else dict.fromkeys(values, scale)
    return {layer: round(scales.get(layer, 1.0) * value, 3) for layer, value in values.items()}


@dataclass(frozen=True)
class Search:
    """A search on one network.

    Attributes:
        network: the network before pruning, as the search found it.
        found: the method that the search found.
        candidates: changes to them, named before they ran.
        seen: seeds used to choose; all others are fresh.
        taken: the candidate that is shown.
    """

    network: Network
    found: Any
    candidates: tuple[Candidate, ...]
    seen: tuple[int, ...]
    taken: Candidate = field(default_factory=Candidate)

    @classmethod
    def stated(cls, network: Network, found: Any, stem: str) -> Search:
        """The search that a paper's `study.toml` states for a network.

        A candidate there is its `scale`, one for all layers or by layer, and its changes by name.
        """
        entry = printed.stated(stem).searches[network.model]
        candidates = tuple(candidate(**one) for one in entry["candidates"])
        taken = candidate(**entry.get("taken", {}))
        return cls(network, found, candidates, tuple(entry["seen"]), taken)

    @property
    def shown(self) -> Pair:
        return self.taken.of(self.network, self.found)

    @property
    def title(self) -> str:
        """Name of the setting that is shown."""
        return "the one shown" + (f": {self.taken.label}" if self.taken != Candidate() else "")

    @property
    def others(self) -> dict[str, Pair]:
        """Label -> network and method of everything the setting shown was compared with."""
        every = (Candidate(), *self.candidates)
        return {one.label: one.of(self.network, self.found) for one in every if one != self.taken}

    def judged(
        self, shown: Line, others: Iterable[Line], fits: Callable[[Line], bool]
    ) -> list[Line]:
        """The lines with runs, without fresh seeds; the one that the rule takes has the note "yes".

        Args:
            shown: the line of the setting that is shown.
            others: the lines of the candidates.
            fits: line -> whether it meets the constraint; its runs are those of seeds that choose.
        """
        lines = [self._seen(line) for line in (shown, *others)]
        taken = chosen(lines[0], lines[1:], fits)
        return [replace(one, note="yes" if one is taken else "") for one in lines if one.runs]

    def _seen(self, line: Line) -> Line:
        return replace(line, runs=tuple(run for run in line.runs if run.seed in self.seen))


def chosen(shown: Line, others: Iterable[Line], fits: Callable[[Line], bool]) -> Line | None:
    """The line that the rule takes: `shown`, or a candidate that is better.

    None if `shown` is not measured or does not fit. For the arguments see `Search.judged`.
    """
    if not shown.runs or not fits(shown):
        return None
    better = [line for line in others if line.runs and fits(line) and _is_lower(line, shown)]
    return min(better, key=_error, default=shown)


def _error(line: Line) -> float:
    return fmean(val_error(run) for run in line.runs)


def _is_lower(line: Line, shown: Line) -> bool:
    """Lower by more than one standard error of the difference; a single run has none."""
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
    sizes: tuple[Column, ...],
    fits: Callable[[Line], bool],
    met: Callable[[Line], str],
) -> Table:
    """A table of the settings that were compared, and which one the rule takes (preset `paper`).

    Args:
        title: of the table.
        lines: from `Search.judged`.
        network: the column that names the network.
        searches: model -> its search.
        fields: heading -> field of the method's budget.
        sizes: the columns that the constraint `fits` is about.
        fits: the constraint.
        met: line -> how many of its runs agree with the paper; not used to choose.
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
        *sizes,
        Column("small enough", lambda line: "yes" if fits(line) else "no"),
        Column("taken by the rule", lambda line: line.note),
        spread("test error %", error),
        Column("within print", met),
    )
    return Table(title, lines, columns, preset="paper")
