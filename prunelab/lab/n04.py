"""Exercises of notebook 04: discrimination-aware channel pruning."""

import math

import torch
from torch import Tensor

from prunelab.lab.exercise import Exercise


def scores(gradient: Tensor) -> Tensor:
    """The norms of a channel's kernels' gradients, summed over the filters."""
    return gradient.flatten(2).norm(dim=2).sum(0)


def next_channel(gradient: Tensor, inside: Tensor) -> int:
    """The channel outside with the largest score."""
    return int(scores(gradient).masked_fill(inside, -math.inf).argmax())


def places(blocks: int, losses: int) -> list[int]:
    """Blocks after which a loss sits: q, 2q, ... with q = floor(B / (P + 1)) + 1."""
    q = blocks // (losses + 1) + 1
    return [q * number for number in range(1, losses + 1)]


_G = torch.randn(3, 4, 3, 3, generator=torch.Generator().manual_seed(2))
_G[:, 1] *= 4  # the largest, and inside already in one case
_CASES = tuple(
    (_G * scale, torch.tensor(inside))
    for scale, inside in (
        (1.0, [False, True, False, False]),
        (2.0, [True, False, False, True]),
        (1.0, [False, True, True, False]),
    )
)

EXERCISES = (
    Exercise(
        "04-1",
        "the score of a channel",
        scores,
        (
            (
                lambda g: g.flatten(2).norm(dim=2).sum(1),
                "this is a score per filter; axis 1 counts the channels that are read",
            ),
            (
                lambda g: g.sum((0, 2, 3)),
                "a gradient may point either way: take the norm of each kernel first",
            ),
            (
                lambda g: g.transpose(0, 1).flatten(1).norm(dim=1),
                "this is one norm over all kernels, as the paper prints it; the code sums a norm per kernel",
            ),
        ),
        "for each channel: the norm of every kernel's gradient, summed over the filters",
        tuple((g,) for g, _ in _CASES),
        importance=5,
        minutes=10,
    ),
    Exercise(
        "04-2",
        "one step of the greedy choice",
        next_channel,
        (
            (
                lambda g, inside: int(scores(g).argmax()),
                "a channel that is inside cannot come in again",
            ),
            (
                lambda g, inside: int(scores(g).masked_fill(inside, math.inf).argmin()),
                "the channel that would lower the loss most comes in: the largest gradient",
            ),
            (
                lambda g, inside: int(scores(g)[~inside].argmax()),
                "this counts among the channels outside; give its number among all",
            ),
        ),
        "score all, exclude those inside, take the largest",
        _CASES,
        difficulty=3,
        minutes=10,
        importance=5,
    ),
    Exercise(
        "04-3",
        "where the losses sit",
        places,
        (
            (
                lambda b, p: [b // (p + 1) * n for n in range(1, p + 1)],
                "q is one more than the rounded share",
            ),
            (
                lambda b, p: [(b // p + 1) * n for n in range(1, p + 1)],
                "P losses make P + 1 stages: the network's own loss ends the last",
            ),
            (
                lambda b, p: [b // (p + 1) + 1],
                "there are P of them, each q blocks behind the one before",
            ),
        ),
        "ResNet-56 has 27 blocks; with three losses they sit after blocks 7, 14 and 21",
        ((27, 3), (9, 3), (8, 2), (16, 3)),
    ),
)
