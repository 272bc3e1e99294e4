"""Prediction: what the curves of single groups say about pruning several at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prunelab import checks, scores
from prunelab.sensitivity.budget.choices import Choices, Rows, read


@dataclass(frozen=True)
class Prediction:
    """Accuracy (a fraction) as the curves predict it; parameters, MACs and kept channels."""

    accuracy: float
    params: int
    macs: int
    kept: dict[str, int]


def possible(accuracy: float) -> float:
    """The nearest accuracy that there is: a sum of changes may be below 0 or above 1."""
    return min(1.0, max(0.0, accuracy))


def predict(curves: pd.DataFrame, ratios: Mapping[str, float]) -> Prediction:
    """What `solve` would predict for these ratios.

    Args:
        curves: as `scan` returns; all columns but low, high and loss are read.
        ratios: group -> fraction removed, in [0, 1); groups not named stay whole.

    Returns:
        accuracy: that of the whole network plus the sum of each group's own change. A curve starts
            at ratio 0 = whole, is linear between its points and constant beyond the last one. The
            sum is not clipped: below 0 it means that single groups cannot predict so large a
            change.
        params, macs: exact with `attrs["price"]` (of `scan`); else the savings of the curves,
            interpolated in the same way and added up.
        kept: channels of each group of `curves`: as its row says, and between rows by
            `prunelab.scores.kept` (without a price, interpolated and rounded down).

    Raises:
        TypeError: `curves` is no DataFrame, `ratios` no mapping.
        ValueError: a group that `curves` does not have, a ratio outside [0, 1), a group of unknown
            size, or what `solve` refuses in `curves`.
    """
    checks.kind("predict", "ratios", ratios, Mapping, "a mapping of groups to ratios")
    choices = read("predict", curves, ["kept", "correct", "accuracy", "params", "macs"])
    unknown = [name for name in ratios if name not in choices.options]
    if unknown:
        known = ", ".join(map(str, choices.options))
        raise ValueError(f"predict: no curve of group `{unknown[0]}`; groups are {known}")
    at = {n: scores.check_ratio("predict", ratios.get(n, 0.0)) for n in choices.options}
    kept = {name: _kept(choices, name, ratio) for name, ratio in at.items()}
    whole = choices.whole
    if choices.price is not None:
        params, macs = choices.price(kept)
    else:
        params, macs = (round(whole[c] + _change(choices, at, c)) for c in ("params", "macs"))
    return Prediction(whole["accuracy"] + _change(choices, at, "accuracy"), params, macs, kept)


def _change(choices: Choices, at: Mapping[str, float], column: str) -> float:
    """Sum over groups of what each changes alone."""
    whole = choices.whole[column]
    return math.fsum(_on_line(choices.options[n], column, r) - whole for n, r in at.items())


def _on_line(rows: Rows, column: str, ratio: float) -> float:
    return float(np.interp(ratio, rows["ratio"], rows[column]))


def _kept(choices: Choices, name: str, ratio: float) -> int:
    rows = choices.options[name]
    if choices.price is not None and ratio not in rows["ratio"]:
        return scores.kept(choices.price.sizes[name], ratio)
    count = _on_line(rows, "kept", ratio)
    if math.isnan(count):
        raise ValueError(
            f"predict: `curves` has no row of group `{name}` with ratio 0, so its size is unknown"
        )
    return scores.whole_channels(count)
