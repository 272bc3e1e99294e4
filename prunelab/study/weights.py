"""What rows record of single weights: sizes, which weights stay, and what the masks did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from prunelab.data import Dataset
from prunelab.masks import Keep, packed
from prunelab.methods import NetworkSurgery
from prunelab.methods.base import Method, Pruned
from prunelab.methods.magnitude import largest
from prunelab.methods.masking.splicing import Splicing
from prunelab.methods.masking.weights import PARAMETERS
from prunelab.study.work import Work, accuracy

BINS = 50  # of a run, in which its events are counted


class Weights:
    """The recorder of methods that prune single weights: sizes, and which weights stay."""

    watch = None

    def __init__(self, method: Method, net: nn.Module, data: Dataset, work: Work):
        self.method, self.data, self.start = method, data, _vectors(net)
        self.before = {
            "accuracy": accuracy(net, data.test),
            "val_accuracy": accuracy(net, data.val),
        }

    def values(self, net: nn.Module, done: Pruned) -> dict:
        """Values: accuracies before, last and best with the final masks; sizes; layers; events.

        An accuracy on validation images is None where no such images are held out.
        """
        rows = done.history[-1].rows if done.history else []
        rows = [{k: None if v != v else v for k, v in row.items()} for row in rows]  # no images
        last = accuracy(net, self.data.test)
        fixed = [row["test_accuracy"] for row in rows if row["step"] >= self._frozen()]
        layers = _layers(self.start, _vectors(net), done.keep)
        kept, total = (sum(layer[key] for layer in layers) for key in ("kept", "size"))
        return {
            "before": self.before,
            "accuracy": last,
            "best_accuracy": max([last, *fixed]),
            "val_accuracy": accuracy(net, self.data.val),
            "kept": kept,
            "total": total,
            "compression": total / kept,
            "layers": layers,
            "events": _binned(done.events, {layer["layer"]: layer["size"] for layer in layers}),
            "history": rows,
        }

    def _frozen(self) -> int:
        """The first step of the last training in which the masks no longer change."""
        stop = getattr(self.method, "stop", 0)
        return max(stop.values()) if isinstance(stop, Mapping) else stop


@dataclass(frozen=True)
class Snapshots:
    """Masks of one layer during a surgery, for the notebook's player.

    Attributes:
        method: the surgery.
        layer: whose weights.
        steps: when; steps done, 0 = after the first cut.
    """

    KIND: ClassVar[str] = "snapshots"

    method: NetworkSurgery
    layer: str
    steps: tuple[int, ...]

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Values: `snapshots`, each with step and kept, the mask as `masks.packed` writes it."""
        seen = {point["step"]: point for point in work.points("step", "kept")}

        def watch(step: int, state: Splicing) -> None:
            if step in self.steps:
                mask = state.layers[self.layer].masks["weight"].kept
                seen[step] = {"step": step, "kept": packed(mask.cpu())}
                work.keep(list(seen.values()))

        self.method.run(net, data, **work.how(), watch=watch)
        return {"snapshots": [seen[step] for step in self.steps if step in seen]}


def _vectors(net: nn.Module) -> dict[str, Tensor]:
    """Parameter name -> a flat copy."""
    return {name: p.detach().flatten().clone() for name, p in net.named_parameters()}


def _layers(start: Mapping[str, Tensor], end: Mapping[str, Tensor], keep: Keep) -> list[dict]:
    """Each pruned layer, weights and biases together: how many stay, and which.

    `top_share` is the share of the survivors that were among the n largest of the trained network,
    n being the number of survivors; `correlation` is that of their values before and after.
    """
    rows = []
    for layer in dict.fromkeys(name.rpartition(".")[0] for name in keep):
        names = [f"{layer}.{key}" for key in PARAMETERS if f"{layer}.{key}" in keep]
        before, after = (torch.cat([vectors[n] for n in names]).cpu() for vectors in (start, end))
        kept = torch.cat([keep[n].flatten() for n in names])
        n = int(kept.sum())
        top = largest(before.abs(), n)
        pair = torch.stack([before[kept], after[kept]])
        same = float(torch.corrcoef(pair)[0, 1]) if n > 1 else float("nan")
        row = {"layer": layer, "size": len(kept), "kept": n}
        row["top_share"] = round(int((top & kept).sum()) / n, 4)
        row["correlation"] = round(same, 4) if same == same else None
        rows.append(row)
    return rows


def _binned(events: Mapping[str, Tensor], sizes: Mapping[str, int]) -> list[dict]:
    """Pruned and spliced in `BINS` equal parts of a run, and what is kept at the end of each."""
    points = []
    for layer, counts in events.items():
        change = torch.cumsum(counts[:, 1] - counts[:, 0], 0)
        first, rest = counts[:1], counts[1:]
        points.append(_point(layer, 0, first, sizes[layer] + int(change[0])))
        done = 0
        for part in rest.tensor_split(min(BINS, len(rest))):
            done += len(part)
            points.append(_point(layer, done, part, sizes[layer] + int(change[done])))
    return points


def _point(layer: str, step: int, counts: Tensor, kept: int) -> dict:
    pruned, spliced = counts.sum(0).tolist()
    return {"step": step, "layer": layer, "kept": kept, "pruned": pruned, "spliced": spliced}
