"""DCP: what is run.

Zhuang, Tan, Zhuang, Liu, Guo, Wu, Huang, Zhu. Discrimination-aware Channel Pruning for Deep Neural
Networks. NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from prunelab.methods import ChannelRegression, DiscriminationAware, FilterNorm, Slimming, ThiNet
from prunelab.study.networks import CIFAR_LONG, CIFAR_PAPER, DIGITS, Network
from prunelab.study.papers.discrimination_aware.shapes import counts, thinned
from prunelab.study.selections import Selections
from prunelab.study.study import Case
from prunelab.study.tasks import Baseline, Prune, Scratch
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


STEM = "discrimination_aware"
_LONG = replace(CIFAR_LONG, epochs=10, lr=0.1)
_PAPER = replace(CIFAR_PAPER, epochs=400, nesterov=True, milestones=(0.4, 0.6))
_TUNE = replace(_PAPER, epochs=100)
# For a classroom: the smallest network with blocks, few images, small batches.
_SHORT = replace(DIGITS, epochs=0.6, batch=16)
_QUICK = Setting(
    Network("preresnet-8", "digits", replace(DIGITS, epochs=2, lr=0.1, batch=16)),
    _SHORT,
    replace(_SHORT, epochs=0.3, lr=0.05),
    images=64,
    rows=200,
    step=4,
    beside=1,
    losses=1,
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
            beside=2,
            losses=2,
            ratios=thinned("VGGNet", 0.3),
        ),
    },
}
# Preset -> lambda (Table 6), and beside those of Table 1 epsilon (Table 7), number of losses (S1).
SWEEPS = {
    "smoke": ((1.0,), (0.1,), (0,)),
    "quick": ((0.0, 0.1, 1.0), (0.1, 0.01), (0,)),
    "standard": ((0.0, 0.001, 0.01, 0.1, 1.0), (0.1, 0.01), (1, 2, 4)),
    "paper": ((0.0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0), (0.1, 0.01), (5, 7, 9)),
}


def cases(preset: str) -> Iterator[Case]:
    """Counts; the methods of Table 1; Tables 6, 7 and S1; what is recorded of single layers."""
    yield from counts()
    for printed, setting in SETTINGS[preset].items():
        yield from _compared(printed, setting)
    yield from _sweeps(preset)


def _dcp(setting: Setting, **fields: object) -> DiscriminationAware:
    own = {"ratios": setting.ratios, "images": setting.images, "step": setting.step}
    own |= {"finetune": setting.stage, "losses": setting.losses}
    return DiscriminationAware(**(own | fields))


def _compared(printed: str, setting: Setting) -> Iterator[Case]:
    """The methods of Table 1, and controls."""
    network, ratios, dcp = setting.network, setting.ratios, partial(_dcp, setting)
    first = "first" if "resnet" in network.model else "coupled"
    norm = FilterNorm(ratios, residual=first)
    chosen = {
        "ThiNet": ThiNet(ratios, setting.rows),
        "CP": ChannelRegression(ratios, setting.rows),
        "Slimming": Slimming(setting.ratio, setting.stage.scaled(4)),
        "Random DCP": dcp(select="random"),
        "DCP": dcp(),
        "DCP-Adapt": dcp(ratios=0.0, epsilon=setting.epsilon),
        "filter norm": norm,
        "random": replace(norm, select="random"),
    }
    tasks = {name: Prune(method, setting.finetune) for name, method in chosen.items()}
    scratch = {"WM": ("E", 0), "WM+": ("E", setting.beside), "scratch-B": ("B", 0)}
    for name, (rule, losses) in scratch.items():
        tasks[name] = Scratch(norm, network.training, rule, losses)
    yield Case("unpruned", "unpruned", network, Baseline(), printed=(printed,))
    for name, task in tasks.items():
        row = (printed, name) if name in PRINTED else ()
        yield Case("methods", name, network, task, printed=row)


PRINTED = ("ThiNet", "CP", "Slimming", "WM", "WM+", "Random DCP", "DCP", "DCP-Adapt")


def _sweeps(preset: str) -> Iterator[Case]:
    """Tables 6 and S1 on the first network, Table 7 on the last; choices to step through."""
    setting, *_, last = [*SETTINGS[preset].values()] * 2
    lams, epsilons, losses = SWEEPS[preset]
    dcp = partial(_dcp, setting)
    case = partial(Case, name="DCP", network=setting.network, seeds=setting.seeds)
    for lam in lams:
        yield case("lambda", task=Prune(dcp(ratios=0.3, lam=lam)), setting=f"lambda {lam:g}")
    task = Prune(dcp(ratios=0.3, reconstruction=0.0))
    yield case("lambda", task=task, setting="L_S only")
    for number in losses:
        task = Prune(dcp(losses=number), setting.finetune)
        yield case("losses", task=task, setting=f"{number} losses")
    yield case("selections", task=Selections(dcp(ratios=0.5, step=1)))
    for epsilon in epsilons:
        task = Prune(_dcp(last, ratios=0.0, epsilon=epsilon), last.finetune)
        yield Case(
            "epsilon", "DCP-Adapt", last.network, task, f"epsilon {epsilon:g}", seeds=last.seeds
        )
