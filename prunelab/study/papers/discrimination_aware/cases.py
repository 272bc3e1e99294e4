"""DCP: what is run.

Zhuang, Tan, Zhuang, Liu, Guo, Wu, Huang, Zhu. Discrimination-aware Channel Pruning for Deep Neural
Networks. NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from prunelab.methods import ChannelRegression, DiscriminationAware, FilterNorm, Slimming, ThiNet
from prunelab.study.papers.discrimination_aware.settings import SETTINGS, SWEEPS, Setting
from prunelab.study.papers.discrimination_aware.shapes import counts
from prunelab.study.selections import Selections
from prunelab.study.study import Case
from prunelab.study.tasks import Baseline, Prune, Scratch


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
        if name in setting.without:
            continue
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
