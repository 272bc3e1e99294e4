"""IntegerProgram: exact on every shape of neighbours, against trying every combination."""

import itertools

import numpy as np
import pytest

from prunelab.sensitivity.budget.integer_program import IntegerProgram

SHAPES = {
    "apart": [],
    "chain": [(0, 1), (1, 2), (2, 3), (3, 4)],
    "star": [(0, 2), (1, 2), (2, 3), (2, 4)],
    "ring": [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)],
    "complete": list(itertools.combinations(range(5), 2)),
    "two parts": [(0, 3), (1, 2), (2, 4), (1, 4)],
}


@pytest.mark.parametrize("scale", [1, 10**7])  # VGG-16 on ImageNet has 1.5e10 MACs
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_exact_on_every_shape_of_neighbours(shape, scale):
    rng = np.random.default_rng(len(shape))
    for _ in range(4):
        sizes = rng.integers(1, 5, 5)
        losses = [rng.integers(-5, 30, n) for n in sizes]
        kept = [rng.permutation(40)[:n] for n in sizes]
        costs = [rng.integers(-3, 20, n) * scale + (scale > 1) for n in sizes]
        pairs = {pair: int(rng.integers(-1, 3)) * scale for pair in SHAPES[shape]}
        program = IntegerProgram(losses, kept, costs, pairs)
        every = [(program.loss(x), program.cost(x)) for x in itertools.product(*map(range, sizes))]
        low, high = min(c for _, c in every), max(c for _, c in every)
        assert program.cost(program.cheapest()) == low
        assert program.best(low - 1) is None
        for budget in (low, low + (high - low) // 3, low + (high - low) // 2, high, 9**30):
            picks = program.best(budget)
            best = min((loss, c) for loss, c in every if c <= budget)
            assert (program.loss(picks), program.cost(picks)) == best
