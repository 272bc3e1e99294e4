"""Tasks that look at each group of a trained network: sorted norms, and sensitivity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pandas as pd
from torch import nn
from tqdm import tqdm

from prunelab import scores, sensitivity, surgery, train
from prunelab.data import Dataset, Split
from prunelab.groups import Groups, trace
from prunelab.methods.activation_statistic import STATISTICS, statistics
from prunelab.study.work import Work


@dataclass(frozen=True)
class Norms:
    """Sorted filter norms of every group, relative to the largest: PFEC's Figure 2(a).

    Attributes:
        norm: "l1" or "l2".
        groups: names, or None for all.
    """

    KIND: ClassVar[str] = "norms"

    norm: str = "l1"
    groups: tuple[str, ...] | None = None

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Values: `points` of group, rank (0 to 1), norm (0 to 1), falling."""
        groups = view(trace(net, data.example), self.groups)
        points = []
        for name, score in scores.norms(net, groups, self.norm).items():
            falling = (score / score.max()).sort(descending=True).values.tolist()
            points += [
                {"group": name, "rank": round(i / (len(falling) - 1), 4), "norm": round(s, 4)}
                for i, s in enumerate(falling)
            ]
        return {"points": points}


@dataclass(frozen=True)
class Scan:
    """Each group alone at growing ratios: PFEC's Figures 2(b), 2(c), 6, 8, 9, 10.

    Attributes:
        ratios: fractions removed.
        criterion: one of `sensitivity.scan`'s, or of `ActivationStatistic`'s.
        groups: names, "first" (first convolutions of residual blocks), or None for all.
        images: how many validation images are looked at; activation statistics take four times
            as many training images. None = all.
        retrain: train every pruned network on this budget before it is evaluated (Figure 2(c)).
    """

    KIND: ClassVar[str] = "scan"

    ratios: tuple[float, ...]
    criterion: str = "l1"
    groups: tuple[str, ...] | str | None = None
    images: int | None = None
    retrain: train.Budget | None = None

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Values: `points`, one per group and ratio, and the accuracy of the whole network."""
        groups = view(trace(net, data.example), self.groups)
        split = data.val[: self.images]
        criterion = self._criterion(net, groups, data)
        order = sensitivity.ranking(net, groups, criterion)
        whole = train.evaluate(net, split)
        table = sensitivity.scan(
            net, split, ratios=self.ratios, groups=groups, criterion=order, progress=work.progress
        )
        if self.retrain is not None:
            table = self._retrain(table, net, groups, order, data, split, work)
        points = table.round(6).to_dict("records")
        return {"accuracy": whole.accuracy, "images": len(split), "points": points}

    def _criterion(self, net: nn.Module, groups: Groups, data: Dataset) -> sensitivity.Criterion:
        if self.criterion not in STATISTICS:
            return self.criterion
        images = data.train[: self.images and 4 * self.images]
        return statistics(net, groups, images.batches(250), self.criterion)

    def _retrain(self, table, net, groups, order, data, split: Split, work: Work) -> pd.DataFrame:
        """The same table with what is measured after retraining each pruned network."""
        whole = train.evaluate(net, split)
        unseen = replace(data, val=data.val[:0], test=data.test[:0])  # saves its evaluations
        points, done = table.to_dict("records"), work.points(*table.columns)
        bar = {"desc": "retrain", "leave": False, "disable": not work.progress}
        for point in tqdm(points[len(done) :], total=len(points), initial=len(done), **bar):
            keep = {point["group"]: scores.best(order[point["group"]], point["kept"])}
            small = surgery.shrink(net, groups, keep)
            train.fit(small, unseen, self.retrain, seed=work.seed, progress=False)
            done.append(point | sensitivity.outcome(whole, train.evaluate(small, split)))
            work.keep(done)
        return pd.DataFrame(done, columns=table.columns)


def view(groups: Groups, wanted: tuple[str, ...] | str | None) -> Groups:
    """The groups that a scan looks at, see `Scan`."""
    if wanted == "first":
        return groups.first_convolutions()
    return groups if wanted is None else groups.select(wanted)
