"""Exercises of notebook 10: the three-hour lab."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import pandas as pd
import torch
from torch import Tensor

from prunelab import scores, sensitivity, surgery, train
from prunelab.lab import bench
from prunelab.lab.exercise import Exercise
from prunelab.lab.n10_later import LATER


def layer(inputs: int, filters: int, kernel: int, side: int) -> dict[str, int]:
    """Parameters with biases, and MACs, of a convolution that writes maps of this side length."""
    weights = filters * inputs * kernel**2
    return {"parameters": weights + filters, "MACs": weights * side**2}


def half_width(correct: int, images: int) -> float:
    """Of the 95% interval of an accuracy."""
    p = correct / images
    return 1.96 * math.sqrt(p * (1 - p) / images)


def shrunk(weight: Tensor, bias: Tensor, following: Tensor, keep: Tensor) -> dict[str, Tensor]:
    """Two convolutions in a row without the channels that go between them."""
    return {"weight": weight[keep], "bias": bias[keep], "following": following[:, keep]}


def curve(group: str, ratios: Sequence[float], split: str = "val", sign: int = 1) -> list[float]:
    """Accuracies of the bench's network with one group pruned."""
    return [_seen(group, ratio, split, sign) for ratio in ratios]


@cache
def _seen(group: str, ratio: float, split: str, sign: int) -> float:
    net, groups = bench.network(), bench.groups()
    score = sign * sensitivity.ranking(net, groups, "l1")[group]
    small = surgery.shrink(net, groups, {group: scores.best(score, scores.kept(len(score), ratio))})
    return train.evaluate(small, getattr(bench.digits(), split)).accuracy


READ_AT = 0.9


def _rows() -> pd.DataFrame:
    return bench.curves()[bench.curves().ratio == READ_AT].set_index("group")


def read() -> dict[str, str]:
    """Of the curves at 90%: which group loses least, and which saves least MACs."""
    return {"loses least": _rows().accuracy.idxmax(), "saves least": _rows().macs.idxmax()}


def taylor(activations: Tensor, gradients: Tensor) -> Tensor:
    """(N, size, pixels) each -> (size,): mean over images of |mean over pixels of a dL/da|."""
    return (activations * gradients).mean(2).abs().mean(0)


_G = torch.Generator().manual_seed(0)
_LAYERS = tuple(
    (
        torch.randn(c, i, 3, 3, generator=_G),
        torch.randn(c, generator=_G),
        torch.randn(4, c, 3, 3, generator=_G),
        torch.arange(c) % 3 != 1,
    )
    for i, c in ((1, 4), (2, 5))
)
_MAPS = tuple(
    (torch.randn(n, c, 6, generator=_G), torch.randn(n, c, 6, generator=_G))
    for n, c in ((3, 4), (5, 2))
)
EXERCISES = (
    Exercise(
        "10-1",
        "what a convolution costs",
        layer,
        (
            (
                lambda i, f, k, s: layer(i, f, k, s) | {"parameters": f * i * k**2},
                "each filter has a bias too",
            ),
            (
                lambda i, f, k, s: layer(i, f, k, s) | {"MACs": f * k**2 * s**2},
                "a filter reads every input channel",
            ),
            (
                lambda i, f, k, s: layer(i, f, k, s) | {"MACs": f * i * k**2 * s},
                "a filter is applied at side x side places",
            ),
        ),
        "LeNet-5's conv2 (20, 50, 5, 8) has 25,050 parameters and 1,600,000 MACs",
        ((20, 50, 5, 8), (3, 64, 3, 32), (1, 20, 5, 24)),
        importance=4,
        minutes=8,
    ),
    Exercise(
        "10-2",
        "how sure an accuracy is",
        half_width,
        (
            (
                lambda c, n: half_width(c, n) / 1.96,
                "this is one standard error; 95% takes 1.96 of them",
            ),
            (
                lambda c, n: 1.96 * c / n * (1 - c / n) / n,
                "this is a variance: take its square root",
            ),
            (
                lambda c, n: half_width(c, n) * 2 / 1.96,
                "2 standard errors are a little more than 95%: take 1.96",
            ),
            (
                lambda c, n: half_width(c, n) * math.sqrt(n / (n - 1)),
                "p (1 - p) is the variance of an answer itself: divide it by n, not by n - 1",
            ),
            (lambda c, n: 2 * half_width(c, n), "this is the whole width; half of it is asked for"),
            (lambda c, n: 100 * half_width(c, n), "this is in percent; a fraction is asked for"),
        ),
        "the variance of a mean of n answers, each right with probability p, is p (1 - p) / n",
        ((162, 180), (340, 360), (9900, 10000)),
        importance=5,
        minutes=8,
        tolerance=1e-4,  # 1.96 or 1.959964
    ),
    Exercise(
        "10-3",
        "two layers shrink",
        shrunk,
        (
            (
                lambda w, b, f, k: shrunk(w, b, f, k) | {"following": f},
                "the next layer still reads the channels that went",
            ),
            (
                lambda w, b, f, k: {n: v * 1.0 for n, v in shrunk(w, b, f, ~k).items()},
                "these are the channels that go, not those that stay",
            ),
            (
                lambda w, b, f, k: shrunk(w, b, f, k) | {"bias": b},
                "a filter takes its bias with it",
            ),
        ),
        "`keep` picks filters and biases on axis 0, and what the next layer reads on its axis 1",
        _LAYERS,
        importance=5,
        minutes=10,
    ),
    Exercise(
        "10-4",
        "a sensitivity curve by hand",
        curve,
        (
            (
                lambda g, r: curve(g, [1 - one for one in r]),
                "the ratio is the share that goes, not the share that stays",
            ),
            (
                lambda g, r: [1 - one for one in curve(g, r)],
                "these are errors; accuracies are asked for",
            ),
            (
                lambda g, r: curve(g, [0.0] * len(r)),
                "this is the whole network each time: evaluate what `shrink` returns",
            ),
            (lambda g, r: curve(g, r, "test"), "these are the test images; choose by digits.val"),
            (lambda g, r: curve(g, r, sign=-1), "the largest channels went; the smallest go first"),
        ),
        "rank by l1, keep the best `scores.kept(size, ratio)`, shrink, evaluate on `digits.val`",
        (("conv1", (0.25, 0.75)), ("fc1", (0.5, 0.9))),
        difficulty=4,
        importance=5,
        minutes=20,
    ),
    Exercise(
        "10-5",
        "read the curves",
        read,
        (
            (lambda: dict(zip(read(), reversed(read().values()))), "these two are swapped"),
            (
                lambda: read() | {"loses least": _rows().accuracy.idxmin()},
                "'loses least': this group loses most",
            ),
            (
                lambda: read() | {"saves least": _rows().macs.idxmin()},
                "'saves least': this group saves most, as the fewest MACs are left",
            ),
        ),
        "look at the rows with ratio 0.9: the largest accuracy, and the most MACs left",
        importance=4,
        minutes=5,
    ),
    Exercise(
        "10-6",
        "a criterion: first-order Taylor",
        taylor,
        (
            (
                lambda a, g: (a * g).abs().mean((0, 2)),
                "signs cancel within a map: average over its pixels before the absolute value",
            ),
            (
                lambda a, g: (a * g).mean(2).mean(0).abs(),
                "images must not cancel each other: take the absolute value of each image",
            ),
            (lambda a, g: a.mean(2).abs().mean(0), "the gradients are missing"),
            (lambda a, g: (a * g).mean(2).mean(0), "an absolute value is missing"),
            (
                lambda a, g: (a * g).sum(2).abs().mean(0),
                "average over the pixels instead of summing, so that large maps do not win",
            ),
        ),
        "one score per channel is wanted: which axes are averaged, and in which order?",
        _MAPS,
        difficulty=3,
        importance=5,
        minutes=8,
    ),
    *LATER,
)
