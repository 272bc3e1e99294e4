"""Selections: a layer's channels chosen by several methods from the same network, and its maps."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, fx, nn

from prunelab import pictures
from prunelab.data import Dataset
from prunelab.groups import trace
from prunelab.groups.wiring import Wiring
from prunelab.methods import DiscriminationAware, FilterNorm, ThiNet
from prunelab.methods.reconstruction.readers import chosen as chosen_readers
from prunelab.study.work import Work


@dataclass(frozen=True)
class Selections:
    """What DCP chooses, layer by layer and channel by channel, beside ThiNet and the filter norm.

    Each method starts from the trained network. Maps are those of the trained network.

    Attributes:
        method: DCP; the others remove the same fraction, and ThiNet looks at as many images.
        image: number of the validation image whose maps are recorded.
    """

    KIND: ClassVar[str] = "selections"

    method: DiscriminationAware
    image: int = 0

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Values: `image` as a picture; `layers`: for each group what was chosen, and its maps.

        Pictures are those of `prunelab.pictures`; the image is (C, H, W).
        """
        how = {"seed": work.seed, "progress": work.progress}
        ratios = self.method.ratios
        others = {
            "ThiNet": ThiNet(ratios, self.method.images),
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
                "maps": pictures.pack(maps[name].cpu()),
            }
        image = data.val.images[self.image].float()
        return {
            "image": pictures.pack(image.cpu()),
            "layers": layers,
            "label": int(data.val.labels[self.image]),
        }

    def _maps(self, net: nn.Module, data: Dataset) -> dict[str, Tensor]:
        """Group -> (C, H, W), what its first reader reads."""
        groups = trace(net, data.example)
        chosen = chosen_readers("Selections", net, groups, self.method.ratios)
        wiring = Wiring.of(net, data.example, "Selections")
        nodes = {wiring.call(readers[0].layer): name for name, (_, readers) in chosen.items()}
        x, _ = next(iter(data.val[self.image : self.image + 1].batches(1)))
        found = {}

        def take(node: fx.Node, inputs: Tensor, output: Tensor) -> None:
            found[nodes[node]] = inputs[0].clone()

        wiring.watch(nodes, take)(x)
        return found


def _view(net: nn.Module, data: Dataset) -> str:
    """The view of the groups in which DCP chooses."""
    return "first" if trace(net, data.example).writers else "coupled"


def _short(values: Tensor) -> list:
    """A table of numbers to four digits."""
    return [[float(f"{value:.4g}") for value in row] for row in values.tolist()]
