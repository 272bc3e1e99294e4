"""VIBNet on CIFAR: the VGGs of Tables 3 and 4 as the authors trained them, and ResNet-20 in short.

Source: papers/vibnet.md sections 4, 6 and 7: the authors' code, poster and slides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from prunelab.methods import InformationBottleneck
from prunelab.study import tables as t
from prunelab.study.papers.filter_norm.recipes import SETTINGS as FILTER_NORM
from prunelab.study.papers.information_bottleneck import counts
from prunelab.study.papers.information_bottleneck.counts import STEM
from prunelab.study.recipes import Recipe
from prunelab.study.units import CutUnits
from prunelab.train import Budget

# Model -> convolutions of each stage, hidden linear layers.
NETWORKS = {"vgg-16": ((2, 2, 3, 3, 3), 1), "vgg-16-fc2": ((2, 2, 3, 3, 3), 2),
            "vgg-19": ((2, 2, 4, 4, 4), 0)}  # fmt: skip
CLASSES = {"cifar10": 10, "cifar100": 100}
TENTHS = tuple(k / 10 for k in range(1, 10))  # every 30 of 300 epochs


@dataclass(frozen=True)
class Protocol:
    """One of the five comparisons: networks and recipes are those of the method compared with.

    Attributes:
        table: T3 or T4.
        name: of the network's configuration in the authors' code.
        data: its images.
        model: the network.
        kl: strength.
        lr: the rate, of weights and gates.
        weight_decay: of weights and gates.
        augment: in both trainings.
        reference: training of the network that gets the gates.
    """

    table: str
    name: str
    data: str
    model: str
    kl: float
    lr: float
    weight_decay: float
    augment: str
    reference: Budget

    @property
    def method(self) -> InformationBottleneck:
        """Adam for 300 epochs, its rate halved after every 30."""
        budget = Budget(epochs=300, lr=self.lr, batch=128, optimizer="adam",
                        weight_decay=self.weight_decay, schedule="step", milestones=TENTHS,
                        gamma=0.5, augment=self.augment)  # fmt: skip
        return InformationBottleneck(self.kl, budget=budget, cut=3.0)

    def counted(self, widths: Mapping[str, int]) -> counts.Counts:
        """What is left with these widths, counted as the paper counts."""
        left = [widths[place] for place in whole(self.model)]
        return counts.vgg(left, NETWORKS[self.model][0], CLASSES[self.data])


def _trained(epochs: float, augment: str) -> Budget:
    """Ours, but the epochs: of the authors' plain training only names of folders are public."""
    return replace(FILTER_NORM["paper"].budgets[0], epochs=epochs, augment=augment)


PROTOCOLS = (
    Protocol("T3", "D4", "cifar10", "vgg-16-fc2", 1.4e-5, 1.4e-3, 5e-5, "flip",
             _trained(300, "flip")),
    Protocol("T3", "D6", "cifar10", "vgg-16", 3e-5, 1e-3, 5e-5, "crop-flip",
             _trained(600, "crop-flip")),
    Protocol("T3", "G5", "cifar10", "vgg-19", 1e-5, 1e-3, 5e-5, "crop-flip",
             _trained(400, "crop-flip")),
    # No folder name gives its epochs: as many as most of the others.
    Protocol("T4", "G", "cifar100", "vgg-16", 1e-5, 1e-3, 1.2e-4, "none", _trained(300, "none")),
    Protocol("T4", "G5", "cifar100", "vgg-19", 1.5e-5, 1e-3, 5e-5, "crop-flip",
             _trained(300, "crop-flip")),
)  # fmt: skip


def protocol(table: str, name: str) -> Protocol:
    """The protocol of a printed row."""
    return next(p for p in PROTOCOLS if (p.table, p.name) == (table, name))


def whole(model: str) -> dict[str, int]:
    """Place name -> units of a whole network, in the order in which they run."""
    stages, hidden = NETWORKS[model]
    sizes = [n for n, many in zip((64, 128, 256, 512, 512), stages) for _ in range(many)]
    out = {f"features.conv{number}": n for number, n in enumerate(sizes, start=1)}
    return out | {f"classifier.fc{number}": 512 for number in range(1, hidden + 1)}


def recipes(seeds: Iterable[int]) -> list[Recipe]:
    """VIBNet's rows of Tables 3 and 4, for preset `paper`."""
    seeds = list(seeds)
    return [Recipe(STEM, "paper", "VIBNet", CutUnits(p.method), p.model, p.data, p.reference, seed)
            for p in PROTOCOLS for seed in seeds]  # fmt: skip


# Column -> its name among the printed ones.
COLUMNS = {"weights %": "weights_pct", "activations %": "footprint_pct", "MMAC": "mflop",
           "error %": "error_pct"}  # fmt: skip
LAST = {"error %": " (last)"}


def run(row: dict, percent: tuple[float, float], macs: int) -> dict[str, float]:
    """What a seed gives in these columns, and its best error."""
    last, best = (100 * (1 - row["values"][key]) for key in ("accuracy", "best_accuracy"))
    return dict(zip(COLUMNS, (*percent, macs / 1e6, last))) | {"best": best}


def table(rows: list[dict]) -> pd.DataFrame:
    """Tables 3 and 4. A seed meets a row if error, weights, activations, MACs are not above it."""
    printed, out = t.printed(STEM, "results"), []
    for line in printed[printed.table.isin(["T3", "T4"])].itertuples():
        found = _ours(rows, line) if line.method == "VIBNet" else None
        row = {
            "data": line.dataset, "network": line.network, "protocol": line.protocol,
            "method": line.method, "verdict": _verdict(line, found),
        }  # fmt: skip
        for column, name in COLUMNS.items():
            row[f"{column}, printed"] = t.number(getattr(line, name))
            row[f"{column}, ours{LAST.get(column, '')}"] = _shown(found, column)
        out.append(row | {
            "error %, ours (best)": _shown(found, "best"),
            "in parentheses": t.number(line.error_in_parentheses_pct),
        })  # fmt: skip
    return pd.DataFrame(out)


def _ours(rows: list[dict], line) -> list[dict[str, float]]:
    """What each seed gives in the columns of a printed row."""
    own, out = protocol(line.table, line.protocol), []
    for row in t.of_kind(rows, "prune", "VIBNet", "paper"):
        if (row["recipe"]["model"], row["recipe"]["data"]) == (own.model, own.data):
            left = own.counted(row["values"]["widths"])
            out.append(run(row, left.percent(own.counted(whole(own.model))), left.macs))
    return out


def _verdict(line, found: list[dict[str, float]] | None) -> str:
    if found is None:
        return "not run here"
    if not found:
        return f"{t.NOT_MEASURED}: prunelab run 03 --preset paper"
    return t.within(found, {column: getattr(line, name) for column, name in COLUMNS.items()})


def _shown(found: list[dict[str, float]] | None, column: str) -> str:
    return "–" if found is None else t.ranged(seed[column] for seed in found)


# What preset `standard` can train on a CPU, from the network that the project comes with.
_STANDARD = FILTER_NORM["standard"]
_RESNET = dict(zip(_STANDARD.models, _STANDARD.budgets))["resnet-20"]
_SHORT = Budget(epochs=6, lr=1e-3, batch=128, optimizer="adam", weight_decay=0.0,
                schedule="linear", milestones=(0.5,), augment="crop-flip")  # fmt: skip
SMALL = InformationBottleneck(3e-5, budget=_SHORT, cut=3.0, rate=5.0)


def cifar(seeds: Iterable[int]) -> list[Recipe]:
    """ResNet-20 on CIFAR-10: the inner convolutions of its blocks, for preset `standard`."""
    task = CutUnits(SMALL)
    return [Recipe(STEM, "standard", "VIBNet", task, "resnet-20", "cifar10", _RESNET, seed)
            for seed in seeds]  # fmt: skip


def small(rows: list[dict]) -> pd.DataFrame:
    """ResNet-20 before and after. The paper has no such row."""
    before, out = counts.resnet([n for n in (16, 32, 64) for _ in range(3)], 10), []
    for row in t.of_kind(rows, "prune", "VIBNet", "standard"):
        if row["recipe"]["model"] == "resnet-20":
            values = row["values"]
            keys = {"before": "before", "last": "accuracy", "best": "best_accuracy"}
            errors = {f"error %, {k}": f"{100 * (1 - values[v]):.2f}" for k, v in keys.items()}
            out.append({
                "network": "ResNet-20", "kl": f"{row['recipe']['task']['method']['kl']:g}",
                "MACs %": f"{100 * values['macs'] / before.macs:.2f}",
                "weights %": f"{100 * values['weights'] / before.weights:.2f}",
                **errors, "seed": row["seed"],
            })  # fmt: skip
    return t.frame(out)
