"""Tasks: what can be measured on a trained network. Each is plain data with one verb, `run`.

`run(net, data, work)` returns a dict of plain values, the `values` of a ledger row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from prunelab import checks, cost, surgery, train
from prunelab.data import Dataset
from prunelab.groups import trace
from prunelab.methods.base import Method, Pruned, check_option
from prunelab.methods.discrimination.heads import supervised
from prunelab.study.scans import Norms, Scan
from prunelab.study.units import Units
from prunelab.study.weights import Weights
from prunelab.study.work import Work

__all__ = ["Baseline", "Count", "Norms", "Prune", "Scan", "Scratch", "price"]


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
        return self.made(net, data, work)[1]

    def made(self, net: nn.Module, data: Dataset, work: Work) -> tuple[nn.Module, dict]:
        """The network, and the values."""
        values = {"accuracy": train.evaluate(net, data.test).accuracy}
        return net, values | price(net, data.example)


SEEN = 5000  # training images that stand for all, at most: no more than test images


class Channels:
    """The recorder of methods that choose channels: widths, and the accuracy of what is left.

    Of methods that go in stages also the accuracy after each of them.
    """

    def __init__(self, method: Method, net: nn.Module, data: Dataset, work: Work):
        self.data, self.stages = data, []

    def watch(self, done: int, net: nn.Module) -> None:
        """Note how the network does after so many stages."""
        seen = self.data.train[: min(SEEN, len(self.data.test))]
        splits = {"accuracy": self.data.test, "train_accuracy": seen}
        found = {name: train.evaluate(net, split).accuracy for name, split in splits.items()}
        self.stages.append({"stage": done} | found)

    def values(self, small: nn.Module, done: Pruned) -> dict:
        """Values: accuracies, widths."""
        accuracy = train.evaluate(small, self.data.test).accuracy
        return {
            "accuracy_before_retraining": accuracy,
            "accuracy": accuracy,
            "widths": done.keep.widths(),
        } | ({"stages": self.stages} if self.stages else {})


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
        return self.made(net, data, work)[1]

    def made(self, net: nn.Module, data: Dataset, work: Work) -> tuple[nn.Module, dict]:
        """What is left of the network, and the values."""
        chosen = self.method.CHOOSES
        if chosen == "weights" and self.retrain is not None:
            raise ValueError("Prune: `retrain` would not hold the zeros of single weights")
        recorder = RECORDERS[chosen](self.method, net, data, work)
        done = self.method.run(net, data, **work.how(), watch=recorder.watch)
        if chosen == "weights":
            return net, recorder.values(net, done)
        small = surgery.shrink(net, trace(net, data.example), done.keep)
        values = recorder.values(small, done) | price(small, data.example)
        return small, values | (_retrained(small, data, self.retrain, work) if self.retrain else {})


@dataclass(frozen=True)
class Scratch:
    """The pruned shape, trained from new random weights: the control of PFEC and of Liu et al.

    Attributes:
        method: decides the shape.
        budget: as the baseline's.
        rule: "E", the same epochs; "B", the same compute: epochs times MACs full / MACs pruned.
        losses: how many auxiliary classifiers are trained with it, placed as those of DCP and then
            removed: "E" is its WM, with losses its WM+.

    Differs: new weights are drawn by each layer's default, not by the baseline's initialiser.

    Source: Liu et al. 2019, Rethinking the Value of Network Pruning, section 4.
    """

    KIND: ClassVar[str] = "scratch"

    method: Method
    budget: train.Budget
    rule: str = "E"
    losses: int = 0

    def __post_init__(self) -> None:
        check_option(self, "rule", ("E", "B"))
        checks.count("Scratch", "losses", self.losses, 0)

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Values as `Prune`'s, with the epochs used."""
        return self.made(net, data, work)[1]

    def made(self, net: nn.Module, data: Dataset, work: Work) -> tuple[nn.Module, dict]:
        """The network trained, and the values."""
        groups = trace(net, data.example)
        keep = self.method.prune(net, data, seed=work.seed, progress=work.progress)
        small = surgery.shrink(net, groups, keep)
        full, cut = (cost.measure(n, data.example).macs for n in (net, small))
        budget = self.budget.scaled(full / cut if self.rule == "B" else 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(work.seed + 1)
            small.apply(_fresh)
        values = {"epochs": budget.epochs, "widths": keep.widths()}
        doors = supervised(small, data, self.losses, work.seed) if self.losses else {}
        values |= _retrained(small, data, budget, work, **doors) | price(small, data.example)
        return small, values


def _fresh(module: nn.Module) -> None:
    """New weights at the layer's own default, which follows its pruned shape."""
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()


def _retrained(
    net: nn.Module, data: Dataset, budget: train.Budget, work: Work, **doors: Any
) -> dict:
    history = train.fit(net, data, budget, **work.how("retraining"), **doors)
    return {
        "accuracy": history.last["test_accuracy"],
        "best_accuracy": history.best["test_accuracy"],
        "history": history.rows,
    }
