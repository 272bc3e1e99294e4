"""PFEC: the recipes behind its tables and figures.

Li, Kadav, Durdanovic, Samet, Graf. Pruning Filters for Efficient ConvNets. ICLR 2017.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from prunelab.methods import FilterNorm
from prunelab.methods.activation_statistic import STATISTICS
from prunelab.study.recipes import Recipe, check_preset
from prunelab.study.tasks import Baseline, Count, Norms, Prune, Scan, Scratch
from prunelab.train import Budget

STEM = "filter_norm"
IMAGENET = "imagefolder:imagenet"  # the folder `imagenet` of a data root; nothing downloads it


def stages(blocks: int, ratios: tuple[float, float, float], skip: Iterable[int]) -> dict:
    """Group name -> ratio for the first convolutions of a three-stage CIFAR ResNet.

    The paper numbers weight layers from 1, so the first convolution of block b (from 0) is 2 + 2 b.

    Source: PFEC, section 4.2 and Table 1; numbering as in pfec.md 4.2.
    """
    return {
        f"layer{stage + 1}.{block}.conv1": ratio
        for stage, ratio in enumerate(ratios)
        for block in range(blocks)
        if 2 + 2 * (stage * blocks + block) not in set(skip) and ratio > 0
    }


def _resnet34(ratios: tuple[float, ...]) -> dict:
    """First convolutions of ResNet-34, but 2, 8, 14, 16, 26, 28, 30, 32: PFEC, section 4.3."""
    skip, layer, out = {2, 8, 14, 16, 26, 28, 30, 32}, 2, {}
    for stage, (blocks, ratio) in enumerate(zip((3, 4, 6, 3), ratios)):
        for block in range(blocks):
            if layer not in skip and ratio > 0:
                out[f"layer{stage + 1}.{block}.conv1"] = ratio
            layer += 2
    return out


VGG_A = FilterNorm({f"features.conv{i}": 0.5 for i in (1, *range(8, 14))})
RESNET_56_A = FilterNorm(stages(9, (0.1, 0.1, 0.1), (16, 20, 38, 54)), residual="first")
RESNET_56_B = FilterNorm(stages(9, (0.6, 0.3, 0.1), (16, 18, 20, 34, 38, 54)), residual="first")
RESNET_110_A = FilterNorm(stages(18, (0.5, 0, 0), (36,)), residual="first")
RESNET_110_B = FilterNorm(stages(18, (0.5, 0.4, 0.3), (36, 38, 74)), residual="first")
# Table 1 by printed row: network and pruning rule. Source: PFEC, sections 4.1 to 4.3.
TABLE_1: dict[str, tuple[str, FilterNorm | None]] = {
    "VGG-16": ("vgg-16", None),
    "VGG-16-pruned-A": ("vgg-16", VGG_A),
    "ResNet-56": ("resnet-56", None),
    "ResNet-56-pruned-A": ("resnet-56", RESNET_56_A),
    "ResNet-56-pruned-B": ("resnet-56", RESNET_56_B),
    "ResNet-110": ("resnet-110", None),
    "ResNet-110-pruned-A": ("resnet-110", RESNET_110_A),
    "ResNet-110-pruned-B": ("resnet-110", RESNET_110_B),
    "ResNet-34": ("resnet-34", None),
    "ResNet-34-pruned-A": (
        "resnet-34",
        FilterNorm(_resnet34((0.3, 0.3, 0.3, 0)), residual="first"),
    ),
    "ResNet-34-pruned-B": (
        "resnet-34",
        FilterNorm(_resnet34((0.5, 0.6, 0.4, 0)), residual="first"),
    ),
    "ResNet-34-pruned-C": ("resnet-34", FilterNorm({"layer3.0.conv2": 0.2}, residual="shortcut")),
}
# The same rules on ResNet-20: its layers next to a change of width are 8, 14 and 18.
RESNET_20_A = FilterNorm(stages(3, (0.1, 0.1, 0.1), (8, 14, 18)), residual="first")
RESNET_20_B = FilterNorm(stages(3, (0.6, 0.3, 0.1), (8, 14, 18)), residual="first")
LENET_A = FilterNorm({"conv1": 0.5, "fc1": 0.5})
GRID = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Setting:
    """What a preset runs: a plain and a residual network, and how long.

    Attributes:
        models: a plain network, a residual one, and any more whose errors are measured.
        data: data set of each.
        budgets: training of each.
        retrain: retraining of each after pruning.
        seeds: how many seeds of each are measured at most; None = all that are asked for.
        pruned: rows of the accuracy table: network, label, rule.
        scratch: labels that also get scratch-E and scratch-B controls, and for how many seeds.
        ratios: grid of the scans.
        images: validation images that the scans of each network look at; None = all.
        views: groups that the scans of each network look at, as in `Scan`.
        figure_2: whose norms and scans before and after retraining are drawn; the other figures,
            with many scans each, use the first.
        touch_up: retraining of one pruned layer (Figure 2(c)), and its ratios.
    """

    models: tuple[str, ...]
    data: tuple[str, ...]
    budgets: tuple[Budget, ...]
    retrain: tuple[Budget, ...]
    seeds: tuple[int | None, ...]
    pruned: tuple[tuple[str, str, FilterNorm], ...]
    scratch: tuple[tuple[str, ...], int]
    ratios: tuple[float, ...]
    images: tuple[int | None, ...]
    views: tuple[tuple[str, ...] | str | None, ...]
    figure_2: int
    touch_up: tuple[Budget, tuple[float, ...]]


_SMALL = (("lenet-5", "lenet-5 A", LENET_A), ("resnet-20", "resnet-20 A", RESNET_20_A),
          ("resnet-20", "resnet-20 B", RESNET_20_B))  # fmt: skip
_CONVS = tuple(f"features.conv{i}" for i in range(1, 14))
_DIGITS = Budget(epochs=10, lr=0.02, batch=64, weight_decay=5e-4, schedule="onecycle")
_CIFAR = Budget(epochs=6, lr=0.2, batch=128, weight_decay=5e-4, nesterov=True, schedule="onecycle",
                augment="crop-flip", channels_last=True)  # fmt: skip
_CIFAR_RETRAIN = Budget(epochs=1.5, lr=0.002, batch=128, weight_decay=5e-4, augment="crop-flip",
                        channels_last=True)  # fmt: skip
_MNIST = Budget(epochs=5, lr=0.02, batch=64, weight_decay=5e-4, schedule="onecycle")
_MNIST_RETRAIN = Budget(epochs=1.25, lr=0.002, batch=64, weight_decay=5e-4)
# He et al. 2016 for training, PFEC section 4 for retraining (its epochs, its constant rate).
_PAPER = Budget(epochs=160, lr=0.1, batch=128, weight_decay=1e-4, schedule="step",
                milestones=(0.5, 0.75), augment="crop-flip", channels_last=True)  # fmt: skip
_PAPER_RETRAIN = Budget(epochs=40, lr=0.001, batch=128, weight_decay=1e-4, augment="crop-flip",
                        channels_last=True)  # fmt: skip
_IMAGENET = Budget(epochs=80, lr=0.1, batch=256, weight_decay=1e-4, schedule="step",
                   milestones=(0.375, 0.75), augment="resized-crop-flip",
                   channels_last=True)  # fmt: skip
_IMAGENET_RETRAIN = replace(_IMAGENET, epochs=20, lr=0.001, schedule="constant")


def _digits(epochs: float, ratios: tuple[float, ...], images: int | None) -> Setting:
    """Digits at a fraction of the full length."""
    plain, residual = _DIGITS.scaled(epochs), _DIGITS.scaled(0.6 * epochs)
    retrain = Budget(epochs=2 * epochs, lr=0.005, batch=64, weight_decay=5e-4)
    return Setting(
        models=("lenet-5", "resnet-20"), data=("digits", "digits"), budgets=(plain, residual),
        retrain=(retrain, retrain), seeds=(None, None), pruned=_SMALL,
        scratch=(("resnet-20 B",), 1), ratios=ratios,
        images=(images, images), views=(None, "first"), figure_2=0,
        touch_up=(retrain.scaled(0.5), ratios[1::3] or ratios),
    )  # fmt: skip


SETTINGS = {
    "smoke": _digits(0.02, (0.5, 0.9), 60),
    "quick": _digits(1, GRID, None),
    "standard": Setting(
        models=("lenet-5", "resnet-20", "vgg-16"), data=("mnist", "cifar10", "cifar10"),
        budgets=(_MNIST, _CIFAR, replace(_CIFAR, epochs=4, lr=0.1)),
        retrain=(_MNIST_RETRAIN, _CIFAR_RETRAIN, replace(_CIFAR_RETRAIN, epochs=1)),
        seeds=(None, None, None), pruned=(*_SMALL, ("vgg-16", "vgg-16 A", VGG_A)),
        scratch=(("lenet-5 A", "resnet-20 B"), 1), ratios=GRID, images=(None, 2000, 1000),
        views=(None, "first", _CONVS), figure_2=2,
        touch_up=(replace(_CIFAR_RETRAIN, epochs=0.2), (0.3, 0.6, 0.9)),
    ),
    "paper": Setting(
        models=("vgg-16", "resnet-56", "resnet-110", "resnet-34"),
        data=(*["cifar10"] * 3, IMAGENET),
        budgets=(_PAPER, _PAPER, replace(_PAPER, warmup=0.005), _IMAGENET),
        retrain=(*[_PAPER_RETRAIN] * 3, _IMAGENET_RETRAIN), seeds=(None, None, None, 1),
        pruned=tuple((model, row, rule) for row, (model, rule) in TABLE_1.items() if rule),
        scratch=(("VGG-16-pruned-A", "ResNet-56-pruned-B", "ResNet-110-pruned-B"), 3),
        ratios=GRID, images=(None,) * 4, views=(_CONVS, "first", "first", "first"), figure_2=0,
        touch_up=(replace(_PAPER_RETRAIN, epochs=20), GRID),
    ),
}  # fmt: skip


def recipes(preset: str, seeds: Iterable[int]) -> dict[str, list[Recipe]]:
    """All recipes of a preset, by what they are for: counts, accuracy, norms, scans, ...

    Those that need ImageNet are apart, under "imagenet": they can run only where it is.

    Raises:
        ValueError: an unknown preset.
    """
    setting = SETTINGS[check_preset(preset)]
    seeds = list(seeds)

    def recipe(which: int, label: str, task: object, seed: int = seeds[0]) -> Recipe:
        model, data = setting.models[which], setting.data[which]
        return Recipe(STEM, preset, label, task, model, data, setting.budgets[which], seed)

    out: dict[str, list[Recipe]] = {"counts": _counts(preset), "accuracy": [], "imagenet": []}
    labels, controls = setting.scratch
    for which, model in enumerate(setting.models):
        rows = out["imagenet" if setting.data[which] == IMAGENET else "accuracy"]
        for number, seed in enumerate(seeds[: setting.seeds[which]]):
            rows.append(recipe(which, model, Baseline(), seed))
            for name, label, rule in setting.pruned:
                if name != model:
                    continue
                rows.append(recipe(which, label, Prune(rule, setting.retrain[which]), seed))
                for letter in "EB" if label in labels and number < controls else "":
                    control = Scratch(rule, setting.budgets[which], letter)
                    rows.append(recipe(which, f"{label} scratch-{letter}", control, seed))

    def scan(which: int, criterion: str = "l1", **more: object) -> Recipe:
        fields = {
            "ratios": setting.ratios,
            "images": setting.images[which],
            "groups": setting.views[which],
        } | more
        return recipe(which, setting.models[which], Scan(criterion=criterion, **fields))

    def scans(*criteria: str) -> list[Recipe]:
        return [scan(0, c) for c in criteria]

    shown = setting.figure_2
    out["norms"] = [recipe(shown, setting.models[shown], Norms(groups=setting.views[shown]))]
    out["scan"] = [scan(shown)]
    out["residual"] = [scan(1)]
    out["orders"] = scans("l1", "random", "largest")
    out["criteria"] = scans("l1", *STATISTICS)
    out["norm order"] = scans("l1", "l2")
    budget, ratios = setting.touch_up
    out["retrained"] = [scan(shown, ratios=ratios, retrain=budget)]
    return out


def _counts(preset: str) -> list[Recipe]:
    return [
        Recipe(STEM, preset, label, Count(rule, *_sizes(model)), model)
        for label, (model, rule) in TABLE_1.items()
    ]


def _sizes(model: str) -> tuple[tuple[int, int, int], int]:
    return ((3, 224, 224), 1000) if model == "resnet-34" else ((3, 32, 32), 10)
