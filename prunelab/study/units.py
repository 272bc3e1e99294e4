"""What rows record of units: widths while gates (or a group penalty) train, and what is left."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from prunelab import train
from prunelab.data import Dataset
from prunelab.groups import INPUTS
from prunelab.masks import Keep, packed
from prunelab.methods.base import Method, Pruned
from prunelab.study.work import Work, accuracy

SHOTS = 8  # histograms of a run
EDGES = tuple(range(-14, 13))  # of their bins
FEW = 20  # units of a network whose means are noted one by one


class Units:
    """The recorder of methods that train and choose units.

    It notes the widths after each epoch, and now and then how far units are from being removed.
    """

    def __init__(self, method: Method, net: nn.Module, data: Dataset, work: Work):
        self.data, self.work = data, work
        self.before = train.evaluate(net, data.test).accuracy
        # Stage and step -> point.
        found = work.points("step", "widths")
        self.points = {(point.get("stage", ""), point["step"]): point for point in found}
        self._stage, self._first = "", 0
        an_epoch, steps = method.budget.steps(len(data.train))
        at = {round(k * steps / an_epoch / (SHOTS - 1)) for k in range(SHOTS)}
        self._due = {min(epoch * an_epoch, steps) for epoch in at}

    def watch(self, step: int, state: object) -> None:
        """Note the units left after `step` steps."""
        stage = getattr(state, "stage", "")
        if stage != self._stage:
            self._stage, self._first = stage, step
        point = {"step": step, "widths": {name: int(k.sum()) for name, k in state.kept().items()}}
        gates = {k: g for k, g in getattr(state, "gates", {}).items() if _learns(g)}
        if gates and step - self._first in self._due:
            point["log_ratio"] = {name: histogram(g.log_ratio()) for name, g in gates.items()}
        if gates and sum(map(len, state.kept().values())) <= FEW:
            point["mean"] = {name: g.mean().tolist() for name, g in state.gates.items()}
        self.points[stage, step] = point | ({"stage": stage} if stage else {})
        self.work.keep(list(self.points.values()))

    def values(self, small: nn.Module, done: Pruned) -> dict:
        """Values: accuracies (before, last, best at the final widths), widths, pixels."""
        history = joined(done.history)
        last = train.evaluate(small, self.data.test).accuracy
        values = {
            "before": self.before,
            "accuracy": last,
            "best_accuracy": max([last, *self.at_the_end(history)]),
            "val_accuracy": accuracy(small, self.data.val),
            "widths": widths(small, done.keep),
            "course": list(self.points.values()),
            "history": history,
        }
        pixels = _pixels(self.data, done.keep)
        return values if pixels is None else values | {"pixels": packed(pixels)}

    def at_the_end(self, rows: list[dict]) -> list[float]:
        """Test accuracies of the epochs that had the final widths."""
        *_, final = self.points.values()
        same = {p["step"] for p in self.points.values() if p["widths"] == final["widths"]}
        return [row["test_accuracy"] for row in rows if row["step"] in same]


def _learns(gate: object) -> bool:
    """Whether it has a ratio of noise to signal that is being learned."""
    return hasattr(gate, "log_ratio") and any(p.requires_grad for p in gate.parameters())


def joined(histories: Sequence[train.History]) -> list[dict]:
    """The rows of trainings one after the other; epochs and steps go on."""
    rows, epochs, steps = [], 0.0, 0
    for history in histories:
        for row in history.rows:
            rows.append(row | {"epoch": epochs + row["epoch"], "step": steps + row["step"]})
        epochs, steps = rows[-1]["epoch"], rows[-1]["step"]
    return rows


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


def _pixels(data: Dataset, keep: Keep) -> Tensor | None:
    """(H, W) bool: the input pixels that are read, if a layer reads the image itself."""
    shape = data.example.shape[2:]
    for name in keep:
        if name.endswith(INPUTS) and len(keep[name]) == shape.numel():
            return keep[name].view(shape)
    return None
