"""The task on units: train under gates (or a group penalty), cut, count; and what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from prunelab import surgery, train
from prunelab.data import Dataset
from prunelab.groups import INPUTS, trace
from prunelab.masks import Keep, packed
from prunelab.methods.base import Method
from prunelab.study.tasks import price
from prunelab.study.work import Work

SHOTS = 8  # histograms of a run
EDGES = tuple(range(-14, 13))  # of their bins


@dataclass(frozen=True)
class CutUnits:
    """Let a method train and choose units; what is left, and how good it is.

    Attributes:
        method: one whose `run` gives a keep and a history, as the gated methods and DropNeuron do.
        tune: training of the small network afterwards, or None.
    """

    KIND: ClassVar[str] = "prune"

    method: Method
    tune: train.Budget | None = None

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Values: accuracies (before, last, best at the final widths, tuned), widths, counts."""
        before = train.evaluate(net, data.test).accuracy
        groups, seen = trace(net, data.example), _Seen(data, self.method, work)
        done = self.method.run(
            net, data, seed=work.seed, progress=work.progress, checkpoint=work.checkpoint(),
            watch=seen,
        )  # fmt: skip
        small = surgery.shrink(net, groups, done.keep)
        values = {
            "before": before,
            "accuracy": (last := train.evaluate(small, data.test).accuracy),
            "best_accuracy": max([last, *seen.at_the_end(done.history.rows)]),
            "val_accuracy": train.evaluate(small, data.val).accuracy,
            "widths": widths(small, done.keep),
            "course": list(seen.points.values()),
            "history": done.history.rows,
        } | price(small, data.example)
        if (pixels := _pixels(net, data, done.keep)) is not None:
            values["pixels"] = packed(pixels)
        if self.tune is not None:
            values["tuned"] = _tuned(small, data, self.tune, work)
        return values


class _Seen:
    """Widths after each epoch, and now and then how far units are from being removed."""

    def __init__(self, data: Dataset, method: Method, work: Work):
        self.work = work
        self.points = {point["step"]: point for point in work.points("step", "widths")}
        an_epoch, steps = method.budget.steps(len(data.train))
        at = {round(k * steps / an_epoch / (SHOTS - 1)) for k in range(SHOTS)}
        self._due = {min(epoch * an_epoch, steps) for epoch in at}

    def __call__(self, step: int, state: object) -> None:
        found = {name: int(kept.sum()) for name, kept in state.kept().items()}
        self.points[step] = {"step": step, "widths": found}
        gates = {k: g for k, g in getattr(state, "gates", {}).items() if hasattr(g, "log_ratio")}
        if gates and step in self._due:
            shot = {name: histogram(gate.log_ratio()) for name, gate in gates.items()}
            self.points[step]["log_ratio"] = shot
        self.work.keep(list(self.points.values()))

    def at_the_end(self, rows: list[dict]) -> list[float]:
        """Test accuracies of the epochs that had the final widths."""
        final = self.points[max(self.points)]["widths"]
        same = {step for step, point in self.points.items() if point["widths"] == final}
        return [row["test_accuracy"] for row in rows if row["step"] in same]


def histogram(values: Tensor) -> list[int]:
    """Counts between `EDGES`; what lies outside is counted at the ends."""
    inside = values.detach().float().cpu().clamp(EDGES[0] + 1e-3, EDGES[-1] - 1e-3)
    return torch.histogram(inside, torch.tensor(EDGES, dtype=torch.float)).hist.int().tolist()


def widths(small: nn.Module, keep: Keep) -> dict[str, int]:
    """Place name -> units left; of inputs, those that still arrive and are picked."""
    out = keep.widths()
    for name in out:
        if name.endswith(INPUTS):
            out[name] = small.get_parameter(f"{name.removesuffix(INPUTS)}.weight").shape[1]
    return out


def _pixels(net: nn.Module, data: Dataset, keep: Keep) -> Tensor | None:
    """(H, W) bool: the input pixels that are read, if a layer reads the image itself."""
    shape = data.example.shape[2:]
    for name in keep:
        if name.endswith(INPUTS) and len(keep[name]) == shape.numel():
            return keep[name].view(shape)
    return None


def _tuned(small: nn.Module, data: Dataset, budget: train.Budget, work: Work) -> dict:
    """Accuracies of the small network after training it as it is."""
    history = train.fit(small, data, budget, seed=work.seed, progress=work.progress)
    return {"accuracy": history.last["test_accuracy"], "best": history.best["test_accuracy"],
            "val_accuracy": history.last["val_accuracy"]}  # fmt: skip
