"""PFEC: what is run.

Li, Kadav, Durdanovic, Samet, Graf. Pruning Filters for Efficient ConvNets. ICLR 2017.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from prunelab.methods import FilterNorm
from prunelab.methods.activation_statistic import STATISTICS
from prunelab.study.networks import GRIDS, IMAGENET, IMAGENET_PAPER, NETWORKS, Network
from prunelab.study.study import Case
from prunelab.study.tasks import Baseline, Count, Norms, Prune, Scan, Scratch
from prunelab.train import Budget

# What is pruned


def stages(blocks: tuple[int, ...], ratios: tuple[float, ...], skip: Iterable[int]) -> dict:
    """Group name -> ratio for the first convolutions of the residual blocks, stage by stage.

    The paper numbers weight layers from 1, so the first convolution of block b (from 0) is 2 + 2 b.

    Source: PFEC, sections 4.2 and 4.3, and Table 1; numbering as in pfec.md 4.2.
    """
    layer, out = 2, {}
    for stage, (many, ratio) in enumerate(zip(blocks, ratios), start=1):
        for block in range(many):
            if layer not in skip and ratio > 0:
                out[f"layer{stage}.{block}.conv1"] = ratio
            layer += 2
    return out


def _first(*rule: object) -> FilterNorm:
    return FilterNorm(stages(*rule), residual="first")


_RESNET_34 = (3, 4, 6, 3), (2, 8, 14, 16, 26, 28, 30, 32)
# Printed row of Table 1 -> network and rule. Source: PFEC, sections 4.1 to 4.3.
TABLE_1: dict[str, tuple[str, FilterNorm | None]] = {
    "VGG-16": ("vgg-16", None),
    "VGG-16-pruned-A": (
        "vgg-16",
        FilterNorm({f"features.conv{i}": 0.5 for i in (1, *range(8, 14))}),
    ),
    "ResNet-56": ("resnet-56", None),
    "ResNet-56-pruned-A": ("resnet-56", _first((9,) * 3, (0.1, 0.1, 0.1), (16, 20, 38, 54))),
    "ResNet-56-pruned-B": (
        "resnet-56",
        _first((9,) * 3, (0.6, 0.3, 0.1), (16, 18, 20, 34, 38, 54)),
    ),
    "ResNet-110": ("resnet-110", None),
    "ResNet-110-pruned-A": ("resnet-110", _first((18,) * 3, (0.5, 0, 0), (36,))),
    "ResNet-110-pruned-B": ("resnet-110", _first((18,) * 3, (0.5, 0.4, 0.3), (36, 38, 74))),
    "ResNet-34": ("resnet-34", None),
    "ResNet-34-pruned-A": ("resnet-34", _first(_RESNET_34[0], (0.3, 0.3, 0.3, 0), _RESNET_34[1])),
    "ResNet-34-pruned-B": ("resnet-34", _first(_RESNET_34[0], (0.5, 0.6, 0.4, 0), _RESNET_34[1])),
    "ResNet-34-pruned-C": ("resnet-34", FilterNorm({"layer3.0.conv2": 0.2}, residual="shortcut")),
}
UNPRUNED = {model: row for row, (model, rule) in TABLE_1.items() if rule is None}
# The same rules on smaller networks: name -> network, rule, printed row. The layers of ResNet-20
# next to a change of width are 8, 14 and 18.
SMALL = {
    "lenet-5 A": ("lenet-5", FilterNorm({"conv1": 0.5, "fc1": 0.5}), ""),
    "resnet-20 A": (
        "resnet-20",
        _first((3,) * 3, (0.1, 0.1, 0.1), (8, 14, 18)),
        "ResNet-56-pruned-A",
    ),
    "resnet-20 B": (
        "resnet-20",
        _first((3,) * 3, (0.6, 0.3, 0.1), (8, 14, 18)),
        "ResNet-56-pruned-B",
    ),
    "vgg-16 A": (*TABLE_1["VGG-16-pruned-A"], "VGG-16-pruned-A"),
}
PAPER = {row: (*pruned, row) for row, pruned in TABLE_1.items() if pruned[1]}

# What is run


@dataclass(frozen=True)
class Setting:
    """What a preset does with its networks.

    Attributes:
        rules: name -> network, rule, printed row.
        retrain: model -> training after pruning; "" = of all others.
        scratch: names that are also trained from new weights, and for how many seeds.
        shown: the network whose norms and scans before and after retraining are drawn; the other
            figures, with many scans each, use the first.
        touch_up: retraining of one pruned layer (Figure 2(c)), and its ratios.
    """

    rules: dict[str, tuple[str, FilterNorm, str]]
    retrain: dict[str, Budget]
    scratch: tuple[set[str], int]
    touch_up: tuple[Budget, tuple[float, ...]]
    shown: int = 0


# Its epochs and constant rate: PFEC, section 4.
_RETRAIN = Budget(
    epochs=40, lr=0.001, batch=128, weight_decay=1e-4, augment="crop-flip", channels_last=True
)
_SHORT = replace(_RETRAIN, epochs=1.5, lr=0.002, weight_decay=5e-4)
_MNIST = Budget(epochs=1.25, lr=0.002, batch=64, weight_decay=5e-4)
_IMAGENET = replace(IMAGENET_PAPER, epochs=20, lr=0.001, schedule="constant")


def _digits(epochs: float, ratios: tuple[float, ...]) -> Setting:
    retrain = Budget(epochs=2 * epochs, lr=0.005, batch=64, weight_decay=5e-4)
    touch_up = (retrain.scaled(0.5), ratios)
    return Setting(SMALL, {"": retrain}, ({"resnet-20 B"}, 1), touch_up)


SETTINGS = {
    "smoke": _digits(0.02, (0.9,)),
    "quick": _digits(1, (0.2, 0.5, 0.8)),
    "standard": Setting(
        SMALL,
        {"lenet-5": _MNIST, "resnet-20": _SHORT, "vgg-16": replace(_SHORT, epochs=1)},
        ({"lenet-5 A", "resnet-20 B"}, 1),
        (replace(_SHORT, epochs=0.2), (0.3, 0.6, 0.9)),
        shown=2,
    ),
    "paper": Setting(
        PAPER,
        {"": _RETRAIN, "resnet-34": _IMAGENET},
        ({"VGG-16-pruned-A", "ResNet-56-pruned-B", "ResNet-110-pruned-B"}, 3),
        (replace(_RETRAIN, epochs=20), GRIDS["paper"]),
    ),
}
_CONVS = tuple(f"features.conv{i}" for i in range(1, 14))


def cases(preset: str) -> Iterator[Case]:
    """What is counted, trained and scanned."""
    networks, own = NETWORKS[preset], SETTINGS[preset]
    for row, (model, rule) in TABLE_1.items():
        shape = ((3, 224, 224), 1000) if model == "resnet-34" else ((3, 32, 32), 10)
        yield Case("counts", row, Network(model), Count(rule, *shape), printed=(row,))
    for network in networks:
        yield from _accuracy(network, own)
    scan = partial(_scan, ratios=GRIDS[preset])
    plain, residual, shown = networks[0], networks[1], networks[own.shown]
    yield Case("norms", shown.model, shown, Norms(groups=_view(shown)), seeds=1)
    yield scan("scan", shown)
    yield scan("residual", residual)
    for part, criteria in FIGURES.items():
        for criterion in criteria:
            yield scan(part, plain, criterion=criterion)
    budget, ratios = own.touch_up
    yield _scan("retrained", shown, ratios, retrain=budget)


FIGURES = {
    "orders": ("l1", "random", "largest"),
    "criteria": ("l1", *STATISTICS),
    "norm order": ("l1", "l2"),
}


def _accuracy(network: Network, own: Setting) -> Iterator[Case]:
    """The network unpruned, pruned by each of its rules, and trained from scratch."""
    part, seeds = ("imagenet", 1) if network.data == IMAGENET else ("accuracy", None)
    case = partial(Case, part, network=network, seeds=seeds)
    row = (UNPRUNED.get(network.model, ""),)
    yield case(network.model, task=Baseline(), printed=row)
    retrain = own.retrain.get(network.model) or own.retrain[""]
    for name, (model, rule, row) in own.rules.items():
        if model != network.model:
            continue
        yield case(name, task=Prune(rule, retrain), printed=(row,))
        for letter in "EB" if name in own.scratch[0] else "":
            twin = f"{row} scratch-train" if row and letter == "E" else ""
            task = Scratch(rule, network.budget, letter)
            yield case(f"{name} scratch-{letter}", task=task, printed=(twin,), seeds=own.scratch[1])


def _view(network: Network) -> tuple[str, ...] | str | None:
    """The groups that scans look at, as in `Scan`."""
    return {"vgg-16": _CONVS, "lenet-5": None}.get(network.model, "first")


def _scan(part: str, network: Network, ratios: tuple[float, ...], **more: object) -> Case:
    task = Scan(ratios, groups=_view(network), images=network.images, **more)
    return Case(part, network.model, network, task, seeds=1)
