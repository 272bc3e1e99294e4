"""Head to head: every method at equal sizes; `cases` says what is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd

from prunelab.study import contest
from prunelab.study import tables as t
from prunelab.study.cells import DASH, Number, Text
from prunelab.study.papers.head_to_head.cases import SETTINGS, STEM, Setting, cases
from prunelab.study.results import Line, Results, Run
from prunelab.study.study import Study

__all__ = ["SETTINGS", "STUDY", "findings", "points", "ranks"]

WORDS = {"standard": "preset standard", "quick": "preset quick", "smoke": "preset smoke"}


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


def name_of(setting: Setting) -> str:
    """A network in words."""
    return f"{setting.network.model} on {setting.network.data}"


def contestants(
    results: Results, preset: str | None, setting: Setting, axis: str
) -> dict[str, Line]:
    """Method -> all its runs on a network, beside the unpruned one of their seed."""
    whole = results.line(preset, part="unpruned", network=setting.network)
    found: dict[str, Line] = {}
    for line in results.lines(preset, part="methods", network=setting.network):
        if axis in DENSE and line.case.task.task.method.CHOOSES == "weights":
            continue
        before = found.get(line.case.name, replace(line, runs=()))
        runs = tuple(run for run in line.over(whole).runs if run.base is not None)
        found[line.case.name] = replace(before, runs=before.runs + runs)
    return found


@dataclass(frozen=True)
class At:
    """A method at one size: what a line of a table shows."""

    network: str
    size: float
    standing: contest.Standing | None
    reached: str


def standings(axis: str, results: Results, preset: str | None) -> Iterator[Line]:
    """Each network and size: the methods in order, then those that do not reach it."""
    _, measure = AXES[axis]
    for setting in SETTINGS[preset]:
        lines = contestants(results, preset, setting, axis)
        where = name_of(setting)
        for size in setting.sizes:
            at = {name: contest.at_size(one.runs, measure, size) for name, one in lines.items()}
            reached = {name: entry for name, entry in at.items() if entry}
            for name, standing in contest.standings(reached).items():
                yield replace(lines[name], printed=At(where, size, standing, ""))
            for name, line in lines.items():
                if name not in reached and line.runs:
                    ends = [100 * measure(run) for run in line.runs]
                    words = f"not reached: {min(ends):.0f} to {max(ends):.0f}%"
                    yield replace(line, printed=At(where, size, None, words))


def _accuracy(line: Line) -> Number | str:
    standing = line.printed.standing
    if standing is None:
        return line.printed.reached
    return Number(100 * standing.accuracy, rows=line.keys)


def _cell(make: Callable[[contest.Standing, Line], object], otherwise: object = DASH):
    def cell(line: Line) -> object:
        standing = line.printed.standing
        return otherwise if standing is None else make(standing, line)

    return cell


def _behind(standing: contest.Standing, line: Line) -> Text | str:
    if standing.behind is None:
        return "the best"
    found = standing.behind
    return Text(f"{100 * found.mean:.2f} ± {100 * found.half:.2f}", rows=line.keys)


def _table(axis: str) -> t.Table:
    heading, _ = AXES[axis]
    columns = (
        t.Column("network", lambda line: line.printed.network),
        t.Column(f"{heading} left", lambda line: f"{100 * line.printed.size:.0f}%"),
        t.Column("rank", _cell(lambda s, _: str(s.rank))),
        t.of_case("name", "method"),
        t.Column("accuracy %", _accuracy),
        t.Column("points behind the best (95% interval)", _cell(_behind)),
        t.Column("not told apart from", _cell(lambda s, _: ", ".join(s.ties) or "none")),
        t.Column("seeds", _cell(lambda s, _: s.seeds, 0)),
    )
    title = f"At equal {heading} ({{}})"
    return t.Table(title, partial(standings, axis), columns, presets=WORDS)


STUDY = Study(STEM, cases, tuple(_table(axis) for axis in ("macs", "bytes")))


def points(rows: Iterable[dict], preset: str) -> pd.DataFrame:
    """All runs: network, method, setting, seed, error, and the percent left on each axis."""
    results, found = STUDY.results(rows), []
    for setting in SETTINGS[preset]:
        dense = contestants(results, preset, setting, "macs")
        for line in contestants(results, preset, setting, "bytes").values():
            for run in line.runs:
                known = [a for a in AXES if a not in DENSE or run.case.name in dense]
                one = {"network": name_of(setting), "method": run.case.name, "seed": run.seed}
                one |= {"setting": run.case.setting, "error": 1 - run.values["accuracy"]}
                found.append(one | {f"{a}_pct": 100 * AXES[a][1](run) for a in known})
    columns = ["network", "method", "setting", "seed", "error", *(f"{a}_pct" for a in AXES)]
    return pd.DataFrame(found, columns=columns)


def ranks(rows: Iterable[dict], preset: str) -> pd.DataFrame:
    """All standings: network, axis, size, rank, method, accuracy, behind, half, ties, seeds."""
    results, found = STUDY.results(rows), []
    for axis in AXES:
        for line in standings(axis, results, preset):
            at, name = line.printed, line.case.name
            if (s := at.standing) is not None:
                behind = (s.behind.mean, s.behind.half) if s.behind else (0.0, 0.0)
                where = (at.network, f"{axis}_pct", at.size, s.rank, name, s.accuracy)
                found.append((*where, *behind, ", ".join(s.ties), s.seeds))
    columns = "network axis size rank method accuracy behind half ties seeds".split()
    return pd.DataFrame(found, columns=columns)


def findings(rows: Iterable[dict], preset: str, axis: str = "macs") -> list[str]:
    """A sentence for each network and size: who leads, by how much, and what is proved."""
    results, out = STUDY.results(rows), []
    heading, _ = AXES[axis]
    lines = [line for line in standings(axis, results, preset) if line.printed.standing]
    for where, size in dict.fromkeys((line.printed.network, line.printed.size) for line in lines):
        own = [one for one in lines if (one.printed.network, one.printed.size) == (where, size)]
        first, *others = own
        head, top = first.case.name, first.printed.standing
        text = f"{where}, {100 * size:.0f}% of the {heading}: {head} leads with"
        text += f" {100 * top.accuracy:.2f}%"
        if others:
            last = others[-1]
            found = last.printed.standing.behind
            text += (
                f"; {last.case.name} is last, {100 * found.mean:.2f} ± {100 * found.half:.2f}"
                " points behind"
            )
        beaten = [one.case.name for one in others if one.case.name not in top.ties]
        text += f". It is proved better than {len(beaten)} of {len(others)} others"
        out.append(text + (f" ({', '.join(beaten)})." if beaten else "."))
    return out
