"""Ledger rows of RBP's arms on LeNet-300-100, as they would be measured."""

import math
from functools import cache

from helpers.studies import row_of

from prunelab.study.papers.recursive_bayesian import SETTINGS, STUDY

SEEDS = tuple(range(7))
LENET = SETTINGS["paper"][0]
OK, NOT = (1 - (LENET.allowed + shift) / 100 for shift in (-1e-4, 0.1))  # validation accuracy


@cache
def _recipes():
    return STUDY.recipes("paper", SEEDS)


def row(part, arm, seed, widths, error, val=0.98, beta=None):
    """Of LeNet-300-100 on MNIST."""
    (recipe,) = (
        recipe
        for recipe in _recipes()[part]
        if recipe.seed == seed and recipe.model == LENET.model and recipe.label.startswith(arm)
        and beta in (None, recipe.task.method.beta)
    )  # fmt: skip
    named = dict(zip(("fc1.inputs", "fc1", "fc2"), widths))
    history = [{"val_accuracy": val, "epoch": 1, "step": 1}]
    return row_of(recipe, {"widths": named, "accuracy": 1 - error / 100, "history": history})


def fresh(forward, other, seeds=range(5), name="at once"):
    """Rows of two arms at their strengths, whose lists bind; each (widths, error)."""
    rows = []
    for arm, (widths, error) in (("forward", forward), (name, other)):
        for seed in seeds:
            shifted = tuple(w + seed % 2 for w in widths)
            rows.append(row("arms", arm, seed, shifted, error + 0.1 * (seed % 2), OK))
        strong = LENET.grid[LENET.grid.index(LENET.taken[arm]) + 1]
        rows += [row("candidates", arm, s, (9, 9, 9), error + 1, NOT, strong) for s in (0, 1)]
    return rows


def frontier(arm, times, fall=-0.5):
    """Rows of an arm whose error changes by `fall` per step of log weights.

    It has `times` the weights of another one at equal error. Its list binds.
    """
    rows = []
    for beta, width in zip(LENET.grid, (300, 250, 200, 150, 100)):
        shown, right = beta == LENET.taken[arm], OK if beta <= LENET.taken[arm] else NOT
        for seed in range(5 if shown else 2):
            weights = (width + seed) * 100 + 100 * 50 + 50 * 10
            error = 8 + fall * math.log(weights / times)
            part = "arms" if shown else "candidates"
            rows.append(row(part, arm, seed, (width + seed, 100, 50), error, right, beta))
    return rows
