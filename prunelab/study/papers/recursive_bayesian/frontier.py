"""RBP's arms at equal error, each along its own frontier.

The other arm is moved along its frontier to RBP's error. Near its strength, the test error of the
choosing seeds falls by b for each step of the logarithm of the weights w, as least squares give
it. With the weights and errors of a fresh seed, RBP has exp(r) times the weights of the other,

    r = log w_RBP - (log w_other + (e_RBP - e_other) / b)

Intervals are those of r over the fresh seeds; they take b as known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from prunelab.study import counts
from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.papers.recursive_bayesian.cases import ARMS
from prunelab.study.papers.recursive_bayesian.strengths import beta, is_whole, judged, val_error
from prunelab.study.results import Line, Results


def curve(lines: Sequence[Line], error: t.Measure) -> list[tuple[float, float, float]]:
    """(strength, log weights, error) of an arm, the weakest first; means of choosing seeds."""
    return [
        (
            beta(line),
            fmean(math.log(counts.weights(run)) for run in line.runs),
            fmean(error(run) for run in line.runs),
        )
        for line in lines
        if is_whole(line)
    ]


def slope(lines: Sequence[Line], near: float) -> float | None:
    """b: the change of the test error per step of log weights, around a strength.

    Returns:
        None if fewer than two strengths are measured, or if the error does not fall with size.
    """
    points = curve(lines, m.error)
    at = [number for number, point in enumerate(points) if point[0] == near]
    if not at or len(points) < 2:
        return None
    _, sizes, errors = zip(*points[max(0, at[0] - 1) : at[0] + 2])
    found = float(np.polyfit(sizes, errors, 1)[0])
    return found if found < 0 else None


def moved(line: Line, b: float | None) -> list[float]:
    """What RBP has more, r, of each seed."""
    if b is None:
        return []
    return [
        math.log(counts.weights(run) / counts.weights(run.base))
        - (m.error(run) - m.error(run.base)) / b
        for run in line.runs
        if run.base is not None
    ]


@dataclass(frozen=True)
class AtError:
    """The arms at one error; a line of `at_equal_error` has it as its `printed`.

    Attributes:
        kind: of error, in words.
        error: in percent.
        weights: arm -> percent left.
    """

    kind: str
    error: float
    weights: Mapping[str, float]


KINDS = {"validation": val_error, "test": m.error}


def at_equal_error(results: Results, preset: str | None) -> Iterator[Line]:
    """The weights of all arms at the least, the middle and the largest error that all reach.

    Interpolated linearly between strengths, in the logarithm of the weights, on the means of the
    seeds that choose. Where a stronger penalty gave a smaller error, the error before it counts.
    """
    chosen = list(judged(results, preset))
    for line in results.lines(preset, part="arms", name=ARMS[0]):
        own = [one for one in chosen if one.case.network == line.case.network]
        runs = tuple(run for one in own if is_whole(one) for run in one.runs)
        for kind, error in KINDS.items():
            arms = {arm: curve([o for o in own if o.case.name == arm], error) for arm in ARMS}
            if min(map(len, arms.values())) < 2:
                continue
            reached = {arm: np.maximum.accumulate([e for *_, e in arms[arm]]) for arm in ARMS}
            low = max(errors[0] for errors in reached.values())
            high = min(errors[-1] for errors in reached.values())
            for level in (low, (low + high) / 2, high) if low < high else ():
                left = {
                    arm: math.exp(np.interp(level, reached[arm], [w for _, w, _ in arms[arm]]))
                    for arm in ARMS
                }
                yield replace(line, runs=runs, printed=AtError(kind, float(level), left))
