"""RBP beside its other arms: at the strengths that a rule takes, and at equal error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from scipy.stats import t as student

from prunelab.study import counts
from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.contest import holm
from prunelab.study.papers.recursive_bayesian.cases import ARMS
from prunelab.study.papers.recursive_bayesian.frontier import moved, slope
from prunelab.study.papers.recursive_bayesian.strengths import judged, limit, setting_of
from prunelab.study.results import Line, Results

OTHERS = ARMS[1:]
WEIGHTS, MACS, ERROR = "weights, points", "MACs, points", "test error, points"
EQUAL = "weights at equal error"  # r of `frontier`


@dataclass(frozen=True)
class Beside:
    """RBP beside another arm, with fresh seeds: what a line of `paired` has as its `printed`.

    Attributes:
        limits: arm -> why its strength is not the one that the rule takes.
        values: measure -> RBP less the other, of each seed; of `EQUAL`, r.
        p: measure -> p-value by Student's t, corrected for the number of arms by Holm.
    """

    limits: Mapping[str, str]
    values: Mapping[str, list[float]]
    p: Mapping[str, float]


SIZES = {WEIGHTS: counts.weights, MACS: counts.macs, ERROR: m.error}


def paired(results: Results, preset: str | None) -> Iterator[Line]:
    """RBP beside each other arm, seed by seed, with fresh seeds only; the note names the other."""
    chosen = list(judged(results, preset))
    for line in results.lines(preset, part="arms", name=ARMS[0]):
        setting = setting_of(line)
        own = [one for one in chosen if one.case.network == line.case.network]
        arms = {arm: [one for one in own if one.case.name == arm] for arm in ARMS}
        limits = {arm: limit(arms[arm], setting.taken[arm]) for arm in ARMS if setting.grid}
        fresh = replace(line, runs=tuple(run for run in line.runs if run.seed >= setting.seen))
        lines = {}
        for other in OTHERS:
            base = results.line(preset, part="arms", name=other, network=line.case.network)
            one = fresh.over(base)
            values = {name: difference(measure)(one) for name, measure in SIZES.items()}
            values[EQUAL] = moved(one, slope(arms[other], setting.taken[other]))
            between = {arm: limits[arm] for arm in (ARMS[0], other) if limits.get(arm)}
            lines[other] = replace(one, note=other, printed=Beside(between, values, {}))
        yield from _corrected(list(lines.values()))


def _corrected(lines: list[Line]) -> Iterator[Line]:
    """The lines of one network, each with its p-values; an arm without runs counts too."""
    names = (*SIZES, EQUAL)
    found = {name: holm([p_value(line.printed.values[name]) for line in lines]) for name in names}
    for number, line in enumerate(lines):
        p = {name: values[number] for name, values in found.items()}
        yield replace(line, printed=replace(line.printed, p=p))


def difference(measure: t.Measure) -> Callable[[Line], list[float]]:
    """A function from a line to the differences of its runs from their bases."""
    return lambda line: [measure(r) - measure(r.base) for r in line.runs if r.base is not None]


def p_value(values: Sequence[float]) -> float:
    """That the mean is 0, by Student's t; 1 of fewer than two values."""
    if len(values) < 2:
        return 1.0
    middle, error = fmean(values), stdev(values) / math.sqrt(len(values))
    if error == 0:
        return 1.0 if middle == 0 else 0.0
    return float(2 * student.sf(abs(middle) / error, len(values) - 1))
