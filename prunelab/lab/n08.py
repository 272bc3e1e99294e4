"""Exercises of notebook 08: sensitivity and budgets."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache

import numpy as np
import pandas as pd

from prunelab.lab.exercise import Exercise
from prunelab.widgets.exploring.recorded import curves, shipped

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


def _greedy(curves: Curves, budget: float) -> dict[str, float]:
    """Step by step the one that costs least accuracy for what it saves."""
    plan = {layer: min(points) for layer, points in curves.items()}
    while cost(plan) > budget:
        steps = [
            plan | {k: min(r for r in curves[k] if r > plan[k])} for k in plan if plan[k] < 0.6
        ]
        plan = min(steps, key=lambda one: _price(curves, plan, one))
    return plan


def _price(curves: Curves, before: Mapping[str, float], after: Mapping[str, float]) -> float:
    lost = sum(curves[k][after[k]] - curves[k][before[k]] for k in curves)
    return lost / (cost(before) - cost(after))


@cache
def pictured() -> dict[str, pd.Series]:
    """Of the recorded LeNet-5: accuracy by share removed, both in percent, of each layer."""
    scan = curves(shipped()[0])
    layers = scan.assign(removed=100 * scan.ratio, seen=100 * scan.accuracy).groupby("group")
    return {name: part.set_index("removed").seen for name, part in layers}


def falls(layer: str, level: float = 90.0) -> float:
    """The share removed, in percent, at which the line of a layer crosses this accuracy."""
    curve = pictured()[layer]
    last = int(np.flatnonzero(curve < level)[0])  # the first point below
    (x0, x1), (y0, y1) = curve.index[last - 1 : last + 1], curve.iloc[last - 1 : last + 1]
    return float(x0 + (x1 - x0) * (y0 - level) / (y0 - y1))


def read() -> dict[str, float]:
    """What the picture of the recorded curves shows."""
    lines = {name: curve.rename(round) for name, curve in pictured().items()}
    return {
        "accuracy": lines["conv1"][60],
        "removed": falls("conv2"),
        "gap": lines["fc1"][80] - lines["conv1"][80],
    }


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

# Here the first step of a costs much, and its second one almost nothing.
_STEEP = {
    "a": {0.0: 0, 0.3: 5.7, 0.6: 6.4},
    "b": {0.0: 0, 0.3: 2.1, 0.6: 3.0},
    "c": {0.0: 0, 0.3: 0.3, 0.6: 1.5},
}

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
                lambda r: cost(r) - 100 * r["a"] * (1 - r["b"]) * (1 - r["c"]),
                "c reads b alone: what a loses does not reach it",
            ),
            (lambda r: 300 - cost(r), "this is what is saved"),
        ),
        "a reads the image; b reads what is left of a; c what is left of b",
        (({"a": 0.5, "b": 0.0, "c": 0.0},), ({"a": 0.5, "b": 0.3, "c": 0.2},)),
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
            (
                _greedy,
                "step by step is not the best: a dear first step may open a cheap second; compare whole plans",
            ),
        ),
        "try all combinations (there are 27); of those within the budget take the one that costs least accuracy",
        (
            *((curves, budget) for curves in _CURVES for budget in (150.0, 220.0)),
            (_STEEP, 130.0),
        ),
        difficulty=4,
        importance=5,
        minutes=20,
    ),
    Exercise(
        "08-3",
        "read a picture",
        read,
        (
            (
                lambda: {name: value / 100 for name, value in read().items()},
                "both axes are in percent",
            ),
            (
                lambda: read() | {"accuracy": pictured()["fc1"].iloc[5]},
                "'accuracy': this is the curve of another layer; the legend says which is conv1",
            ),
            (
                lambda: read() | {"removed": falls("conv1")},
                "'removed': this is where conv1 falls below 90%; follow conv2",
            ),
            (
                lambda: read() | {"removed": 100 - falls("conv2")},
                "'removed': this is the share that stays; the axis says what goes",
            ),
            (
                lambda: read() | {"gap": pictured()["conv1"].iloc[7]},
                "'gap': this is an accuracy; how far apart are the two curves?",
            ),
        ),
        "go up from the share removed to the curve, then left to the axis; 3 points either way do",
        difficulty=1,
        importance=4,
        minutes=5,
        within=3.0,
    ),
)
