"""DCP: what is run.

Zhuang, Tan, Zhuang, Liu, Guo, Wu, Huang, Zhu. Discrimination-aware Channel Pruning for Deep Neural
Networks. NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from prunelab.methods import ChannelRegression, DiscriminationAware, FilterNorm, Slimming, ThiNet
from prunelab.methods.base import Method
from prunelab.study.papers.discrimination_aware.settings import (
    RESNET_50,
    SETTINGS,
    SHORT,
    SWEEPS,
    Setting,
)
from prunelab.study.papers.discrimination_aware.shapes import counts
from prunelab.study.selections import Selections
from prunelab.study.study import Case
from prunelab.study.tasks import Baseline, Prune, Scratch
from prunelab.train import Budget


def cases(preset: str) -> Iterator[Case]:
    """Counts; the methods of Table 1; Tables 3, 5, 6, 7, S1, S2; what single layers choose."""
    yield from counts()
    for printed, setting in SETTINGS[preset].items():
        yield from _compared(printed, setting)
    yield from _sweeps(preset)
    if preset == "paper":
        yield from _imagenet()


def _imagenet() -> Iterator[Case]:
    """ResNet-50 and two methods of Table 3."""
    case = partial(Case, "imagenet", network=RESNET_50.network, seeds=1)
    yield case("unpruned", task=Baseline(), printed=("ResNet-50",))
    methods = _methods(RESNET_50)
    for name in ("ThiNet", "DCP"):
        yield case(name, task=Prune(methods[name], RESNET_50.finetune), printed=(name,))


def _dcp(setting: Setting, **fields: object) -> DiscriminationAware:
    own = {"ratios": setting.ratios, "images": setting.images, "step": setting.step}
    own |= {"finetune": setting.stage, "losses": setting.losses}
    return DiscriminationAware(**(own | fields))


def _methods(setting: Setting) -> dict[str, Method]:
    """Those of Table 1 that choose channels."""
    ratios, dcp = setting.ratios, partial(_dcp, setting)
    return {
        "ThiNet": ThiNet(ratios, setting.rows),
        "CP": ChannelRegression(ratios, setting.rows),
        "Slimming": Slimming(setting.ratio, setting.network.training, start=0.5),
        SHORT: Slimming(setting.ratio, setting.stage.scaled(4)),
        "Random DCP": dcp(select="random"),
        "DCP": dcp(),
        "DCP-Adapt": dcp(ratios=0.0, epsilon=setting.epsilon),
    }


def _compared(printed: str, setting: Setting) -> Iterator[Case]:
    """The methods of Table 1, and controls."""
    network = setting.network
    first = "first" if "resnet" in network.model else "coupled"
    norm = FilterNorm(setting.ratios, residual=first)
    controls = {"filter norm": norm, "random": replace(norm, select="random")}
    chosen = _methods(setting) | controls
    tasks = {name: Prune(method, setting.finetune) for name, method in chosen.items()}
    scratch = {"WM": ("E", 0), "WM+": ("E", setting.beside), "scratch-B": ("B", 0)}
    for name, (rule, losses) in scratch.items():
        tasks[name] = Scratch(norm, network.training, rule, losses)
    yield Case("unpruned", "unpruned", network, Baseline(), printed=(printed,))
    for name, task in tasks.items():
        if name in setting.without:
            continue
        row = (printed, name) if name in PRINTED else ()
        before = replace(network, budget=None) if name in UNTRAINED else network
        yield Case("methods", name, before, task, printed=row)


UNTRAINED = ("Slimming",)  # its penalty is there from the first step on
PRINTED = ("ThiNet", "CP", "Slimming", "WM", "WM+", "Random DCP", "DCP", "DCP-Adapt")


def _sweeps(preset: str) -> Iterator[Case]:
    """Tables 5, 6, S1, S2 on the first network, 7 on the last; choices to step through."""
    setting, *_, last = [*SETTINGS[preset].values()] * 2
    lams, epsilons, losses, rates, shares = SWEEPS[preset]
    dcp = partial(_dcp, setting)
    case = partial(Case, name="DCP", network=setting.network, seeds=setting.seeds)
    for lam in lams:
        # The two losses together and L_M alone are compared over all seeds; so is L_S alone.
        seeds = None if lam in (0, 1) else setting.seeds
        task = Prune(dcp(ratios=0.3, lam=lam))
        yield case("lambda", task=task, setting=f"lambda {lam:g}", seeds=seeds)
    task = Prune(dcp(ratios=0.3, reconstruction=0.0))
    yield case("lambda", task=task, setting="L_S only", seeds=None)
    for number in losses:
        task = Prune(dcp(losses=number), setting.finetune)
        yield case("losses", task=task, setting=f"{number} losses")
    for rate in rates:
        task = Prune(dcp(ratios=rate), setting.finetune)
        yield case("rates", task=task, setting=f"ratio {rate:g}")
    for share in shares:
        yield from _early(setting, share)
    yield case("selections", task=Selections(dcp(ratios=0.5, step=1)))
    for epsilon in epsilons:
        task = Prune(_dcp(last, ratios=0.0, epsilon=epsilon), last.finetune)
        yield Case(
            "epsilon", "DCP-Adapt", last.network, task, f"epsilon {epsilon:g}", seeds=last.seeds
        )


def _early(setting: Setting, share: float) -> Iterator[Case]:
    """The unpruned network after a share of its training, and the methods of Table S2 on it."""
    network = replace(setting.network, budget=_cut_off(setting.network.training, share))
    tasks: dict[str, Any] = {"unpruned": Baseline()}
    methods = _methods(setting)
    tasks |= {name: Prune(methods[name], setting.finetune) for name in ("ThiNet", "CP", "DCP")}
    for name, task in tasks.items():
        yield Case("pretrained", name, network, task, f"{share:.0%}", seeds=setting.seeds)


def _cut_off(budget: Budget, share: float) -> Budget:
    """The first part of a training in steps; of another, the whole in a shorter time."""
    if budget.schedule != "step":
        return budget.scaled(share)
    before = tuple(round(at / share, 6) for at in budget.milestones if at < share)
    schedule = "step" if before else "constant"
    return replace(budget.scaled(share), schedule=schedule, milestones=before or budget.milestones)
