"""Exercises of notebook 01: filter pruning by norm."""

import math

import torch
from torch import Tensor

from prunelab.lab.exercise import Exercise


def kept(filters: int, ratio: float) -> int:
    """As PFEC keeps: floor((1 - p) n), guarded against 0.1 + 0.2."""
    return math.floor((1 - ratio) * filters + 1e-9)


def greedy(weight: Tensor, gone: Tensor) -> Tensor:
    """Norms without the kernels whose input channel was removed before."""
    return weight[:, ~gone].abs().sum((1, 2, 3))


_G = torch.Generator().manual_seed(0)
_W = tuple(torch.randn(size, generator=_G) for size in ((4, 3, 3, 3), (5, 2, 5, 5)))
_GONE = tuple(torch.tensor(mask) for mask in ([True, False, False], [False, True]))

EXERCISES = (
    Exercise(
        "01-1",
        "how many filters stay",
        kept,
        (
            (
                lambda n, p: round((1 - p) * n),
                "the paper rounds down what is kept: try 128 filters at 0.6",
            ),
            (
                lambda n, p: n - math.floor(p * n + 1e-9),
                "this rounds down what goes; the paper, what is kept",
            ),
            (
                lambda n, p: math.floor(p * n + 1e-9),
                "p is the share that goes, not the share that stays",
            ),
        ),
        "print (1 - p) n for a case that differs: is it what it should be, to the last digit?",
        ((128, 0.6), (64, 0.5), (10, 0.9), (37, 0.3), (512, 0.75)),
        importance=4,
    ),
    Exercise(
        "01-2",
        "the score of a filter",
        lambda weight: weight.abs().sum((1, 2, 3)),
        (
            (
                lambda weight: weight.sum((1, 2, 3)),
                "positive and negative weights cancel: take absolute values",
            ),
            (
                lambda weight: weight.abs().sum((0, 2, 3)),
                "axis 0 counts filters, axis 1 the channels they read",
            ),
            (
                lambda weight: weight.square().sum((1, 2, 3)).sqrt(),
                "this is the l2 norm; the paper sums absolute values",
            ),
        ),
        "there is one score per filter, and weights have the shape (filters, channels read, k, k)",
        tuple((w,) for w in _W),
        importance=5,
    ),
    Exercise(
        "01-3",
        "the greedy score",
        greedy,
        (
            (
                lambda weight, gone: weight.abs().sum((1, 2, 3)),
                "kernels that read a removed channel must not count",
            ),
            (
                lambda weight, gone: weight[:, gone].abs().sum((1, 2, 3)),
                "these are the kernels that go; sum the others",
            ),
            (
                lambda weight, gone: greedy(weight, gone) / (~gone).sum(),
                "the sum is not divided by the channels left",
            ),
        ),
        "leave out axis 1 where `gone` is True, then score as before",
        tuple(zip(_W, _GONE)),
        difficulty=3,
    ),
    Exercise(
        "01-4",
        "how much half of one layer's filters saves",
        lambda: 100 * (64 * 64 * 9 * 32**2 / 2 + 64 * 128 * 9 * 16**2 / 2) / 313_463_808,
        (
            (
                lambda: 100 * (64 * 64 * 9 * 32**2 / 2) / 313_463_808,
                "the next layer reads half as many maps: it saves too",
            ),
            (lambda: 50.0, "that is the share of this layer, not of the network"),
            (
                lambda: 100 * (64 * 64 * 9 * 32**2 / 2 + 64 * 128 * 9 * 32**2 / 2) / 313_463_808,
                "there is a pooling between the two: the next maps are 16 x 16",
            ),
        ),
        "add what conv2 and conv3 of VGG-16 save, and divide by all 313,463,808",
        minutes=10,
        difficulty=3,
        importance=4,
        places=2,
    ),
)
