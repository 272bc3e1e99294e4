"""Contest: methods at one size, each interpolated along its own frontier, and what is proved.

Of one method and seed the networks of several sizes make a frontier. At a size in between, each
image counts as right to the degree that the two neighbours have it right, linearly in the logarithm
of the size:  c_i = (1 - w) a_i + w b_i.  Two methods are then compared image by image and seed by
seed. With the mean difference d_i of an image over S seeds, and D_s of a seed over N images,

    D = mean d_i,    SE^2 = var(d_i) / N + var(D_s) / S

so that both another test set and other seeds could have given another D. P-values are those of
Student's t with Satterthwaite's degrees of freedom, and all pairs at one size are corrected
together by Holm. One seed says nothing about other seeds: such a pair has no p-value, and its
interval is of the test images alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import t as student

from prunelab.masks import unpacked
from prunelab.study.results import Run

LEVEL = 0.05


@dataclass(frozen=True)
class Entry:
    """A method at one size.

    Attributes:
        correct: (S, N) to which degree each seed has each test image right.
        seeds: of these.
    """

    correct: np.ndarray
    seeds: tuple[int, ...]

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())


def at_size(runs: Sequence[Run], size: Callable[[Run], float], target: float) -> Entry | None:
    """A method at a size, over the seeds whose frontier reaches it; None if there is none.

    Args:
        runs: of one method.
        size: run -> its size.
        target: the size.
    """
    found = {}
    for seed in sorted({run.seed for run in runs}):
        own = sorted((size(run), run) for run in runs if run.seed == seed)
        if (seen := _between(own, target)) is not None:
            found[seed] = seen
    return Entry(np.stack([*found.values()]), tuple(found)) if found else None


def _between(own: Sequence[tuple[float, Run]], target: float) -> np.ndarray | None:
    """(N,) of one seed; sizes are those of its runs, rising."""
    for (low, small), (high, large) in zip(own, own[1:]):
        if low <= target <= high:
            share = math.log(target / low) / math.log(high / low) if high > low else 0.0
            ends = [unpacked(run.values["correct"]).astype(float) for run in (small, large)]
            return (1 - share) * ends[0] + share * ends[1]
    return None


@dataclass(frozen=True)
class Difference:
    """Of the accuracies of two methods.

    Attributes:
        mean: fraction.
        half: of its 95% interval, before any correction.
        p: its p-value, before any correction; None of one seed.
        seeds: how many both have.
    """

    mean: float
    half: float
    p: float | None
    seeds: int


def difference(a: Entry, b: Entry) -> Difference | None:
    """How `a` differs from `b`; None if they have no seed in common."""
    both = [seed for seed in a.seeds if seed in b.seeds]
    if not both:
        return None
    rows = [[entry.seeds.index(seed) for seed in both] for entry in (a, b)]
    each = a.correct[rows[0]] - b.correct[rows[1]]
    seeds, images = each.shape
    parts = [(each.mean(0).var(ddof=1) / images, images - 1)]
    if seeds > 1:
        parts.append((each.mean(1).var(ddof=1) / seeds, seeds - 1))
    variance = sum(part for part, _ in parts)
    mean, half, p = float(each.mean()), 0.0, float(each.mean() == 0)
    if variance > 0:
        free = variance**2 / sum(part**2 / df for part, df in parts)
        error = math.sqrt(variance)
        half = float(student.ppf(0.975, free)) * error
        p = float(2 * student.sf(abs(mean) / error, free))
    return Difference(mean, half, p if seeds > 1 else None, seeds)


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for their number. Source: Holm 1979."""
    order, out, worst = np.argsort(p, kind="stable"), [0.0] * len(p), 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - rank) * p[index]))
        out[index] = worst
    return out


@dataclass(frozen=True)
class Standing:
    """A method among others at one size.

    Attributes:
        rank: 1 + how many methods are proved better; None if it shares two seeds with no other.
        last: its rank if all that are not told apart from it were better; None as `rank`.
        accuracy: mean over seeds and images.
        behind: difference from the most accurate method, None for that one.
        ties: methods that are neither proved better nor proved worse.
        seeds: of the method.
    """

    rank: int | None
    last: int | None
    accuracy: float
    behind: Difference | None
    ties: tuple[str, ...]
    seeds: int


def standings(entries: Mapping[str, Entry]) -> dict[str, Standing]:
    """Method -> standing, the most accurate first; pairs with one common seed prove nothing."""
    names = sorted(entries, key=lambda name: -entries[name].accuracy)
    pairs = {pair: difference(*(entries[n] for n in pair)) for pair in combinations(names, 2)}
    tested = {pair: d for pair, d in pairs.items() if d is not None and d.p is not None}
    proved = {
        pair
        for pair, p in zip(tested, holm([found.p for found in tested.values()]))
        if p < LEVEL and tested[pair].mean > 0
    }
    ranked = {name for pair in tested for name in pair}

    def standing(name: str) -> Standing:
        better = sum((other, name) in proved for other in names)
        worse = sum((name, other) in proved for other in names)
        own = {other for pair in {*pairs} - proved if name in pair for other in pair}
        return Standing(
            1 + better if name in ranked else None,
            len(names) - worse if name in ranked else None,
            entries[name].accuracy,
            pairs.get((names[0], name)),
            tuple(other for other in names if other != name and other in own),
            len(entries[name].seeds),
        )

    return {name: standing(name) for name in names}
