"""VIBNet: the recipes behind its tables and figures.

Dai, Zhu, Guo, Wipf. Compressing Neural Networks using the Variational Information Bottleneck.
ICML 2018.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from prunelab.methods import HardConcrete, InformationBottleneck, VariationalDropout
from prunelab.methods.base import Method
from prunelab.study.recipes import Recipe, check_preset
from prunelab.study.units import CutUnits
from prunelab.train import Budget

STEM = "information_bottleneck"


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


def _digits(epochs: float) -> tuple[Setting, ...]:
    budget = _adam(epochs, 64)
    method = InformationBottleneck(3e-3, budget=budget, inputs=("fc1",), rate=20.0,
                                   ramp=0.3)  # fmt: skip
    return (Setting("lenet-300-100", "digits", method, (1e-3, 1e-2)),)


INPUTS = ("fc1",)  # of the layer that reads pixels, or the flattened maps
_START = {"fc1.inputs": 0.8, "fc1": 0.5, "fc2": 0.5}  # of L0's gates, as the authors' code
_MNIST = (
    Setting(
        "lenet-300-100", "mnist",
        InformationBottleneck(5e-4, budget=_adam(100, 100), inputs=INPUTS, cut=3.0),
        (2e-4, 1e-3),
        {
            "VD": VariationalDropout(budget=_adam(25, 100), inputs=INPUTS, ramp=0.5),
            "L0": HardConcrete(0.4, budget=_adam(40, 100), inputs=INPUTS, start=_START, cut=2.0),
            "L0-sep": HardConcrete({"fc1.inputs": 0.3, "fc1": 1.0, "fc2": 10.0},
                                   budget=_adam(40, 100), inputs=INPUTS, start=_START, cut=2.0),
        },
    ),
    Setting(
        "lenet-5-relu", "mnist",
        InformationBottleneck(3.5e-4, budget=_adam(20, 64), inputs=INPUTS, cut=3.0),
        (1.5e-4, 7e-4), reference=_adam(3, 64),
    ),
)  # fmt: skip
SETTINGS: dict[str, tuple[Setting, ...]] = {
    "smoke": _digits(2),
    "quick": _digits(30),
    "standard": _MNIST,
    "paper": _MNIST,
}


def recipes(preset: str, seeds: Iterable[int]) -> dict[str, list[Recipe]]:
    """All recipes of a preset, by what they are for.

    `standard` is `paper` on MNIST.

    Raises:
        ValueError: an unknown preset.
    """
    settings, seeds = SETTINGS[check_preset(preset)], list(seeds)
    name = "paper" if preset == "standard" else preset
    out: dict[str, list[Recipe]] = {"bottleneck": [], "frontier": [], "others": []}
    for setting in settings:
        for part, label, method in _methods(setting):
            out[part] += [
                Recipe(STEM, name, label, CutUnits(method), setting.model, setting.data,
                       setting.reference, seed)
                for seed in (seeds[:1] if part == "frontier" else seeds)
            ]  # fmt: skip
    return out


def _methods(setting: Setting) -> Iterable[tuple[str, str, Method]]:
    """Part, label and method of everything that is run on one network."""
    yield "bottleneck", "VIBNet", setting.bottleneck
    for kl in setting.frontier:
        yield "frontier", f"VIBNet, kl {kl:g}", replace(setting.bottleneck, kl=kl)
    for label, method in setting.others.items():
        yield "others", label, method
