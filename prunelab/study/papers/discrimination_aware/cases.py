"""DCP: what is run.

Zhuang, Tan, Zhuang, Liu, Guo, Wu, Huang, Zhu. Discrimination-aware Channel Pruning for Deep Neural
Networks. NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from prunelab.methods import ChannelRegression, DiscriminationAware, FilterNorm, Slimming, ThiNet
from prunelab.ratios import left
from prunelab.study.networks import CIFAR_LONG, CIFAR_PAPER, DIGITS, Network
from prunelab.study.selections import Selections
from prunelab.study.study import Case
from prunelab.study.tasks import Baseline, Count, Prune, Scratch
from prunelab.train import Budget

_CIFAR, _IMAGENET = ((3, 32, 32), 10), ((3, 224, 224), 1000)


def _blocks(numbers: Iterable[int], widths: Iterable[int], *convs: str) -> dict[str, int]:
    """Group -> channels for convolutions of the blocks `layer1.0`, ... of a residual network."""
    return {
        f"layer{stage}.{block}.{conv}": width
        for stage, (number, width) in enumerate(zip(numbers, widths), 1)
        for block in range(number)
        for conv in convs
    }


_STAGES, _VGG = (64, 128, 256, 512), (64, 64, 128, 128, *[256] * 4, *[512] * 7)
# Printed network -> model, shape and classes, groups that are thinned, printed rates in percent.
# Source: papers/dcp.md section 6.
THINNED: dict[str, tuple[str, tuple, dict[str, int], tuple[int, ...]]] = {
    "ResNet-56": ("preresnet-56", _CIFAR, _blocks([9] * 3, (16, 32, 64), "conv1"), (30, 50, 70)),
    "VGGNet": ("vgg-19", _CIFAR, {f"features.conv{n}": c for n, c in enumerate(_VGG, 1)}, (30, 40)),
    "ResNet-18": ("resnet-18", _IMAGENET, _blocks([2] * 4, _STAGES, "conv1"), (30, 50, 70)),
    "ResNet-50": (
        "resnet-50",
        _IMAGENET,
        _blocks((3, 4, 6, 3), _STAGES, "conv1", "conv2"),
        (30, 50, 70),
    ),
}
# What DCP-Adapt left of VGG-19's convolutions 1 to 15. Source: DCP, Table S6.
ADAPTED = (56, 64, 128, 115, 199, 177, 123, 52, 59, 46, 31, 37, 37, 44, 31)


def _thinned(printed: str, rate: float) -> dict[str, float]:
    """Group -> fraction of its channels that goes, rounded as in the authors' code."""
    _, _, sizes, _ = THINNED[printed]
    return {name: 1 - left(size, rate) / size for name, size in sizes.items()}


@dataclass(frozen=True)
class Setting:
    """How a network is pruned under one preset.

    Attributes:
        network: the network before pruning.
        finetune: training after pruning, the same for all methods.
        stage: training of each of DCP's stages; Slimming's sparse training is as long as all.
        images: how many images DCP looks at while it chooses; None = all.
        ratios: fraction of the channels that goes, for all groups or by name.
        epsilon: of DCP-Adapt.
        losses: of DCP.
        ratio: of Slimming's scales.
        seeds: the largest number of seeds of what is not in Table 1.
    """

    network: Network
    finetune: Budget
    stage: Budget
    images: int | None
    ratios: float | dict[str, float] = 0.5
    epsilon: float = 1e-3
    losses: int | None = None
    ratio: float = 0.5
    seeds: int = 1


_LONG = replace(CIFAR_LONG, epochs=10, lr=0.1)
_PAPER = replace(CIFAR_PAPER, epochs=400, nesterov=True, milestones=(0.4, 0.6))
_TUNE = replace(_PAPER, epochs=100)
_DIGITS = Network("preresnet-20", "digits", DIGITS.scaled(0.6))
# Preset -> printed network -> setting.
SETTINGS = {
    "smoke": {
        "ResNet-56": Setting(
            replace(_DIGITS, budget=DIGITS.scaled(0.02)),
            DIGITS.scaled(0.02),
            DIGITS.scaled(0.01),
            32,
        )
    },
    "quick": {"ResNet-56": Setting(_DIGITS, DIGITS.scaled(0.2), DIGITS.scaled(0.1), 200)},
    "standard": {
        "ResNet-56": Setting(
            Network("preresnet-20", "cifar10", CIFAR_LONG), _LONG, replace(_LONG, epochs=2), 2500
        )
    },
    "paper": {
        "ResNet-56": Setting(Network("preresnet-56", "cifar10", _PAPER), _PAPER, _TUNE, None),
        "VGGNet": Setting(
            Network("vgg-19", "cifar10", _PAPER),
            _PAPER,
            _TUNE,
            None,
            _thinned("VGGNet", 0.3),
            losses=2,
        ),
    },
}
# Preset -> lambda (Table 6), and beside those of Table 1 epsilon (Table 7), number of losses (S1).
SWEEPS = {
    "smoke": ((0.0, 1.0), (0.1,), (1,)),
    "quick": ((0.0, 0.01, 0.1, 1.0), (0.1, 0.01), (1,)),
    "standard": ((0.0, 0.001, 0.01, 0.1, 1.0), (0.1, 0.01), (1, 2, 4)),
    "paper": ((0.0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0), (0.1, 0.01), (5, 7, 9)),
}


def cases(preset: str) -> Iterator[Case]:
    """Counts; the methods of Table 1; Tables 6, 7 and S1; what is recorded of single layers."""
    yield from _counts()
    for printed, setting in SETTINGS[preset].items():
        yield from _compared(printed, setting)
    yield from _sweeps(preset)


def _counts() -> Iterator[Case]:
    for printed, (model, (shape, classes), _, rates) in THINNED.items():
        case = partial(Case, "counts", network=Network(model))
        yield case(printed, task=Count(None, shape, classes), printed=(printed, "0"))
        for rate in rates:
            task = Count(FilterNorm(_thinned(printed, rate / 100)), shape, classes)
            yield case(printed, task=task, setting=f"{rate}%", printed=(printed, str(rate)))
    model, (shape, classes), sizes, _ = THINNED["VGGNet"]
    ratios = {n: 1 - kept / size for (n, size), kept in zip(sizes.items(), ADAPTED) if kept < size}
    task = Count(FilterNorm(ratios), shape, classes)
    yield Case("counts", "VGGNet", Network(model), task, "adapt", ("VGGNet", "adapt"))


def _dcp(setting: Setting, **fields: object) -> DiscriminationAware:
    own = {"ratios": setting.ratios, "finetune": setting.stage, "images": setting.images}
    own["losses"] = setting.losses
    return DiscriminationAware(**(own | fields))


def _compared(printed: str, setting: Setting) -> Iterator[Case]:
    """The methods of Table 1, and controls."""
    network, ratios, dcp = setting.network, setting.ratios, partial(_dcp, setting)
    first = "first" if "resnet" in network.model else "coupled"
    norm = FilterNorm(ratios, residual=first)
    chosen = {
        "ThiNet": ThiNet(ratios),
        "CP": ChannelRegression(ratios),
        "Slimming": Slimming(setting.ratio, setting.stage.scaled(4)),
        "Random DCP": dcp(select="random"),
        "DCP": dcp(),
        "DCP-Adapt": dcp(ratios=0.0, epsilon=setting.epsilon),
        "filter norm": norm,
        "random": replace(norm, select="random"),
    }
    tasks = {name: Prune(method, setting.finetune) for name, method in chosen.items()}
    scratch = {"WM": ("E", 0), "WM+": ("E", 3), "scratch-B": ("B", 0)}
    for name, (rule, losses) in scratch.items():
        tasks[name] = Scratch(norm, network.training, rule, losses)
    yield Case("unpruned", "unpruned", network, Baseline(), printed=(printed,))
    more = {"DCP": "3 losses", "DCP-Adapt": f"epsilon {setting.epsilon:g}"}  # Tables S1 and 7
    for name, task in tasks.items():
        row = (printed, name, more.get(name, "")) if name in PRINTED else ()
        yield Case("methods", name, network, task, printed=row)


PRINTED = ("ThiNet", "CP", "Slimming", "WM", "WM+", "Random DCP", "DCP", "DCP-Adapt")


def _sweeps(preset: str) -> Iterator[Case]:
    """Tables 6 and S1 on the first network, Table 7 on the last; choices to step through."""
    setting, *_, last = [*SETTINGS[preset].values()] * 2
    lams, epsilons, losses = SWEEPS[preset]
    dcp = partial(_dcp, setting)
    case = partial(Case, name="DCP", network=setting.network, seeds=setting.seeds)
    for lam in lams:
        task, row = Prune(dcp(ratios=0.3, lam=lam)), f"{lam:g}"
        yield case("lambda", task=task, setting=f"lambda {row}", printed=(row,))
    task = Prune(dcp(ratios=0.3, reconstruction=0.0))
    yield case("lambda", task=task, setting="L_S only", printed=("L_S only",))
    for number in losses:
        task = Prune(dcp(losses=number), setting.finetune)
        row = f"{number} losses"
        yield case("losses", task=task, setting=row, printed=(row,) if preset == "paper" else ())
    yield case("selections", task=Selections(dcp(ratios=0.5)))
    for epsilon in epsilons:
        task = Prune(_dcp(last, ratios=0.0, epsilon=epsilon), last.finetune)
        row = f"epsilon {epsilon:g}"
        yield Case("epsilon", "DCP-Adapt", last.network, task, row, (row,), last.seeds)
