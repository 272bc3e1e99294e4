"""Exercises of notebook 02: dynamic network surgery."""

import torch
from torch import Tensor

from prunelab.lab.exercise import Exercise


def masked(weight: Tensor, mask: Tensor, a: float, b: float) -> Tensor:
    """The mask after a step: pruned below a, spliced above b, unchanged between."""
    size = weight.abs()
    return torch.where(size < a, 0.0, torch.where(size >= b, 1.0, mask))


def thresholds(weight: Tensor, c: float) -> tuple[float, float]:
    """0.9 and 1.1 times mu + c sigma of the absolute weights."""
    size = weight.abs()
    middle = (size.mean() + c * size.std(correction=0)).item()
    return 0.9 * middle, 1.1 * middle


def stepped(weight: Tensor, mask: Tensor, gradient: Tensor, rate: float) -> Tensor:
    """All weights learn, the pruned ones too."""
    return weight - rate * gradient


_W = torch.tensor([-2.0, -0.6, -0.1, 0.3, 0.5, 0.75, 1.0, 3.0])
_M = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
_G = torch.Generator().manual_seed(1)
_DRAWN = torch.randn(40, generator=_G)
_MASK = torch.randint(2, (40,), generator=_G).float()


def _spread(weight: Tensor, c: float) -> tuple[float, float]:
    middle = (weight.mean() + c * weight.std(correction=0)).item()
    return 0.9 * middle, 1.1 * middle


def _deviation(weight: Tensor, c: float) -> tuple[float, float]:
    middle = (c * weight.abs().std(correction=0)).item()
    return 0.9 * middle, 1.1 * middle


def _single(weight: Tensor, c: float) -> tuple[float, float]:
    middle = sum(thresholds(weight, c)) / 2
    return middle, middle


EXERCISES = (
    Exercise(
        "02-1",
        "the mask after a step",
        masked,
        (
            (
                lambda w, m, a, b: (w.abs() > b).float(),
                "between a and b the mask stays as it was: that is the hysteresis",
            ),
            (
                lambda w, m, a, b: torch.where(w < a, 0.0, torch.where(w > b, 1.0, m)),
                "large negative weights matter too: compare |w|",
            ),
            (
                lambda w, m, a, b: m * (w.abs() >= a),
                "nothing comes back: above b a pruned weight is spliced",
            ),
        ),
        "go through the three zones: |w| < a, between a and b, |w| > b",
        ((_W, _M, 0.4, 0.8), (_W, 1 - _M, 0.2, 2.0), (_DRAWN, _MASK, 0.5, 0.9)),
        importance=5,
        minutes=10,
    ),
    Exercise(
        "02-2",
        "both thresholds",
        thresholds,
        (
            (_spread, "mean and deviation are those of |w|; those of w are nearly 0 and too wide"),
            (_deviation, "the mean of |w| belongs to it: mu + c sigma"),
            (
                _single,
                "there are two thresholds, 10% below and 10% above: without a gap weights flicker",
            ),
        ),
        "take mu + c sigma of the absolute weights (of all, without Bessel's correction), times 0.9 and 1.1",
        ((_W, 1.0), (_DRAWN, 2.5)),
        difficulty=3,
        minutes=10,
    ),
    Exercise(
        "02-3",
        "which weights learn",
        stepped,
        (
            (
                lambda w, m, g, r: w - r * g * m,
                "then a pruned weight could never grow again, and nothing is spliced",
            ),
            (
                lambda w, m, g, r: (w - r * g) * m,
                "the weights are kept, and masked only when they are used",
            ),
            (lambda w, m, g, r: w + r * g, "a step goes down the gradient"),
            (
                lambda w, m, g, r: w * m - r * g,
                "the weights are kept, and masked only when they are used: the step begins at W",
            ),
        ),
        "the gradient is that of the masked network, but every weight takes the step",
        ((_W, _M, torch.ones(8), 0.1), (_DRAWN, _MASK, torch.arange(40.0), 0.5)),
        importance=5,
    ),
    Exercise(
        "02-4",
        "a rate of compression",
        lambda: 266_610 / 4_760,
        (
            (
                lambda: 100 * 4_760 / 266_610,
                "that is what is left, in percent; compression is how many times fewer",
            ),
            (lambda: 100 * (1 - 4_760 / 266_610), "that is what was removed, in percent"),
            (lambda: 266_200 / 4_760, "biases count as parameters too: the network has 266,610"),
        ),
        "divide all parameters of LeNet-300-100 by the 4,760 that are left",
        minutes=3,
        difficulty=1,
        places=0,  # as the paper prints compression
    ),
)
