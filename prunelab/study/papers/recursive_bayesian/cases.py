"""RBP, a reconstruction: what is run.

Zhou, Zhang, Wang, Tian. Accelerate CNN via Recursive Bayesian Pruning. ICCV 2019. No recipe of it
is public: networks, budgets and strengths are ours, stated in `study.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from prunelab.methods import (
    FilterNorm,
    InformationBottleneck,
    RecursiveBayesian,
    StructuredBayesian,
)
from prunelab.study import counts
from prunelab.study.networks import CIFAR_LONG, IMAGENET, IMAGENET_PAPER, Network
from prunelab.study.printed import stated
from prunelab.study.study import Case
from prunelab.study.tasks import Count, Prune
from prunelab.train import Budget

STEM = "recursive_bayesian"
STATED = stated(STEM).settings
# RBP; the other way round; all layers at once, with noise for as many epochs as a layer has in RBP
# and then plain training up to the same length; all layers at once for as long as all stages.
ARMS = ("forward", "reverse", "at once", "throughout")
PRESETS = {
    "smoke": ("smoke",),
    "quick": ("quick",),
    "standard": ("lenet-300-100", "lenet-5"),
    "paper": ("lenet-300-100", "lenet-5", "preresnet-20"),
}

_CONVS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
# Printed network -> model, and what is thinned for its shape: all convolutions; the first two of
# each bottleneck, so that the residual streams stay.
INNER = {
    "VGG-16": ("vgg-16-imagenet", [f"features.{number}" for number in _CONVS]),
    "ResNet-50": (
        "resnet-50",
        [
            f"layer{stage}.{block}.conv{conv}"
            for stage, blocks in enumerate((3, 4, 6, 3), 1)
            for block in range(blocks)
            for conv in (1, 2)
        ],
    ),
}


@dataclass(frozen=True)
class Setting:
    """How the arms run on one network; a table of `study.toml`.

    Attributes:
        model, data: the network before pruning.
        plain: epochs of its training; None = the long training that all studies share.
        batch: images a step.
        epochs: of each stage.
        tune: of the fine-tuning.
        gates: further fields of the method.
        training: further fields of all budgets.
        taken: arm -> beta, the one that the rule takes.
        VIBNet, SBP: fields of the methods beside.
        grid: values of beta to choose from; none = nothing is chosen.
        further: arm -> values named after those of the grid had run.
        seen: how many seeds choose; the others are fresh.
        allowed: the largest mean validation error after fine-tuning, in percent.
        seeds: the largest number of seeds; None = all that are requested.
    """

    model: str
    data: str
    batch: int
    epochs: float
    tune: float
    gates: dict[str, Any]
    taken: dict[str, float]
    VIBNet: dict[str, Any]
    SBP: dict[str, Any]
    plain: int | None = None
    grid: tuple[float, ...] = ()
    further: dict[str, tuple[float, ...]] = field(default_factory=dict)
    seen: int = 0
    allowed: float = 100.0
    seeds: int | None = None
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def network(self) -> Network:
        trained = CIFAR_LONG if self.plain is None else self.budget(self.plain)
        return Network(self.model, self.data, trained)

    def strengths(self, arm: str) -> tuple[float, ...]:
        """All values of beta that an arm may have."""
        return (*self.grid, *self.further.get(arm, ()))

    @property
    def stages(self) -> int:
        """How many places RBP goes through."""
        return len(counts.network(self.model).whole)

    def budget(self, epochs: float) -> Budget:
        """Adam, constant for the first half of the run and then falling linearly to 0."""
        adam = {"lr": 1e-3, "optimizer": "adam", "weight_decay": 0.0, "schedule": "linear"}
        return Budget(epochs, batch=self.batch, milestones=(0.5,), **adam | self.training)

    def prune(self, arm: str, beta: float) -> Prune:
        """One arm: noise, then fine-tuning. All arms train for as many epochs."""
        noisy, plain = self.epochs, self.tune
        if arm == "at once":
            plain += self.epochs * (self.stages - 1)
        if arm == "throughout":
            noisy *= self.stages
        order = arm if arm in ("forward", "reverse") else "together"
        method = RecursiveBayesian(beta, budget=self.budget(noisy), order=order, **self.gates)
        return Prune(method, self.budget(plain))


SETTINGS = {
    preset: tuple(Setting(**STATED[name]) for name in names) for preset, names in PRESETS.items()
}


def cases(preset: str) -> Iterator[Case]:
    """The toy, the arms beside VIBNet and SBP, shapes. `standard`: those of `paper` on MNIST."""
    yield from _toy(**STATED["toy"])
    for setting in SETTINGS[preset]:
        yield from _arms(setting, "paper" if preset == "standard" else preset)
    for printed, ratio in STATED["shapes"].items():
        model, names = INNER[printed]
        count = partial(Count, shape=(3, 224, 224), classes=1000)
        task = count(FilterNorm(dict.fromkeys(names, ratio)))
        yield Case("counts", printed, Network(model), count(None), "whole")
        yield Case("counts", printed, Network(model), task, "pruned", (printed,))
        if preset == "paper":
            yield _imagenet(printed, model, **STATED["imagenet"])


def _toy(beta: float, epochs: int) -> Iterator[Case]:
    """The network with a duplicated channel; the same in all presets."""
    budget = Budget(epochs, 2e-3, 100, "adam", weight_decay=0.0)
    network = Network("mlp-2-3-2-1", "xor")
    for arm, order, times in (("forward", "forward", 1), ("throughout", "together", 2)):
        method = RecursiveBayesian(beta, budget=budget.scaled(times), order=order)
        yield Case("toy", arm, network, Prune(method), seeds=1, preset="quick")


def _arms(setting: Setting, preset: str) -> Iterator[Case]:
    """Each arm at the strength that is taken and at the others, and two relatives."""
    case = partial(Case, network=setting.network, preset=preset)
    for arm in ARMS:
        taken = setting.taken[arm]
        yield case("arms", arm, task=setting.prune(arm, taken), seeds=setting.seeds)
        for beta in setting.strengths(arm):
            if beta != taken:
                label, task = f"beta {beta:g}", setting.prune(arm, beta)
                yield case("candidates", arm, task=task, setting=label, seeds=setting.seen)
    long = setting.prune("throughout", 1.0)
    how = {"budget": long.method.budget, "inputs": long.method.inputs, "cut": long.method.cut}
    for name, make in (("VIBNet", InformationBottleneck), ("SBP", StructuredBayesian)):
        method = make(**how | getattr(setting, name))
        yield case("others", name, task=Prune(method, long.retrain), seeds=setting.seeds or 3)


def _imagenet(printed: str, model: str, beta: float, epochs: int, tune: int) -> Case:
    """The recipe for a GPU; its strength has not been tried."""
    trained = replace(IMAGENET_PAPER, precision="bfloat16")
    each = replace(trained, epochs=epochs, lr=0.01, milestones=(0.5,))
    task = Prune(RecursiveBayesian(beta, budget=each, cut=3.0), replace(each, epochs=tune))
    return Case("imagenet", printed, Network(model, IMAGENET, trained), task, seeds=1)
