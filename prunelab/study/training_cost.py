"""What training costs: the operations of a recipe, and how fast trainings were here.

Counted are the forward and backward passes of convolutions and linear layers over training images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd
import torch
from torch import nn

from prunelab import cost, models
from prunelab.data.loading import VALIDATION_SIZE
from prunelab.data.public import WHOLE
from prunelab.groups import trace
from prunelab.methods import DiscriminationAware, FilterNorm, NetworkSurgery, RecursiveBayesian
from prunelab.methods.base import Method
from prunelab.study.recipes import IMAGENET, Recipe, digest
from prunelab.study.scans import Scan, view
from prunelab.study.tasks import Count, Scratch
from prunelab.study.work import Work
from prunelab.train import Budget

# Training images, those held out for validation among them; shape; classes.
SETS: dict[str, tuple[int, tuple[int, int, int], int]] = {
    "mnist": (60_000, (1, 28, 28), 10),
    "fashion_mnist": (60_000, (1, 28, 28), 10),
    "cifar10": (50_000, (3, 32, 32), 10),
    "cifar100": (50_000, (3, 32, 32), 100),
    IMAGENET: (1_281_167, (3, 224, 224), 1000),
}
# A multiply-accumulate is two operations, and a backward pass costs as much as two forward passes.
PER_MAC = 6
GOAL = 30 * 60  # seconds that the MNIST and CIFAR parts of the series shall take on one GPU


@dataclass(frozen=True)
class Training:
    """One of the trainings of a recipe.

    Attributes:
        when: before, during or after the pruning.
        budget: its length and batch.
        macs: of the network, for one image.
        images: that are trained on.
    """

    when: str
    budget: Budget
    macs: int
    images: int

    @property
    def flops(self) -> float:
        """Floating-point operations of all its steps."""
        return PER_MAC * self.macs * self.images * self.budget.epochs


def trainings(recipe: Recipe) -> list[Training]:
    """All trainings of a recipe, in order; on a data set of `SETS`.

    A method's own trainings count as those of the whole network, also while it gets smaller, and so
    does a network whose size follows from the training, and each network of a scan. What a method
    computes besides, to choose channels, is not counted.
    """
    name, task = str(recipe.data).partition("+")[0], recipe.task
    most, shape, classes = SETS[name]
    images = most - (0 if WHOLE in str(recipe.data) else VALIDATION_SIZE)
    net, method = (recipe.model, shape, classes), getattr(task, "method", None)
    whole = _macs(*net)
    found = [("before", recipe.budget, whole)] if recipe.budget else []
    found += [("during", budget, whole) for budget in _stages(net, method)]
    if isinstance(task, Scratch):
        left = _left(net, method)
        found.append(("after", task.budget.scaled(whole / left if task.rule == "B" else 1), left))
    elif getattr(task, "retrain", None) is not None:
        many = _points(net, task) if isinstance(task, Scan) else 1
        found.append(("after", task.retrain.scaled(many), _left(net, method)))
    return [Training(*one, images) for one in found]


def total(recipes: Iterable[Recipe]) -> float:
    """Operations of the trainings of several recipes; a network that they share is trained once."""
    seen, flops = set(), 0.0
    for recipe in recipes:
        first = recipe.trained_key not in seen
        seen.add(recipe.trained_key)
        flops += sum(one.flops for one in trainings(recipe) if first or one.when != "before")
    return flops


def goal() -> pd.DataFrame:
    """What one seed of MNIST and CIFAR costs to train, a line a paper, and the speed of the goal.

    Its columns are paper, and for the presets standard and paper the sum in PFLOP. The last line is
    the mean speed in TFLOP a second at which all of it would take `GOAL`.
    """
    from prunelab.study.papers import studies  # which need this module's own neighbours first

    lines, sums = [], dict.fromkeys(("standard", "paper"), 0.0)
    for study in sorted(studies().values(), key=lambda one: one.said.notebook):
        line = {"training, one seed": study.stem}
        for preset in sums:
            parts = study.recipes(preset, (0,)).values()
            own = (one for part in parts for one in part if one.data != IMAGENET)
            flops = total(one for one in own if str(one.data).partition("+")[0] in SETS)
            sums[preset] += flops
            line[f"{preset}, PFLOP"] = f"{flops / 1e15:,.1f}"
        lines.append(line)
    speeds = {f"{name}, PFLOP": f"{flops / GOAL / 1e12:,.1f}" for name, flops in sums.items()}
    whole = {f"{name}, PFLOP": f"{flops / 1e15:,.1f}" for name, flops in sums.items()}
    lines += [{"training, one seed": "together"} | whole]
    lines += [{"training, one seed": f"TFLOP/s for {GOAL // 60} minutes"} | speeds]
    return pd.DataFrame(lines)


_LEFT: dict[str, int] = {}  # MACs after pruning, by what was pruned
Net = tuple[str, tuple[int, int, int], int]  # model, shape of an image, classes


def _stages(net: Net, method: Any) -> list[Budget]:
    """The trainings of a method itself."""
    if isinstance(method, NetworkSurgery):
        return [method.budget] * (1 if method.phases == "together" else 2)
    if isinstance(method, DiscriminationAware):
        return [method.finetune] * (1 + (3 if method.losses is None else method.losses))
    if isinstance(method, RecursiveBayesian):
        return [method.budget] * len(method.stages(_gates(*net)))
    fields = () if method is None else vars(method).values()
    return [value for value in fields if isinstance(value, Budget)]


def _build(model: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
    return models.build(model, classes, shape[0])


@cache
def _macs(model: str, shape: tuple[int, int, int], classes: int) -> int:
    with torch.device("meta"):
        return cost.measure(_build(model, shape, classes), torch.empty(1, *shape)).macs


@cache
def _gates(model: str, shape: tuple[int, int, int], classes: int) -> Mapping[str, Any]:
    net, example = _build(model, shape, classes), torch.zeros(1, *shape)
    return RecursiveBayesian(1.0, budget=Budget(1)).gated(net, example).gates


def _left(net: Net, method: Any) -> int:
    """MACs after pruning, if they follow from the method's ratios; else those of the network."""
    ratios = getattr(method, "ratios", None)
    if ratios is None or not isinstance(method, Method):
        return _macs(*net)
    rule = method if isinstance(method, FilterNorm) else FilterNorm(ratios)
    name = digest([*net, rule])
    if name not in _LEFT:
        _LEFT[name] = Count(rule, *net[1:]).run(_build(*net), None, Work())["macs"]
    return _LEFT[name]


def _points(net: Net, scan: Scan) -> int:
    """Networks that a scan trains: one for each group and ratio."""
    groups = trace(_build(*net), torch.zeros(1, *net[1]))
    return len(view(groups, scan.groups)) * len(scan.ratios)


def achieved(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """What trainings in some ledger rows achieved, the fastest of each network and device.

    Its columns are network, data, device, precision, images_s and gflop_s (a second). The time
    includes the evaluation after each epoch.
    """
    found = []
    for row in rows:
        recipe, values = row["recipe"], row["values"]
        if "training_seconds" in values and "macs" in values:
            images = values["history"][-1]["step"] * recipe["budget"]["batch"]
            speed = images / values["training_seconds"]
            many = row.get("processes", 1) * row.get("threads", 1)
            cores = f"cpu, {many} thread{'s' * (many > 1)}"
            device = cores if row["device"] == "cpu" else row["device_name"]
            found.append(
                {
                    "network": recipe["model"],
                    "data": recipe["data"],
                    "device": device,
                    "precision": recipe["budget"].get("precision", "float32"),
                    "images_s": speed,
                    "gflop_s": PER_MAC * values["macs"] * speed / 1e9,
                }
            )
    columns = ["network", "data", "device", "precision", "images_s", "gflop_s"]
    frame = pd.DataFrame(found, columns=columns).sort_values("gflop_s", ascending=False)
    return frame.drop_duplicates(columns[:4]).reset_index(drop=True)
