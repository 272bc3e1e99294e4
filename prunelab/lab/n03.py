"""Exercises of notebook 03: the variational information bottleneck."""

import torch
from torch import Tensor

from prunelab.lab.exercise import Exercise


def penalty(mu: Tensor, log_var: Tensor) -> Tensor:
    """1/2 sum log(1 + mu^2 / sigma^2)."""
    return 0.5 * torch.log1p(mu.square() / log_var.exp()).sum()


def kept(mu: Tensor, log_var: Tensor) -> Tensor:
    """More signal than noise, and a positive mean: a negative one does not pass a max pooling."""
    return (mu.square() > log_var.exp()) & (mu > 0)


_MU = torch.tensor([1.0, 0.02, -1.5, 0.4, 0.0])
_LOG = torch.tensor([-3.0, -2.0, -4.0, -1.0, -9.0])
_DRAWN = torch.Generator().manual_seed(4)
_CASES = (
    (_MU, _LOG),
    (_MU * 3, _LOG + 1),
    (torch.randn(24, generator=_DRAWN), torch.randn(24, generator=_DRAWN) * 2 - 1),
)
_LEFT, _WHOLE = 97 + 71 + 33, 784 + 300 + 100

EXERCISES = (
    Exercise(
        "03-1",
        "the penalty",
        penalty,
        (
            (
                lambda mu, v: torch.log1p(mu.square() / v.exp()).sum(),
                "the KL divergence has a factor of one half",
            ),
            (
                lambda mu, v: 0.5 * torch.log1p(mu.square() / v.exp().square()).sum(),
                "exp(log_var) is sigma squared already",
            ),
            (
                lambda mu, v: 0.5 * torch.log1p(mu.square() / v.exp()).mean(),
                "it is summed over the units: many units cost more",
            ),
        ),
        "for each unit: log of 1 + mu^2 / sigma^2, with sigma^2 = exp(log_var)",
        _CASES,
        importance=5,
        minutes=10,
    ),
    Exercise(
        "03-2",
        "which units stay",
        kept,
        (
            (
                lambda mu, v: mu.square() > v.exp(),
                "a unit with a negative mean has signal, but a max pooling lets none through",
            ),
            (lambda mu, v: mu > v.exp(), "compare like with like: mu^2 with sigma^2"),
            (
                lambda mu, v: (mu.square() > (v / 2).exp()) & (mu > 0),
                "compare like with like: mu^2 with sigma^2, which is exp(log_var)",
            ),
            (
                lambda mu, v: mu.square() < v.exp(),
                "these are the units in which noise is larger: they go",
            ),
        ),
        "signal is mu^2, noise is sigma^2; and what becomes of the sign behind a ReLU?",
        _CASES,
        importance=4,
    ),
    Exercise(
        "03-3",
        "activations left",
        lambda: 100 * _LEFT / _WHOLE,
        (
            (
                lambda: 100 * (97 * 71 + 71 * 33 + 33 * 10) / 266_200,
                "these are the weights left; count units",
            ),
            (lambda: 100 * (71 + 33) / (300 + 100), "pixels count: the network stores them too"),
            (
                lambda: 100 * (_LEFT + 10) / (_WHOLE + 10),
                "the ten outputs are not counted, as they cannot go",
            ),
        ),
        "pixels and hidden units left, over all 784 + 300 + 100, in percent",
        minutes=5,
        places=2,  # as the paper prints it
    ),
)
