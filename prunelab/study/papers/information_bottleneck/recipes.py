"""VIBNet: the recipes behind its tables and figures.

Dai, Zhu, Guo, Wipf. Compressing Neural Networks using the Variational Information Bottleneck.
ICML 2018.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from prunelab.methods import (
    BayesianCompression,
    DropNeuron,
    HardConcrete,
    InformationBottleneck,
    StructuredBayesian,
    VariationalDropout,
)
from prunelab.methods.base import Method
from prunelab.study.papers.information_bottleneck import vgg
from prunelab.study.papers.information_bottleneck.counts import STEM
from prunelab.study.recipes import Recipe, check_preset
from prunelab.study.units import CutUnits
from prunelab.train import Budget


@dataclass(frozen=True)
class Setting:
    """What a preset runs on one network.

    Attributes:
        model: the network.
        data: its images.
        bottleneck: the headline, VIBNet.
        frontier: other strengths of it, run with the first seed.
        others: label -> method, the rows it is compared with.
        reference: training of the network that the methods start from; None = its first weights.
    """

    model: str
    data: str
    bottleneck: InformationBottleneck
    frontier: tuple[float, ...] = ()
    others: Mapping[str, Method] = field(default_factory=dict)
    reference: Budget | None = None


def _adam(epochs: float, batch: int, lr: float = 1e-3, flat: float = 0.5) -> Budget:
    return Budget(epochs=epochs, lr=lr, batch=batch, optimizer="adam", weight_decay=0.0,
                  schedule="linear", milestones=(flat,))  # fmt: skip


def _sgd(epochs: float, batch: int) -> Budget:
    """Adam steps are of one size: too large for DropNeuron's proximal steps to count."""
    return Budget(epochs=epochs, lr=0.05, batch=batch, weight_decay=0.0, schedule="linear",
                  milestones=(0.5,))  # fmt: skip


INPUTS = ("fc1",)  # of the layer that reads pixels, or the flattened maps
_START = {"fc1.inputs": 0.8, "fc1": 0.5, "fc2": 0.5}  # of L0's gates, as in the authors' code


def _bottleneck(kl: float, budget: Budget, **options: float) -> InformationBottleneck:
    return InformationBottleneck(kl, budget=budget, inputs=INPUTS, cut=3.0, **options)


def _digits(epochs: float) -> tuple[Setting, ...]:
    """Few steps: the gates learn at many times the weights' rate."""
    budget = _adam(epochs, 64)
    gates = {"budget": budget, "inputs": INPUTS}
    others = {
        "VD": VariationalDropout(**gates, rate=10.0, ramp=0.5),
        "SBP": StructuredBayesian(**gates, rate=50.0, ramp=0.3, cut=1.0),
        "BC-GNJ": BayesianCompression(**gates, rate=7.0, ramp=0.8, threshold=-1.0, cut=2.0),
        "L0": HardConcrete(0.02, **gates, rate=20.0, start=_START, cut=2.0),
        "L0-sep": HardConcrete({"fc1.inputs": 0.02, "fc1": 0.06, "fc2": 0.4}, **gates, rate=20.0,
                               start=_START, cut=2.0),
        "DN": DropNeuron(_sgd(epochs, 64), 0.03, 0.15, inputs=INPUTS),
    }  # fmt: skip
    method = _bottleneck(3e-3, budget, rate=20.0, ramp=0.3)
    return (Setting("lenet-300-100", "digits", method, (1e-3, 1e-2), others),)


def _mnist() -> tuple[Setting, ...]:
    """LeNet-300-100 from its first weights, LeNet-5 from three plain epochs."""
    gates = {"budget": _adam(60, 100), "inputs": INPUTS, "rate": 4.0, "start": _START}
    small = Setting(
        "lenet-300-100", "mnist", _bottleneck(5e-4, _adam(100, 100)), (2e-4, 1e-3),
        {
            "VD": VariationalDropout(budget=_adam(25, 100), inputs=INPUTS, ramp=0.5),
            "BC-GNJ": BayesianCompression(budget=_adam(50, 100), inputs=INPUTS, rate=1.5, ramp=0.5,
                                          threshold=-1.0, cut=2.0),
            "BC-GHS": BayesianCompression("horseshoe", budget=_adam(40, 100), inputs=INPUTS,
                                          rate=4.0, ramp=0.5, cut=3.0),
            "L0": HardConcrete(0.1, **gates, cut=2.0),
            "L0-sep": HardConcrete({"fc1.inputs": 0.1, "fc1": 0.5, "fc2": 5.0}, **gates, cut=2.0),
            "DN": DropNeuron(_sgd(20, 100), 0.003, 0.012, inputs=INPUTS),
        },
    )  # fmt: skip
    longer = {"budget": _adam(25, 100), "inputs": INPUTS, "rate": 5.0}
    noisy = {"budget": _adam(12, 100), "inputs": INPUTS, "rate": 8.0, "ramp": 0.5}
    convolutional = Setting(
        "lenet-5-relu", "mnist", _bottleneck(3.5e-4, _adam(20, 64)), (1.5e-4, 8e-4),
        {
            "VD": VariationalDropout(budget=_adam(15, 100), inputs=INPUTS, rate=5.0, ramp=0.3),
            "SBP": StructuredBayesian(budget=_adam(20, 100), inputs=INPUTS, rate=30.0, cut=1.0),
            "L0": HardConcrete(0.2, **longer, cut=2.0),
            "L0-sep": HardConcrete({"conv1": 10.0, "conv2": 0.5, "fc1.inputs": 0.3, "fc1": 10.0},
                                   **longer, cut=2.0),
            "BC-GNJ": BayesianCompression(**noisy, threshold=-1.0, cut=1.0),
            "BC-GHS": BayesianCompression("horseshoe", **noisy, cut=3.0),
        },
        _adam(3, 64),
    )  # fmt: skip
    return small, convolutional


SETTINGS: dict[str, tuple[Setting, ...]] = {
    "smoke": _digits(2),
    "quick": _digits(30),
    "standard": _mnist(),
    "paper": _mnist(),
}


def recipes(preset: str, seeds: Iterable[int]) -> dict[str, list[Recipe]]:
    """All recipes of a preset, by what they are for.

    `standard` is `paper` on MNIST, with the first seed only of the methods beside VIBNet. CIFAR is
    apart: "vgg" needs a GPU, "cifar" is a small network for `standard`.

    Raises:
        ValueError: an unknown preset.
    """
    settings, seeds = SETTINGS[check_preset(preset)], list(seeds)
    name = "paper" if preset == "standard" else preset
    once = ("frontier", "others") if preset == "standard" else ("frontier",)
    out: dict[str, list[Recipe]] = {"bottleneck": [], "frontier": [], "others": []}
    for setting in settings:
        for part, label, method in _methods(setting):
            out[part] += [
                Recipe(STEM, name, label, CutUnits(method), setting.model, setting.data,
                       setting.reference, seed)
                for seed in (seeds[:1] if part in once else seeds)
            ]  # fmt: skip
    out["vgg"] = vgg.recipes(seeds) if preset == "paper" else []
    out["cifar"] = vgg.cifar(seeds[:1]) if preset == "standard" else []
    return out


def _methods(setting: Setting) -> Iterable[tuple[str, str, Method]]:
    """Part, label and method of everything that is run on one network."""
    yield "bottleneck", "VIBNet", setting.bottleneck
    for kl in setting.frontier:
        yield "frontier", f"VIBNet, kl {kl:g}", replace(setting.bottleneck, kl=kl)
    for label, method in setting.others.items():
        yield "others", label, method
