"""Tasks: what can be measured on a trained network. Each is plain data with one verb, `run`.

`run(net, data, seed, progress)` returns a dict of plain values, the `values` of a ledger row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from prunelab import cost, scores, sensitivity, surgery, train
from prunelab.data import Dataset, Split
from prunelab.groups import Groups, trace
from prunelab.methods.activation_statistic import STATISTICS, statistics
from prunelab.methods.base import Method, Pruned, check_option
from prunelab.study.units import Units
from prunelab.study.weights import Weights
from prunelab.study.work import Work


def price(net: nn.Module, example: Tensor) -> dict:
    """Parameters, weights and MACs; without projection shortcuts too, as PFEC counts ResNet-34."""
    table, total = cost.layers(net, example), cost.measure(net, example)
    plain = table[~table.layer.isin(trace(net, example).shortcuts)]
    return {
        "params": total.params,
        "weights": total.weights,
        "macs": total.macs,
        "weights_without_shortcuts": int(plain.weights.sum()),
        "macs_without_shortcuts": int(plain.macs.sum()),
    }


@dataclass(frozen=True)
class Count:
    """Shrink an untrained network and count: nothing that is counted depends on training.

    Attributes:
        method: the pruning method, or None for the whole network.
        shape: (C, H, W) of the input.
        classes: number of classes.
    """

    KIND: ClassVar[str] = "count"

    method: Method | None
    shape: tuple[int, int, int] = (3, 32, 32)
    classes: int = 10

    def run(self, net: nn.Module, data: None, work: Work) -> dict:
        """Values: counts, and the layers as rows."""
        example = torch.zeros(1, *self.shape)
        if self.method is not None:
            groups = trace(net, example)
            net = surgery.shrink(net, groups, self.method.prune(net, example, seed=work.seed))
        layers = cost.layers(net, example)
        layers["out"] = layers.out.map(list)
        return price(net, example) | {"layers": layers.to_dict("records")}


@dataclass(frozen=True)
class Baseline:
    """The trained network itself."""

    KIND: ClassVar[str] = "baseline"

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Values: test accuracy and counts. The ledger adds the training history."""
        return {"accuracy": train.evaluate(net, data.test).accuracy} | price(net, data.example)


class Channels:
    """The recorder of methods that choose channels: widths, and the accuracy of what is left."""

    watch = None

    def __init__(self, method: Method, net: nn.Module, data: Dataset, work: Work):
        self.data = data

    def values(self, small: nn.Module, done: Pruned) -> dict:
        """Values: accuracies, widths."""
        accuracy = train.evaluate(small, self.data.test).accuracy
        return {
            "accuracy_before_retraining": accuracy,
            "accuracy": accuracy,
            "widths": done.keep.widths(),
        }


# What a method chooses -> what its rows record.
RECORDERS = {"channels": Channels, "units": Units, "weights": Weights}


@dataclass(frozen=True)
class Prune:
    """Prune, shrink what has lost channels, retrain.

    Attributes:
        method: decides what stays.
        retrain: the fine-tuning budget, or None; not for single weights.
    """

    KIND: ClassVar[str] = "prune"

    method: Method
    retrain: train.Budget | None = None

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Values: what the recorder says; counts, if channels went; accuracies of retraining."""
        chosen = self.method.CHOOSES
        if chosen == "weights" and self.retrain is not None:
            raise ValueError("Prune: `retrain` would not hold the zeros of single weights")
        recorder = RECORDERS[chosen](self.method, net, data, work)
        groups = trace(net, data.example)
        how = {"seed": work.seed, "progress": work.progress, "checkpoint": work.checkpoint()}
        done = self.method.run(net, data, **how, watch=recorder.watch)
        if chosen == "weights":
            return recorder.values(net, done)
        small = surgery.shrink(net, groups, done.keep)
        values = recorder.values(small, done) | price(small, data.example)
        return values | (_retrained(small, data, self.retrain, work) if self.retrain else {})


@dataclass(frozen=True)
class Scratch:
    """The pruned shape, trained from new random weights: the control of PFEC and of Liu et al.

    Attributes:
        method: decides the shape.
        budget: as the baseline's.
        rule: "E", the same epochs; "B", the same compute: epochs times MACs full / MACs pruned.

    Differs: new weights are drawn by each layer's default, not by the baseline's initialiser.

    Source: Liu et al. 2019, Rethinking the Value of Network Pruning, section 4.
    """

    KIND: ClassVar[str] = "scratch"

    method: Method
    budget: train.Budget
    rule: str = "E"

    def __post_init__(self) -> None:
        check_option(self, "rule", ("E", "B"))

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Values as `Prune`'s, with the epochs used."""
        groups = trace(net, data.example)
        keep = self.method.prune(net, data, seed=work.seed, progress=work.progress)
        small = surgery.shrink(net, groups, keep)
        full, cut = (cost.measure(n, data.example).macs for n in (net, small))
        budget = self.budget.scaled(full / cut if self.rule == "B" else 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(work.seed + 1)
            small.apply(_fresh)
        values = {"epochs": budget.epochs, "widths": keep.widths()}
        return values | _retrained(small, data, budget, work) | price(small, data.example)


def _fresh(module: nn.Module) -> None:
    """New weights at the layer's own default, which follows its pruned shape."""
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()


def _retrained(net: nn.Module, data: Dataset, budget: train.Budget, work: Work) -> dict:
    how = {
        "seed": work.seed,
        "progress": work.progress,
        "checkpoint": work.checkpoint("retraining"),
    }
    history = train.fit(net, data, budget, **how)
    return {
        "accuracy": history.last["test_accuracy"],
        "best_accuracy": history.best["test_accuracy"],
        "history": history.rows,
    }


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
        groups = _view(trace(net, data.example), self.groups)
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
        groups = _view(trace(net, data.example), self.groups)
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
        return statistics(net, groups, images.batches(250), [self.criterion])[self.criterion]

    def _retrain(self, table, net, groups, order, data, split: Split, work: Work) -> pd.DataFrame:
        """The same table with what is measured after retraining each pruned network."""
        whole = train.evaluate(net, split)
        unseen = replace(data, val=data.val[:0], test=data.test[:0])  # saves its evaluations
        points, done = table.to_dict("records"), work.points(*table.columns)
        bar = tqdm(total=len(points), initial=len(done), desc="retrain", leave=False,
                   disable=not work.progress)  # fmt: skip
        for point in points[len(done) :]:
            keep = {point["group"]: scores.best(order[point["group"]], point["kept"])}
            small = surgery.shrink(net, groups, keep)
            train.fit(small, unseen, self.retrain, seed=work.seed, progress=False)
            done.append(point | sensitivity.outcome(whole, train.evaluate(small, split)))
            work.keep(done)
            bar.update()
        bar.close()
        return pd.DataFrame(done, columns=table.columns)


def _view(groups: Groups, wanted: tuple[str, ...] | str | None) -> Groups:
    if wanted == "first":
        return groups.first_convolutions()
    return groups if wanted is None else groups.select(wanted)
