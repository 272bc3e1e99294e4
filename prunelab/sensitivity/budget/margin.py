"""Margin: how far off a prediction may be, learnt from the measured points themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prunelab.sensitivity.budget.prediction import possible, predict

LEVEL = 0.95  # share of the left-out points that the margins hold


@dataclass(frozen=True)
class Curve:
    """Ratios from 0 = whole, accuracies, and half the 95% intervals of the measurements."""

    ratio: np.ndarray
    accuracy: np.ndarray
    noise: np.ndarray

    def without(self, points: int | slice) -> Curve:
        """The same curve with some points left out."""
        return Curve(*(np.delete(v, points) for v in (self.ratio, self.accuracy, self.noise)))

    def missed(self, ratio: float, accuracy: float) -> float:
        """How far a measured point lies off this curve, in units of `looseness`."""
        off = abs(accuracy - float(np.interp(ratio, self.ratio, self.accuracy)))
        return off / self.looseness(ratio)

    def measured(self, ratio: float) -> float:
        """Half the interval of what was measured at a ratio, or around it."""
        right = int(np.searchsorted(self.ratio, ratio).clip(max=len(self.ratio) - 1))
        exact = self.ratio[right] <= ratio
        return float(self.noise[right if exact else slice(right - 1, right + 1)].max())

    def looseness(self, ratio: float) -> float:
        """How far the curve may stray at a ratio, up to a factor that all points share.

        Between two points: the step from one to the other or, if that is larger, the mean step
        here and in the gaps beside it, as for a gap of this length. It falls to 0 at the points
        like the spread of a Brownian bridge. Beyond the last point: the mean of the last two
        steps, as for this distance.
        """
        gaps, steps = np.diff(self.ratio), np.abs(np.diff(self.accuracy))
        if ratio > self.ratio[-1]:
            distance = ratio - float(self.ratio[-1])
            near = steps[-2:] / gaps[-2:] if len(gaps) else np.ones(1)
            return math.hypot(distance * float(near.mean()), float(self.noise[-1]))
        right = int(np.searchsorted(self.ratio, ratio))
        if self.ratio[right] == ratio:
            return 0.0
        gap, around = right - 1, slice(max(0, right - 2), right + 1)
        mean = gaps[gap] * (steps[around] / gaps[around]).mean()
        at = (ratio - self.ratio[gap]) / gaps[gap]
        bridge = 2 * math.sqrt(at * (1 - at))
        return bridge * math.hypot(max(float(steps[gap]), float(mean)), self.measured(ratio))


class Margins:
    """How far off `predict` may be: half a range of accuracy, a fraction.

    One group between its points: each recorded point is left out once and compared with the curve
    through the others. How loose that curve is there (`Curve.looseness`) is the unit of its error.
    The margin is the 95% quantile of these errors times the looseness, with the interval of the
    measured points added in quadrature. Beyond the last point the same is done with the ends of
    the curves.

    Several groups: their margins in quadrature, and with them what adding up the changes of single
    groups is off by. That error is measured on the combinations, in units of the root of the
    predicted loss: on the recordings that come with the package, no other unit of a few tried
    (the loss, the sum of changes, MACs) holds as many combinations left out in as narrow ranges.

    Args:
        scan: as `sensitivity.scan` returns, with `attrs["whole"]`.
        combinations: measured networks: rows with ratios and accuracy.

    Attributes:
        between, beyond, adding: the quantiles, for curves between and beyond their points and for
            adding up. 1 where nothing was measured that they could be learnt from.

    Differs: this is locally weighted split conformal prediction (Lei et al. 2018), with
        leave-one-out errors in place of a second sample. Neighbouring points are not independent,
        so 95% is no guarantee; the tests say what share is held.
    """

    def __init__(self, scan: pd.DataFrame, combinations: Sequence[Mapping[str, Any]] = ()):
        self.whole, self.half = scan.attrs["whole"]["accuracy"], 0.5 / scan.attrs["whole"]["images"]
        self.curves: dict[str, Curve] = {}
        for name, part in scan[scan.ratio > 0].groupby("group", sort=False):
            part = part.drop_duplicates("ratio").sort_values("ratio")
            noise = ((part.high - part.low).astype(float) / 2).fillna(0.0).clip(self.half)
            columns = (0.0, part.ratio), (self.whole, part.accuracy), (self.half, noise)
            self.curves[str(name)] = Curve(*(np.array([first, *rest]) for first, rest in columns))
        each = [*self.curves.values()]
        self.between = _quantile([error for curve in each for error in _left_out(curve)])
        self.beyond = _quantile([error for curve in each for error in _ends(curve)])
        self.adding = _quantile([self._off(scan, row) for row in combinations])

    def of(self, group: str, ratio: float) -> float:
        """Of one group."""
        if not ratio or group not in self.curves:
            return 0.0
        curve = self.curves[group]
        factor = self.beyond if ratio > curve.ratio[-1] else self.between
        return math.hypot(factor * curve.looseness(ratio), curve.measured(ratio))

    def together(self, ratios: Mapping[str, float], accuracy: float) -> float:
        """Of the groups that lose channels, as their ratios say, for a predicted accuracy."""
        own = [self.of(name, ratio) for name, ratio in ratios.items()]
        return math.hypot(*own, self.adding * self._unit(accuracy) if len(own) > 1 else 0.0)

    def _unit(self, accuracy: float) -> float:
        return math.sqrt(abs(self.whole - accuracy) + self.half)

    def _off(self, scan: pd.DataFrame, row: Mapping[str, Any]) -> float:
        guess = possible(predict(scan, row["ratios"]).accuracy)
        return abs(row["accuracy"] - guess) / self._unit(guess)


def _left_out(curve: Curve) -> list[float]:
    """Errors of the curve at each inner point, from all the others."""
    inner = range(1, len(curve.ratio) - 1)
    return [curve.without(n).missed(curve.ratio[n], curve.accuracy[n]) for n in inner]


def _ends(curve: Curve) -> list[float]:
    """Errors of the curve up to a point, at the next one."""
    ends = range(2, len(curve.ratio))
    return [curve.without(slice(n, None)).missed(curve.ratio[n], curve.accuracy[n]) for n in ends]


def _quantile(errors: list[float]) -> float:
    """The conformal quantile; where nothing could be left out, a whole step."""
    if not errors:
        return 1.0
    rank = math.ceil((len(errors) + 1) * LEVEL)
    return sorted(errors)[min(rank, len(errors)) - 1]
