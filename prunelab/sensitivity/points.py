"""One point of a scan: the pruned network compared with the whole one on the same images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from prunelab import checks
from prunelab.train import Evaluation

Z95 = 1.959963984540054  # the 97.5% quantile of the normal distribution


def outcome(before: Evaluation, after: Evaluation) -> dict[str, float]:
    """The columns correct, accuracy, low, high and loss of one point of a scan."""
    checks.kind("outcome", "before", before, Evaluation, "an Evaluation")
    checks.kind("outcome", "after", after, Evaluation, "an Evaluation")
    low, high = paired_interval(before.correct, after.correct)
    return {
        "correct": int(after.correct.sum()),
        "accuracy": after.accuracy,
        "low": low,
        "high": high,
        "loss": after.loss,
    }


def paired_interval(before: Tensor, after: Tensor) -> tuple[float, float]:
    """95% interval of the change of accuracy, from (N,) correct-flags on the same images.

    Each image changes by -1, 0 or +1; the interval is the mean plus or minus 1.96 standard errors.
    Half an image is added on each side, so that the interval has a width even without any change.

    Raises:
        TypeError: an argument is no tensor.
        ValueError: they are not (N,) flags of equal length.
    """
    checks.kind("paired_interval", "before", before, Tensor, "a tensor")
    checks.kind("paired_interval", "after", after, Tensor, "a tensor")
    if before.ndim != 1 or before.shape != after.shape or not len(before):
        raise ValueError(
            "paired_interval: `before` and `after` must be (N,) flags of the same images; got"
            f" shapes {tuple(before.shape)} and {tuple(after.shape)}"
        )
    return _interval(after.double() - before.double())


def _interval(change: Tensor) -> tuple[float, float]:
    n = len(change)
    spread = Z95 * float(change.std(correction=0)) / math.sqrt(n) + 0.5 / n
    mean = float(change.mean())
    return max(-1.0, mean - spread), min(1.0, mean + spread)


def settled(correct: Mapping[str, Tensor], margin: float = 0.005) -> dict[str, Any]:
    """How certain the ranking of groups from least to most sensitive is.

    Groups are ranked by their mean accuracy over the ratios. The order of two neighbours is settled
    if the 95% interval of their difference, paired on the same images, excludes zero (they differ)
    or lies within the margin (they are practically equal).

    Args:
        correct: group -> (ratios, N) correct-flags on the same images.
        margin: a difference in accuracy that counts as none.

    Returns:
        order (group names), sure (share of neighbours that are settled), settled (all are), images.
    """
    share = {name: flags.double().mean(0) for name, flags in correct.items()}
    order = sorted(share, key=lambda name: -float(share[name].mean()))
    sure = []
    for a, b in zip(order, order[1:]):
        low, high = _interval(share[a] - share[b])
        sure.append(low > 0 or max(-low, high) < margin)
    images = next(iter(correct.values())).shape[1]
    found = sum(sure) / len(sure) if sure else 1.0
    return {"order": order, "sure": found, "settled": all(sure), "images": images}
