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
    return _largest(scores(gradient), inside)


def _largest(score: Tensor, inside: Tensor) -> int:
    return int(score.masked_fill(inside, -math.inf).argmax())


def places(blocks: int, losses: int) -> list[int]:
    """Blocks after which a loss sits: q, 2q, ..., at most B - 1; q = floor(B / (P + 1)) + 1."""
    q = blocks // (losses + 1) + 1
    return [min(q * number, blocks - 1) for number in range(1, losses + 1)]


_G = torch.Generator().manual_seed(162)  # one without near ties


def _case(inside: int) -> tuple[Tensor, Tensor]:
    """Gradients of eight channels, some of few large entries, and a mask with so many inside.

    Norms and sums of absolute values put such channels in another order.
    """
    gradient = torch.randn(5, 8, 3, 3, generator=_G)
    kernels = 1 - torch.rand(5, 8, 1, 1, generator=_G).square()
    gradient *= (torch.rand(5, 8, 3, 3, generator=_G) < kernels) / kernels.sqrt()
    mask = torch.zeros(8, dtype=torch.bool)
    mask[torch.randperm(8, generator=_G)[:inside]] = True
    return gradient, mask


_CASES = tuple(_case(inside) for inside in (0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6))

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
        tuple((g,) for g, _ in _CASES[:3]),
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
            (
                lambda g, inside: _largest(g.abs().sum((0, 2, 3)), inside),
                "this sums absolute values; the score is the sum of the kernels' norms, as in 04-1",
            ),
            (
                lambda g, inside: _largest(g.square().sum((0, 2, 3)), inside),
                "this is one norm over all kernels; the score is the sum of their norms, as in 04-1",
            ),
            (
                lambda g, inside: int((~inside).nonzero()[0]),
                "this is the first channel outside: what do their gradients say?",
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
                lambda b, p: [(b // (p + 1) + 1) * n for n in range(1, p + 1)],
                "behind the last block sits the network's own loss: the others stop at block B - 1",
            ),
            (
                lambda b, p: [min((b // (p + 1) + 1) * n, b) for n in range(1, p + 1)],
                "the bound is one block too large: block B already has the network's own loss",
            ),
            (
                lambda b, p: [b // (p + 1) * n for n in range(1, p + 1)],
                "q is one more than the rounded share",
            ),
            (
                lambda b, p: [min((b // p + 1) * n, b - 1) for n in range(1, p + 1)],
                "P losses make P + 1 stages: the network's own loss ends the last",
            ),
            (
                lambda b, p: [b // (p + 1) + 1],
                "there are P of them, each q blocks behind the one before",
            ),
        ),
        "27 blocks, three losses: after blocks 7, 14 and 21; nine blocks: after 3, 6 and 8",
        ((27, 3), (9, 3), (8, 2), (16, 3), (27, 7)),
    ),
)
