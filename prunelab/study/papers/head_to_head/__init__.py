"""Head to head: every method at equal sizes; `cases` are what is run, `places` who stands where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd

from prunelab.study import contest
from prunelab.study import tables as t
from prunelab.study.cells import DASH, Number, Text
from prunelab.study.papers.head_to_head.cases import METHODS, SETTINGS, STEM, Setting, cases
from prunelab.study.papers.head_to_head.places import AXES, DENSE, Place, entrants, places
from prunelab.study.results import Line, Results
from prunelab.study.study import Study

__all__ = ["AXES", "METHODS", "SETTINGS", "STUDY", "findings", "name_of", "points", "ranks"]


def name_of(setting: Setting) -> str:
    """A network in words."""
    return f"{setting.network.model} on {setting.network.data}"


def title_of(preset: str, setting: Setting, axis: str) -> str:
    """Of a table."""
    where = f"At equal {AXES[axis][0]}, {name_of(setting)}"
    return f"{where}; ± is an uncorrected 95% interval (preset {preset})"


def _lines(
    preset: str, setting: Setting, axis: str, results: Results, _: str | None
) -> Iterable[Line]:
    found = places(results, preset, setting, axis).values()
    return found if any(line.runs for line in found) else ()


def _rank(standing: contest.Standing) -> str:
    if standing.rank is None:
        return DASH
    one = standing.rank == standing.last
    return str(standing.rank) if one else f"{standing.rank} to {standing.last}"


def _accuracy(line: Line, place: Place, size: float) -> Any:
    if (standing := place.standings[size]) is not None:
        return Number(100 * standing.accuracy, rows=line.keys)
    if place.ends is None or place.unmeasured:
        return line.missing
    low, high = (100 * end for end in place.ends)
    return Text(f"not reached: {low:.0f} to {high:.0f}%", rows=line.keys)


def _behind(line: Line, standing: contest.Standing) -> Any:
    if standing.behind is None:
        return "best"
    found = standing.behind
    fewer = len({run.seed for run in line.runs}) > found.seeds
    text = f"{100 * found.mean:.2f} ± {100 * found.half:.2f}"
    return Text(text + (f" ({found.seeds} seeds)" if fewer else ""), rows=line.keys)


def _column(size: float, name: str, make: Callable[[Line, Place, float], Any]) -> t.Column:
    return t.Column(f"{100 * size:.0f}%: {name}", lambda line: make(line, line.printed, size))


def _where_placed(make: Callable[[Line, contest.Standing], Any]):
    def cell(line: Line, place: Place, size: float) -> Any:
        standing = place.standings[size]
        return DASH if standing is None else make(line, standing)

    return cell


def _table(preset: str, setting: Setting, axis: str) -> t.Table:
    columns = [t.of_case("name", "method")]
    for size in setting.sizes[axis]:
        columns += [
            _column(size, "rank", _where_placed(lambda _, standing: _rank(standing))),
            _column(size, "accuracy %", _accuracy),
            _column(size, "points behind", _where_placed(_behind)),
        ]
    columns.append(t.Column("seeds", lambda line: len({run.seed for run in line.runs})))
    title, lines = title_of(preset, setting, axis), partial(_lines, preset, setting, axis)
    shown = {} if preset == "standard" else {preset: preset}
    return t.Table(title, lines, tuple(columns), preset=preset, presets=shown)


STUDY = Study(
    STEM,
    cases,
    tuple(
        _table(preset, setting, axis)
        for preset in ("standard", "quick", "smoke")
        for setting in SETTINGS[preset]
        for axis in AXES
    ),
)


def points(rows: Iterable[dict], preset: str) -> pd.DataFrame:
    """All runs: network, method, setting, seed, error, and the percent left on each axis."""
    results, found = STUDY.results(rows), []
    for setting in SETTINGS[preset]:
        dense = entrants(results, preset, setting, "macs")
        for name, one in entrants(results, preset, setting, "bytes").items():
            for run in one.line.runs:
                known = [axis for axis in AXES if axis not in DENSE or name in dense]
                row = {"network": name_of(setting), "method": name, "seed": run.seed}
                row |= {"setting": run.case.setting, "error": 1 - run.values["accuracy"]}
                found.append(row | {f"{axis}_pct": 100 * AXES[axis][1](run) for axis in known})
    columns = ["network", "method", "setting", "seed", "error", *(f"{a}_pct" for a in AXES)]
    return pd.DataFrame(found, columns=columns)


def ranks(rows: Iterable[dict], preset: str) -> pd.DataFrame:
    """All standings: network, axis, size, rank, method, accuracy, behind, half, ties, seeds.

    `rank` is text, as in the tables.
    """
    results, found = STUDY.results(rows), []
    for setting in SETTINGS[preset]:
        for axis in AXES:
            for name, line in places(results, preset, setting, axis).items():
                for size, s in line.printed.standings.items():
                    if s is not None:
                        behind = (s.behind.mean, s.behind.half) if s.behind else (0.0, 0.0)
                        where = (name_of(setting), f"{axis}_pct", size, _rank(s), name, s.accuracy)
                        found.append((*where, *behind, ", ".join(s.ties), s.seeds))
    columns = "network axis size rank method accuracy behind half ties seeds".split()
    table = pd.DataFrame(found, columns=columns)
    return table.sort_values("accuracy", ascending=False, kind="stable", ignore_index=True)


def findings(rows: Iterable[dict], preset: str, axis: str = "macs") -> list[str]:
    """Of each network and size: who is ahead, what is proved, what is missing."""
    results, out = STUDY.results(rows), []
    for setting in SETTINGS[preset]:
        found = places(results, preset, setting, axis)
        if not any(line.runs for line in found.values()):
            out.append(f"{name_of(setting)}: not measured; `{STUDY.command(preset)}` measures it.")
            continue
        for size in setting.sizes[axis]:
            head = f"{name_of(setting)}, {100 * size:.0f}% of the {AXES[axis][0]}"
            out.append(f"{head}: {'. '.join(_sentences(found, size))}.")
    return out


def _sentences(found: Mapping[str, Line], size: float) -> Iterator[str]:
    at = {name: line.printed.standings[size] for name, line in found.items()}
    there = sorted(filter(at.get, at), key=lambda name: -at[name].accuracy)
    lacking = {name for name in at if at[name] is None and found[name].printed.unmeasured}
    if there:
        best, *others = there
        accuracy = f"{100 * at[best].accuracy:.2f}%"
        if not others:
            yield f"{best} alone reaches it, with {accuracy}"
        else:
            yield f"{best} has the highest accuracy, {accuracy}, of {len(there)} methods"
            behind = at[others[-1]].behind
            points = f"{100 * behind.mean:.2f} ± {100 * behind.half:.2f} points"
            yield f"{others[-1]} has the lowest, {points} behind (95%, uncorrected)"
        if at[best].seeds == 1:
            yield "One seed decides nothing, so there are no ranks"
        elif others:
            beaten = [name for name in others if name not in at[best].ties]
            names = f" ({', '.join(beaten)})" if beaten else ""
            yield f"{best} is proved better than {len(beaten)} of {len(others)} others{names}"
    if short := [name for name in METHODS if name in {*at} - {*there} - lacking]:
        yield f"This size is not reached by {', '.join(short)}"
    if lacking:
        yield f"Not measured: {', '.join(name for name in METHODS if name in lacking)}"
