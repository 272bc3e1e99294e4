"""PFEC: what is run.

Li, Kadav, Durdanovic, Samet, Graf. Pruning Filters for Efficient ConvNets. ICLR 2017.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from prunelab.methods import FilterNorm
from prunelab.methods.activation_statistic import STATISTICS
from prunelab.study.networks import (
    GRIDS,
    IMAGENET,
    IMAGENET_PAPER,
    NETWORKS,
    RESNET_56,
    VGG_16,
    VGG_16_SHORT,
    Network,
)
from prunelab.study.study import Case
from prunelab.study.tasks import Baseline, Count, Norms, Prune, Scan, Scratch
from prunelab.train import Budget


def stages(blocks: tuple[int, ...], ratios: tuple[float, ...], skip: Iterable[int]) -> dict:
    """Group name -> ratio for the first convolutions of the residual blocks, by stage.

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
_VGG_A = FilterNorm({f"features.conv{i}": 0.5 for i in (1, *range(8, 14))})
# Printed row of Table 1 -> network and rule. Source: PFEC, sections 4.1 to 4.3.
TABLE_1: dict[str, tuple[str, FilterNorm | None]] = {
    "VGG-16": ("vgg-16", None),
    "VGG-16-pruned-A": ("vgg-16", _VGG_A),
    "ResNet-56": ("resnet-56", None),
    "ResNet-56-pruned-A": ("resnet-56", _first((9,) * 3, (0.1,) * 3, (16, 20, 38, 54))),
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
PAPER = {row: (*pruned, row) for row, pruned in TABLE_1.items() if pruned[1]}
# The same rules on smaller networks: name -> network, rule, printed row.
_NEXT = (8, 14, 18)  # the layers of ResNet-20 next to a change of width
SMALL = {
    "lenet-5 A": ("lenet-5", FilterNorm({"conv1": 0.5, "fc1": 0.5}), ""),
    "resnet-20 A": ("resnet-20", _first((3,) * 3, (0.1,) * 3, _NEXT), "ResNet-56-pruned-A"),
    "resnet-20 B": ("resnet-20", _first((3,) * 3, (0.6, 0.3, 0.1), _NEXT), "ResNet-56-pruned-B"),
    "vgg-16 A": ("vgg-16", _VGG_A, "VGG-16-pruned-A"),
    **{
        f"resnet-56 {letter}": (
            *TABLE_1[f"ResNet-56-pruned-{letter}"],
            f"ResNet-56-pruned-{letter}",
        )
        for letter in "AB"
    },
}

# Retraining: epochs and constant rate of preset paper are those of PFEC, section 4.
_PAPER = Budget(
    epochs=40, lr=0.001, batch=128, weight_decay=1e-4, augment="crop-flip", channels_last=True
)
_SHORT = replace(_PAPER, epochs=1.5, lr=0.002, weight_decay=5e-4)


def _quarter(training: Budget) -> Budget:
    """As long beside the training as in the paper, at the paper's rate; the rest as in training."""
    return replace(training.scaled(0.25), lr=_PAPER.lr, schedule="constant")


_MNIST = Budget(epochs=1.25, lr=0.002, batch=64, weight_decay=5e-4)
_DIGITS = Budget(epochs=2, lr=0.005, batch=64, weight_decay=5e-4)
_IMAGENET = replace(IMAGENET_PAPER, epochs=20, lr=0.001, schedule="constant")
# By preset: model -> training after pruning; "" = of all others.
RETRAIN = {
    "smoke": {"": _DIGITS.scaled(0.02)},
    "quick": {"": _DIGITS},
    "standard": {
        "lenet-5": _MNIST,
        "resnet-20": _SHORT,
        "vgg-16": _quarter(VGG_16),
        "resnet-56": _quarter(RESNET_56),
    },
    "paper": {"": _PAPER, "resnet-34": _IMAGENET},
}
# Rules whose networks are also trained from new weights, and for how many seeds.
SCRATCH = {
    "smoke": ({"resnet-20 B"}, 1),
    "quick": ({"resnet-20 B"}, 1),
    "standard": ({"lenet-5 A", "resnet-20 B"}, 3),
    "paper": ({"VGG-16-pruned-A", "ResNet-56-pruned-B", "ResNet-110-pruned-B"}, 3),
}
# Networks whose training takes hours here, and for how many seeds.
LONG = {"vgg-16": 1, "resnet-56": 1}
# Figure 2(c): retraining after one layer is pruned, and the ratios.
TOUCH_UP = {
    "smoke": (_DIGITS.scaled(0.01), (0.9,)),
    "quick": (_DIGITS.scaled(0.5), (0.2, 0.5, 0.8)),
    "standard": (replace(_quarter(VGG_16), epochs=0.5), (0.3, 0.6, 0.9)),
    "paper": (replace(_PAPER, epochs=20), GRIDS["paper"]),
}
# Figures 8, 9 and 10: a scan for each criterion.
FIGURES = {
    "orders": ("l1", "random", "largest"),
    "criteria": ("l1", *STATISTICS),
    "norm order": ("l1", "l2"),
}


def cases(preset: str) -> Iterator[Case]:
    """All that is counted, trained and scanned; what `before` has is shown, not measured again."""
    networks = NETWORKS[preset]
    for row, (model, rule) in TABLE_1.items():
        shape = ((3, 224, 224), 1000) if model == "resnet-34" else ((3, 32, 32), 10)
        yield Case("counts", row, Network(model), Count(rule, *shape), printed=(row,))
    for network in networks:
        yield from _accuracy(network, preset)
    plain = networks[0]
    # At standard VGG-16 and ResNet-56, as in the paper.
    shown, residual = networks[2:] if preset == "standard" else networks[:2]
    yield from _layers(shown, GRIDS[preset], *TOUCH_UP[preset])
    yield _scan("residual", residual, ratios=GRIDS[preset])
    for part, criteria in FIGURES.items():
        for criterion in criteria:
            seeds = 3 if part == "orders" else 1
            yield _scan(part, plain, seeds, ratios=GRIDS[preset], criterion=criterion)
    for case in before(preset):
        yield replace(case, seeds=0)


def before(preset: str) -> Iterator[Case]:
    """What stood in the place of longer trainings, and still stands there until they are measured.

    Its rows are in the ledger.
    """
    if preset != "standard":
        return
    retrain = replace(_SHORT, epochs=1)
    yield Case("accuracy", "vgg-16", VGG_16_SHORT, Baseline(), printed=("VGG-16",))
    task = Prune(_VGG_A, retrain)
    yield Case("accuracy", "vgg-16 A", VGG_16_SHORT, task, printed=("VGG-16-pruned-A",))
    yield from _layers(VGG_16_SHORT, GRIDS[preset], replace(_SHORT, epochs=0.2), (0.3, 0.6, 0.9))
    yield _scan("residual", NETWORKS[preset][1], ratios=GRIDS[preset])


def _layers(
    network: Network, ratios: tuple[float, ...], retrain: Budget, retrained: tuple[float, ...]
) -> Iterator[Case]:
    """Figure 2: norms, and each layer alone, without and with retraining."""
    yield Case("norms", network.model, network, Norms(groups=_view(network)), seeds=1)
    yield _scan("scan", network, ratios=ratios)
    yield _scan("retrained", network, ratios=retrained, retrain=retrain)


def _accuracy(network: Network, preset: str) -> Iterator[Case]:
    """The network unpruned, pruned by each of its rules, and trained from scratch in that shape."""
    part, seeds = ("imagenet", 1) if network.data == IMAGENET else ("accuracy", None)
    if preset == "standard":
        seeds = LONG.get(network.model)
    case = partial(Case, part, network=network, seeds=seeds)
    yield case(network.model, task=Baseline(), printed=(UNPRUNED.get(network.model, ""),))
    retrain = RETRAIN[preset].get(network.model) or RETRAIN[preset][""]
    scratch, few = SCRATCH[preset]
    for name, (model, rule, row) in (PAPER if preset == "paper" else SMALL).items():
        if model != network.model:
            continue
        yield case(name, task=Prune(rule, retrain), printed=(row,))
        for letter in "EB" if name in scratch else "":
            twin = f"{row} scratch-train" if row and letter == "E" else ""
            task = Scratch(rule, network.budget, letter)
            yield case(f"{name} scratch-{letter}", task=task, printed=(twin,), seeds=few)


def _view(network: Network) -> tuple[str, ...] | str | None:
    """The groups to scan, as in `Scan`."""
    convolutions = tuple(f"features.conv{i}" for i in range(1, 14))
    return {"vgg-16": convolutions, "lenet-5": None}.get(network.model, "first")


def _scan(
    part: str, network: Network, seeds: int = 1, *, ratios: tuple[float, ...], **more: object
) -> Case:
    task = Scan(ratios, groups=_view(network), images=network.images, **more)
    return Case(part, network.model, network, task, seeds=seeds)
