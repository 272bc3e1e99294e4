"""DCP: networks and budgets of each preset."""

from __future__ import annotations

from dataclasses import dataclass, replace

from prunelab.study.networks import (
    CIFAR_LONG,
    CIFAR_PAPER,
    DIGITS,
    IMAGENET,
    IMAGENET_PAPER,
    Network,
)
from prunelab.study.papers.discrimination_aware.shapes import thinned
from prunelab.train import Budget


@dataclass(frozen=True)
class Setting:
    """How a network is pruned under one preset.

    Attributes:
        network: the network before pruning.
        finetune: training after pruning, the same for all methods.
        stage: training of each of DCP's stages; Slimming's sparse training is as long as all.
        images: how many images DCP looks at while it chooses; None = all.
        rows: how many images ThiNet and CP look at.
        step: how many channels come into DCP at a time.
        beside: auxiliary classifiers of WM+.
        losses: the same of DCP; None = 3.
        ratios: fraction of the channels that goes, for all groups or by name.
        epsilon: of DCP-Adapt.
        ratio: of Slimming's scales.
        seeds: the largest number of seeds of what is not in Table 1.
        without: methods of ours that are left out.
    """

    network: Network
    finetune: Budget
    stage: Budget
    images: int | None
    rows: int = 5000
    step: int = 1
    beside: int = 3
    losses: int | None = None
    ratios: float | dict[str, float] = 0.5
    epsilon: float = 1e-3
    ratio: float = 0.5
    seeds: int = 1
    without: tuple[str, ...] = ()


STEM = "discrimination_aware"
SHORT = "Slimming, from the trained network"  # as short as DCP's stages
_LONG = replace(CIFAR_LONG, epochs=10, lr=0.1)
_PAPER = replace(CIFAR_PAPER, epochs=400, nesterov=True, milestones=(0.4, 0.6))
_TUNE = replace(_PAPER, epochs=100)
# For a classroom: the smallest network with blocks, few images, small batches.
_SHORT = replace(DIGITS, epochs=0.6, batch=16)
_QUICK = Setting(
    Network("preresnet-8", "digits", replace(DIGITS, epochs=1.6, lr=0.1, batch=16)),
    _SHORT,
    replace(_SHORT, epochs=0.3, lr=0.05),
    images=64,
    rows=200,
    step=4,
    beside=1,
    losses=1,
    epsilon=0.05,
    without=("random", "scratch-B", SHORT),
)
_SMOKE = replace(
    _QUICK,
    network=Network("preresnet-8", "digits", DIGITS.scaled(0.02)),
    finetune=DIGITS.scaled(0.01),
    stage=DIGITS.scaled(0.01),
    images=16,
    rows=16,
    step=16,
)
# Preset -> printed network -> setting.
SETTINGS = {
    "smoke": {"ResNet-56": _SMOKE},
    "quick": {"ResNet-56": _QUICK},
    "standard": {
        "ResNet-56": Setting(
            Network("preresnet-20", "cifar10", CIFAR_LONG),
            _LONG,
            replace(_LONG, epochs=2),
            2500,
            epsilon=0.002,
        )
    },
    "paper": {
        "ResNet-56": Setting(
            Network("preresnet-56", "cifar10", _PAPER), _PAPER, _TUNE, None, without=(SHORT,)
        ),
        "VGGNet": Setting(
            Network("vgg-19", "cifar10", _PAPER),
            _PAPER,
            _TUNE,
            None,
            beside=2,
            losses=2,
            ratios=thinned("VGGNet", 0.3),
            ratio=0.7,
            without=(SHORT,),
        ),
    },
}
# ResNet-50 of Table 3. Fine-tuning and images are the paper's; a stage's length is ours.
_PHOTOS = replace(IMAGENET_PAPER, precision="bfloat16")
_TUNE_50 = replace(_PHOTOS, epochs=60, lr=0.01, nesterov=True, milestones=(0.6, 0.8, 0.9))
RESNET_50 = Setting(
    Network("resnet-50", IMAGENET, _PHOTOS),
    _TUNE_50,
    replace(_TUNE_50, epochs=10, milestones=(0.6,)),
    images=10_000,
    rows=10_000,
    ratios=thinned("ResNet-50", 0.5),
)
# Preset -> lambda (Table 6); beside those of Table 1 epsilon (Table 7), number of losses (S1) and
# fraction of the channels that goes (Table 5); share of the training before pruning (S2).
SWEEPS = {
    "smoke": ((1.0,), (0.1,), (0,), (0.25,), (0.5,)),
    "quick": ((0.0, 0.1, 1.0), (0.1,), (0,), (0.75,), (0.5,)),
    "standard": ((0.0, 0.001, 0.01, 0.1, 1.0), (0.1, 0.01, 0.001), (1, 2, 4), (), ()),
    "paper": (
        (0.0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0),
        (0.1, 0.01),
        (5, 7, 9),
        (0.3, 0.7),
        (0.3, 0.6),
    ),
}
