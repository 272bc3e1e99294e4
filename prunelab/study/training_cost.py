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

from prunelab import cost, models
from prunelab.data.loading import VALIDATION_SIZE
from prunelab.methods import DiscriminationAware, FilterNorm, NetworkSurgery, RecursiveBayesian
from prunelab.study.recipes import Recipe
from prunelab.study.tasks import Count
from prunelab.study.work import Work
from prunelab.train import Budget

IMAGES = 1_281_167 - VALIDATION_SIZE  # of ILSVRC-12 that are trained on
SHAPE, CLASSES = (3, 224, 224), 1000
# A multiply-accumulate is two operations, and a backward pass costs as much as two forward passes.
PER_MAC = 6


@dataclass(frozen=True)
class Training:
    """One of the trainings of a recipe.

    Attributes:
        when: before, during or after the pruning.
        budget: its length and batch.
        macs: of the network, for one image.
    """

    when: str
    budget: Budget
    macs: int

    @property
    def flops(self) -> float:
        """Floating-point operations of all its steps."""
        return PER_MAC * self.macs * IMAGES * self.budget.epochs


def trainings(recipe: Recipe) -> list[Training]:
    """All trainings of a recipe, in order.

    A method's own trainings count as those of the whole network, also while it gets smaller, and so
    does a network whose size follows from the training. What a method computes besides, to choose
    channels, is not counted.
    """
    whole, method = _macs(recipe.model), getattr(recipe.task, "method", None)
    found = [Training("before", recipe.budget, whole)] if recipe.budget else []
    found += [Training("during", budget, whole) for budget in _stages(recipe.model, method)]
    if getattr(recipe.task, "retrain", None) is not None:
        found.append(Training("after", recipe.task.retrain, _left(recipe.model, method)))
    return found


def _stages(model: str, method: Any) -> list[Budget]:
    """The trainings of a method itself."""
    if isinstance(method, NetworkSurgery):
        return [method.budget] * (1 if method.phases == "together" else 2)
    if isinstance(method, DiscriminationAware):
        return [method.finetune] * (1 + (3 if method.losses is None else method.losses))
    if isinstance(method, RecursiveBayesian):
        return [method.budget] * len(method.stages(_gates(model)))
    return []


@cache
def _macs(model: str) -> int:
    with torch.device("meta"):
        return cost.measure(models.build(model, CLASSES), torch.empty(1, *SHAPE)).macs


@cache
def _gates(model: str) -> Mapping[str, Any]:
    net = models.build(model, CLASSES)
    return RecursiveBayesian(1.0, budget=Budget(1)).gated(net, torch.zeros(1, *SHAPE)).gates


def _left(model: str, method: Any) -> int:
    """MACs after pruning, if they follow from the method's ratios; else those of the network."""
    ratios = getattr(method, "ratios", None)
    if ratios is None:
        return _macs(model)
    rule = method if isinstance(method, FilterNorm) else FilterNorm(ratios)
    return Count(rule, SHAPE, CLASSES).run(models.build(model, CLASSES), None, Work())["macs"]


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
