"""One point of a scan: what the pruned network does against the whole one, on the same images."""

from __future__ import annotations

import math

from torch import Tensor

from prunelab.train import Evaluation

Z95 = 1.959963984540054  # the 97.5% quantile of the normal distribution


def outcome(before: Evaluation, after: Evaluation) -> dict[str, float]:
    """The columns correct, accuracy, low, high and loss of one point of a scan."""
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

    Each image changes by -1, 0 or +1; the interval is the mean plus and minus 1.96 standard errors.
    Half an image is added on either side, so that no change at all still has a width.
    """
    change = after.double() - before.double()
    n = len(change)
    spread = Z95 * float(change.std(correction=0)) / math.sqrt(n) + 0.5 / n
    mean = float(change.mean())
    return max(-1.0, mean - spread), min(1.0, mean + spread)
