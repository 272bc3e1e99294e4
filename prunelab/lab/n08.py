"""Exercises of notebook 08: sensitivity and budgets."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from prunelab.lab.exercise import Exercise

# Of each layer: ratio -> accuracy that it costs alone, in points; MACs of each are 1 in whole.
Curves = Mapping[str, Mapping[float, float]]


def cost(ratios: Mapping[str, float]) -> float:
    """MACs of a chain a, b, c of layers with 100 each, where each also reads the one before."""
    left = {layer: 1 - ratio for layer, ratio in ratios.items()}
    return 100 * (left["a"] + left["a"] * left["b"] + left["b"] * left["c"])


def best(curves: Curves, budget: float) -> dict[str, float]:
    """The ratios within the budget whose costs in accuracy add up to least."""
    plans = (dict(zip(curves, plan)) for plan in itertools.product(*curves.values()))
    within = [plan for plan in plans if cost(plan) <= budget]
    return min(within, key=lambda plan: sum(curves[k][r] for k, r in plan.items()))


def _same(curves: Curves, budget: float) -> dict[str, float]:
    shared = [r for r in curves["a"] if cost(dict.fromkeys(curves, r)) <= budget]
    return dict.fromkeys(curves, min(shared))


def _smallest(curves: Curves, budget: float) -> dict[str, float]:
    plans = (dict(zip(curves, plan)) for plan in itertools.product(*curves.values()))
    return min(plans, key=cost)


def _careless(curves: Curves, budget: float) -> dict[str, float]:
    return {layer: min(points, key=points.__getitem__) for layer, points in curves.items()}


_CURVES = (
    {
        "a": {0.0: 0, 0.3: 1, 0.6: 9},
        "b": {0.0: 0, 0.3: 0.2, 0.6: 0.5},
        "c": {0.0: 0, 0.3: 3, 0.6: 8},
    },
    {
        "a": {0.0: 0, 0.3: 0.1, 0.6: 0.4},
        "b": {0.0: 0, 0.3: 5, 0.6: 9},
        "c": {0.0: 0, 0.3: 2, 0.6: 7},
    },
)

EXERCISES = (
    Exercise(
        "08-1",
        "what a plan costs",
        cost,
        (
            (
                lambda r: 100 * sum(1 - one for one in r.values()),
                "b also reads fewer channels when a is pruned: the shares multiply",
            ),
            (
                lambda r: 300 * (1 - sum(r.values()) / 3),
                "b also reads fewer channels when a is pruned: the shares multiply",
            ),
            (lambda r: 300 - cost(r), "this is what is saved"),
        ),
        "a reads the image; b reads what is left of a; c what is left of b",
        (({"a": 0.5, "b": 0.0, "c": 0.0},), ({"a": 0.5, "b": 0.5, "c": 0.2},)),
        importance=4,
        minutes=10,
    ),
    Exercise(
        "08-2",
        "the best plan within a budget",
        best,
        (
            (
                _same,
                "one ratio for all is within the budget, but layers differ: spend where it hurts least",
            ),
            (_smallest, "this is the smallest plan; the budget allows a more accurate one"),
            (_careless, "this plan is over the budget"),
        ),
        "try all combinations (there are 27); of those within the budget take the one that costs least accuracy",
        tuple((curves, budget) for curves in _CURVES for budget in (150.0, 220.0)),
        difficulty=4,
        importance=5,
        minutes=20,
    ),
)
