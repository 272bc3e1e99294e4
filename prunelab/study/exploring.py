"""Recordings for the explorer: a scan, and measured combinations of pruning ratios."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

import pandas as pd
import torch
from torch import nn

from prunelab import cost, scores, sensitivity, surgery, train
from prunelab.data import Dataset, Split
from prunelab.groups import Groups, trace
from prunelab.groups.diagram import diagram
from prunelab.sensitivity import outcome, predict
from prunelab.sensitivity.budget.prediction import possible
from prunelab.study import ledger
from prunelab.study.networks import GRIDS, NETWORKS
from prunelab.study.recipes import Recipe, check_preset
from prunelab.study.study import Case
from prunelab.study.work import Work
from prunelab.widgets.exploring.presets import pfec
from prunelab.widgets.exploring.recorded import curves, shipped

STEM = "sensitivity"
SHORT = ("smoke", "quick")  # presets that take a minute or two
NAMES = {"mnist": "MNIST", "cifar10": "CIFAR-10", "digits": "digits"}
FAMILIES = {"lenet": "LeNet", "resnet": "ResNet", "vgg": "VGG"}
CALLS, ROUNDS = 30, 3  # of a latency; what else the machine does comes in bursts


@dataclass(frozen=True)
class Explore:
    """Everything that the explorer shows without a network: see `widgets.recorded.Recorded`.

    Attributes:
        network: its name in the title.
        ratios: grid of the scan, and ratios of the uniform combinations.
        images: number of validation images; None = all.
        budgets: fractions of the MACs for which the solver's answer is measured.
    """

    KIND: ClassVar[str] = "explore"

    network: str
    ratios: tuple[float, ...]
    images: int | None = None
    budgets: tuple[float, ...] = (0.75, 0.5, 0.25)

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Values: a recording."""
        split, example = data.val[: self.images], data.example
        groups = trace(net, example)
        order = sensitivity.ranking(net, groups, "l1")
        scan = sensitivity.scan(
            net, split, ratios=self.ratios, cache=work.folder or False, progress=work.progress
        )
        rows = diagram(net, example, groups)
        tried = self._combinations(scan, groups, rows)
        nets = [_shrunk(net, groups, order, ratios) for ratios in tried.values()]
        seconds, *others = _seconds([net, *nets], example)
        whole = scan.attrs["whole"] | {"seconds": seconds}
        combinations = [
            {"label": label, "ratios": ratios, **_measured(net, small, split), "seconds": time}
            for (label, ratios), small, time in zip(tried.items(), nets, others)
        ]
        uniform = [c for c in combinations if c["label"].startswith("uniform")]
        latency = [{key: row[key] for key in ("macs", "seconds")} for row in (whole, *uniform)]
        return {
            "title": f"{self.network} on {NAMES.get(data.name, data.name)}",
            "made": f"{len(split)} validation images, {example.device.type}, {date.today()}",
            "criterion": "l1",
            "whole": whole,
            "price": scan.attrs["price"],
            "points": scan.round(6).to_dict("records"),
            "rows": rows,
            "combinations": combinations,
            "latency": latency,
        }

    def _combinations(self, scan, groups: Groups, rows: list[dict]) -> Mapping[str, dict]:
        found = {f"uniform {100 * r:.0f}%": dict.fromkeys(groups, r) for r in self.ratios}
        found |= pfec(groups, rows)
        for budget in self.budgets:
            try:
                found[f"solver, {100 * budget:.0f}% of the MACs"] = sensitivity.solve(
                    scan, macs=budget
                )
            except ValueError:  # a coarse grid may not reach so far down
                continue
        return found


def _shrunk(net: nn.Module, groups: Groups, order: Mapping, ratios: Mapping) -> nn.Module:
    keep = {g: scores.best(order[g], scores.kept(groups[g].size, r)) for g, r in ratios.items()}
    return surgery.shrink(net, groups, keep)


def _measured(net: nn.Module, small: nn.Module, split: Split) -> dict:
    """Accuracy and cost of the shrunk network."""
    price = cost.measure(small, split.batch(slice(0, 1))[0])
    seen = outcome(train.evaluate(net, split), train.evaluate(small, split))
    return seen | {"params": price.params, "macs": price.macs}


def _seconds(nets: list[nn.Module], example: torch.Tensor) -> list[float]:
    """Latency of each network on one image: the best median of several rounds."""
    rounds = [
        [cost.latency(net, example, calls=CALLS).median for net in nets] for _ in range(ROUNDS)
    ]
    return [min(times) for times in zip(*rounds)]


def _shown(model: str) -> str:
    """`resnet-20` -> `ResNet-20`."""
    family, _, rest = model.partition("-")
    return f"{FAMILIES.get(family, family)}-{rest}"


def at_half(recording: Mapping) -> pd.DataFrame:
    """Groups of a recording, from most to least sensitive at the ratio nearest to one half."""
    scan, whole = curves(recording), recording["whole"]
    nearest = min(scan.ratio, key=lambda ratio: abs(ratio - 0.5))
    half = scan[scan.ratio == nearest].sort_values("accuracy")
    layers = (row for row in recording["rows"] if row["kind"] in ("conv", "linear"))
    writers = Counter(row["writes"] for row in layers)
    several = [writers[group] for group in half["group"]]
    return pd.DataFrame(
        {
            "group": half["group"].values,
            "kind": [f"stream, {n} layers write it" if n > 1 else "one layer" for n in several],
            "removed %": 100 * nearest,
            "accuracy lost, points": (100 * (whole["accuracy"] - half.accuracy.values)).round(2),
            "MACs saved %": (100 * (1 - half.macs.values / whole["macs"])).round(1),
        }
    )


def combinations(recording: Mapping) -> pd.DataFrame:
    """Combinations of ratios: accuracy predicted by the curves beside what was measured."""
    scan, whole = curves(recording), recording["whole"]
    return pd.DataFrame(
        [
            {
                "network": recording["title"],
                "ratios": row["label"],
                "MACs left %": round(100 * row["macs"] / whole["macs"], 1),
                "predicted %": round(100 * possible(predict(scan, row["ratios"]).accuracy), 1),
                "measured %": round(100 * row["accuracy"], 1),
                "change, points (95%)": f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}",
                "ms an image": round(1000 * row["seconds"], 2),
            }
            for row in recording["combinations"]
        ]
    )


def recipes(preset: str, seeds: Iterable[int]) -> list[Recipe]:
    """Recipes of two recordings: the first, plain and the second, residual network of a preset.

    Raises:
        ValueError: an unknown preset.
    """
    networks, seed = NETWORKS[check_preset(preset)][:2], next(iter(seeds))
    cases = [
        Case(
            "recordings",
            f"{network.model} on {network.data}",
            network,
            Explore(_shown(network.model), GRIDS[preset], network.images),
            preset=preset,
        )
        for network in networks
    ]
    return [case.recipe(STEM, seed) for case in cases]


def recordings(preset: str, seeds: Iterable[int], refresh: bool | str = False) -> list[dict]:
    """The recordings of a preset; prints a note if they must be measured or replaced by others.

    Args:
        preset: of `recipes`.
        seeds: the first one counts.
        refresh: as of `ledger.run`.
    """
    wanted = recipes(preset, seeds)
    rows = ledger.run(wanted, refresh)
    if len(rows) < len(wanted) and preset in SHORT:
        print(f"Preset {preset} is not recorded yet: it is measured now, in a minute or two.")
        rows = ledger.run(wanted, "missing")
    if rows:
        files = {recipe.key: recipe.trained_key for recipe in wanted}
        return [
            row["values"]
            | {"network": {"model": row["recipe"]["model"], "file": files.get(row["key"])}}
            for row in rows
        ]
    print(
        f"Preset {preset} is not recorded: these are the recordings that come with the project."
        f" `prunelab run 08 --preset {preset}` measures yours."
    )
    return shipped()
