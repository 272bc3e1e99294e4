"""Exercises of notebook 09: a network of one's own."""

import torch
from torch import Tensor

from prunelab.lab.exercise import Exercise


def folded(weight: Tensor, gamma: Tensor, var: Tensor, eps: float) -> Tensor:
    """Weights of a convolution with its batch norm folded in."""
    return weight * (gamma / (var + eps).sqrt())[:, None, None, None]


def fpgm(weight: Tensor) -> Tensor:
    """Sum of distances to all other filters: small near the geometric median."""
    flat = weight.flatten(1)
    return torch.cdist(flat, flat).sum(1)


_G = torch.Generator().manual_seed(3)
_W = torch.randn(4, 2, 3, 3, generator=_G)
_GAMMA, _VAR = torch.rand(4, generator=_G) + 0.5, torch.rand(4, generator=_G) + 0.1

EXERCISES = (
    Exercise(
        "09-1",
        "a criterion of one's own: the geometric median",
        fpgm,
        (
            (
                lambda w: w.flatten(1).norm(dim=1),
                "this is the distance to 0: it asks how large a filter is, not how replaceable",
            ),
            (
                lambda w: (w - w.mean(0)).flatten(1).norm(dim=1),
                "this is the distance to the mean; the median sums distances to all filters",
            ),
            (lambda w: -fpgm(w), "a score is small where a filter can go: near the others"),
        ),
        "for each filter the sum of its Euclidean distances to all others",
        ((_W,), (_W * torch.arange(1.0, 5.0)[:, None, None, None],)),
        difficulty=3,
        minutes=10,
    ),
    Exercise(
        "09-2",
        "fold a batch norm into its convolution",
        folded,
        (
            (
                lambda w, g, v, eps: w * (g / (v + eps))[:, None, None, None],
                "a batch norm divides by the standard deviation, not by the variance",
            ),
            (
                lambda w, g, v, eps: w * (g / v.sqrt())[:, None, None, None],
                "eps is added to the variance before the root",
            ),
            (
                lambda w, g, v, eps: w * g[:, None, None, None],
                "it also divides by the running deviation",
            ),
        ),
        "scale each filter by gamma / sqrt(var + eps)",
        ((_W, _GAMMA, _VAR, 1e-2), (1 - _W, -_GAMMA, _VAR * 4, 1e-3)),
        minutes=10,
    ),
)
