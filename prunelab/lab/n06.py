"""Exercises of notebook 06: comparing methods."""

import math
from collections.abc import Sequence

from prunelab.lab.exercise import Exercise


def between(size: float, one: tuple[float, float], other: tuple[float, float]) -> float:
    """Accuracy at a size, linear in its logarithm, between two points (size, accuracy)."""
    share = math.log(size / one[0]) / math.log(other[0] / one[0])
    return one[1] + share * (other[1] - one[1])


def holm(values: Sequence[float]) -> list[float]:
    """Adjusted p-values: the smallest times n, the next times n - 1, ..., never falling, at most 1."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found, largest = [0.0] * len(values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - place) * values[index]))
        found[index] = largest
    return found


def _steps(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    return [min(1.0, (len(values) - order.index(k)) * v) for k, v in enumerate(values)]


def _share(size: float, one: tuple[float, float], other: tuple[float, float]) -> float:
    return (size - one[0]) / (other[0] - one[0])


EXERCISES = (
    Exercise(
        "06-1",
        "accuracy at a size that no network has",
        between,
        (
            (
                lambda s, a, b: a[1] + _share(s, a, b) * (b[1] - a[1]),
                "this is linear in the size; ours is linear in its logarithm",
            ),
            (
                lambda s, a, b: b[1] + a[1] - between(s, a, b),
                "at the first point's size it must give the first point's accuracy",
            ),
            (
                lambda s, a, b: (a[1] + b[1]) / 2,
                "the accuracy depends on where the size lies between the two",
            ),
        ),
        "what share of the way from log a to log b is log size?",
        (
            (30.0, (20.0, 90.0), (60.0, 96.0)),
            (10.0, (5.0, 80.0), (20.0, 84.0)),
            (5.0, (5.0, 1.0), (9.0, 2.0)),
        ),
    ),
    Exercise(
        "06-2",
        "Holm's correction",
        holm,
        (
            (
                lambda p: [min(1.0, len(p) * v) for v in p],
                "this is Bonferroni's: Holm multiplies the next ones by less",
            ),
            (
                _steps,
                "an adjusted value never falls below that of a smaller p: take the largest so far",
            ),
            (lambda p: [*p], "with so many comparisons some are small by chance: correct them"),
        ),
        "sort; the smallest times n, the next times n - 1, and so on; then never falling, and at most 1",
        (
            ([0.01, 0.04, 0.03],),
            ([0.2, 0.001, 0.5, 0.02],),
            ([0.03, 0.02, 0.025],),
            ([0.6, 0.7, 0.02, 0.9],),
        ),
        difficulty=4,
        minutes=15,
    ),
    Exercise(
        "06-3",
        "how many pairs differ by chance",
        lambda: 16 * 15 / 2 * 0.05,
        (
            (lambda: 16 * 0.05, "pairs are compared, and 16 methods make 120 of them"),
            (lambda: 16 * 15 * 0.05, "each pair counts once"),
            (lambda: 120, "these are all pairs; 5% of them fall below 0.05 by chance"),
        ),
        "5% of all pairs of 16 methods",
        minutes=3,
        difficulty=1,
    ),
)
