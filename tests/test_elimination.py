"""Elimination: exact on every shape of neighbours, against trying every combination."""

import itertools

import numpy as np
import pytest

from prunelab.sensitivity.elimination import Elimination

SHAPES = {
    "apart": [],
    "chain": [(0, 1), (1, 2), (2, 3), (3, 4)],
    "star": [(0, 2), (1, 2), (2, 3), (2, 4)],
    "ring": [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)],
    "complete": list(itertools.combinations(range(5), 2)),
    "two parts": [(0, 3), (1, 2), (2, 4), (1, 4)],
}


@pytest.mark.parametrize("scale", [1, 10**14])  # the larger one does not fit 64 bits as it is
@pytest.mark.parametrize("shape", SHAPES)
def test_elimination_is_exact_on_every_shape_of_neighbours(shape, scale):
    rng = np.random.default_rng(len(shape))
    for _ in range(12):
        sizes = rng.integers(1, 5, 5)
        losses = [rng.integers(-5, 30, n) * (1000 if scale > 1 else 1) for n in sizes]
        costs = [rng.integers(-3, 20, n) * scale for n in sizes]
        pairs = {
            (v, w): rng.integers(-3, 20, (sizes[v], sizes[w])) * scale for v, w in SHAPES[shape]
        }
        problem = Elimination(losses, costs, pairs)
        every = [(problem.loss(x), problem.cost(x)) for x in itertools.product(*map(range, sizes))]
        low, high = min(c for _, c in every), max(c for _, c in every)
        assert problem.cost(problem.cheapest()) == low
        for budget in (low, low + (high - low) // 3, low + (high - low) // 2, high, high + 9**30):
            picks = problem.best(budget)
            best = min((loss, c) for loss, c in every if c <= budget)
            assert (problem.loss(picks), problem.cost(picks)) == best
