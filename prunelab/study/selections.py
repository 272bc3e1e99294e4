"""Selections: a layer's channels chosen by several methods from the same network, and its maps."""

from __future__ import annotations

import base64
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from prunelab.data import Dataset
from prunelab.groups import trace
from prunelab.methods import DiscriminationAware, FilterNorm, ThiNet
from prunelab.methods.reconstruction import layerwise, rows
from prunelab.study.work import Work


@dataclass(frozen=True)
class Selections:
    """What DCP chooses, layer by layer and channel by channel, beside ThiNet and the filter norm.

    Each method starts from the trained network. Maps are those of the trained network.

    Attributes:
        method: DCP; the others remove the same fraction.
        image: number of the validation image whose maps are recorded.
    """

    KIND: ClassVar[str] = "selections"

    method: DiscriminationAware
    image: int = 0

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Values: `image` as a picture; `layers`: for each group what was chosen, and its maps.

        A picture is {"shape": [H, W] or [C, H, W], "bytes": base64 of uint8}.
        """
        how = {"seed": work.seed, "progress": work.progress}
        ratios = self.method.ratios
        others = {
            "ThiNet": ThiNet(ratios),
            "filter norm": FilterNorm(ratios, residual=_view(net, data)),
        }
        keeps = {name: m.prune(deepcopy(net), data, **how) for name, m in others.items()}
        maps = self._maps(net, data)
        done = self.method.run(net, data, **work.how())
        layers = {}
        for name, kept in done.keep.items():
            found = {what: done.events[f"{name}: {what}"] for what in ("order", "losses", "scores")}
            layers[name] = {
                "order": found["order"].tolist(),
                "losses": _short(found["losses"]),
                "scores": _short(found["scores"]),
                "kept": {"DCP": kept.nonzero()[:, 0].tolist()}
                | {other: keep[name].nonzero()[:, 0].tolist() for other, keep in keeps.items()},
                "maps": picture(maps[name]),
            }
        image = data.val.images[self.image].float()
        return {
            "image": picture(image),
            "layers": layers,
            "label": int(data.val.labels[self.image]),
        }

    def _maps(self, net: nn.Module, data: Dataset) -> dict[str, Tensor]:
        """Group -> (C, H, W), what its first reader reads."""
        groups = trace(net, data.example)
        chosen = layerwise.chosen("Selections", net, groups, self.method.ratios)
        layers = {readers[0].layer: name for name, (_, readers) in chosen.items()}
        x, _ = next(iter(data.val[self.image : self.image + 1].batches(1)))
        found = {}

        def take(layer: str, inputs: Tensor, output: Tensor) -> None:
            found[layers[layer]] = inputs[0].clone()

        rows.look(net, layers, x, take)
        return found


def _view(net: nn.Module, data: Dataset) -> str:
    """The view of the groups in which DCP chooses."""
    return "first" if trace(net, data.example).writers else "coupled"


def _short(values: Tensor) -> list:
    """A table of numbers to four digits."""
    return [[float(f"{value:.4g}") for value in row] for row in values.tolist()]


def picture(values: Tensor) -> dict:
    """Maps (C, H, W) from 0 to their largest value, as 8-bit grey values."""
    scaled = values / values.amax().clamp_min(1e-12) * 255
    grey = scaled.clamp(0, 255).round().to(torch.uint8).cpu().numpy()
    return {"shape": list(grey.shape), "bytes": base64.b64encode(grey.tobytes()).decode()}
