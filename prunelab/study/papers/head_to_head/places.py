"""Who stands where: every method at every size of a network, on four axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from prunelab.study import contest
from prunelab.study.papers.head_to_head.cases import METHODS, Setting
from prunelab.study.results import Line, Results, Run


def share(key: str, run: Run) -> float:
    """What is left of the unpruned network on a scale, as a fraction."""
    if key == "seconds":
        return run.values["seconds"] / run.values["whole_seconds"]
    return run.values[key] / run.base.values[key]


# Axis -> heading and measure of a run beside the unpruned one of its seed.
AXES: dict[str, tuple[str, Callable[[Run], float]]] = {
    "macs": ("MACs", partial(share, "macs")),
    "kept": ("parameters", partial(share, "kept")),
    "bytes": ("bytes on disk", partial(share, "bytes")),
    "seconds": ("latency", partial(share, "seconds")),
}
DENSE = ("macs", "seconds")  # on which zeros save nothing


@dataclass(frozen=True)
class Entrant:
    """A method on a network.

    Attributes:
        line: all its runs, each beside the unpruned one of its seed.
        unmeasured: how many of its strengths have no run.
    """

    line: Line
    unmeasured: int


@dataclass(frozen=True)
class Place:
    """A method on an axis: what a line of a table shows.

    Attributes:
        standings: size -> its standing; None = not reached.
        ends: the smallest and the largest share its runs have left; None without runs.
        unmeasured: as `Entrant`.
    """

    standings: Mapping[float, contest.Standing | None]
    ends: tuple[float, float] | None
    unmeasured: int


def entrants(results: Results, preset: str, setting: Setting, axis: str) -> dict[str, Entrant]:
    """Method -> its runs, as `METHODS` orders them; not those that save nothing on the axis."""
    whole = results.line(preset, part="unpruned", network=setting.network)
    found: dict[str, Entrant] = {}
    for line in results.lines(preset, part="methods", network=setting.network):
        if axis in DENSE and line.case.task.task.method.CHOOSES == "weights":
            continue
        runs = tuple(run for run in line.over(whole).runs if run.base is not None)
        before = found.get(line.case.name, Entrant(replace(line, runs=()), 0))
        joined = replace(before.line, runs=before.line.runs + runs)
        found[line.case.name] = Entrant(joined, before.unmeasured + (not runs))
    return {name: found[name] for name in METHODS if name in found}


def places(results: Results, preset: str, setting: Setting, axis: str) -> dict[str, Line]:
    """Method -> its line with its `Place`: the most accurate first, then what is not measured."""
    _, measure = AXES[axis]
    found = entrants(results, preset, setting, axis)
    at: dict[float, dict[str, contest.Standing]] = {}
    for size in setting.sizes[axis]:
        reached = {n: contest.at_size(one.line.runs, measure, size) for n, one in found.items()}
        at[size] = contest.standings({name: entry for name, entry in reached.items() if entry})
    lines = {}
    for name, one in found.items():
        shares = [measure(run) for run in one.line.runs]
        ends = (min(shares), max(shares)) if shares else None
        own = {size: table.get(name) for size, table in at.items()}
        lines[name] = replace(one.line, printed=Place(own, ends, one.unmeasured))
    reaching = [name for table in at.values() for name in table]
    measured = [name for name, line in lines.items() if line.runs]
    return {name: lines[name] for name in dict.fromkeys([*reaching, *measured, *lines])}
