"""Counts of a known network from its widths alone, as the papers on learned noise count.

* weights: those of convolutions and linear layers, without biases;
* activations ("rN", the memory footprint): the inputs of an image where they can be pruned, each
  map before and after pooling, the inputs of a linear layer where they can be pruned, and hidden
  units, but not the outputs;
* MACs ("FLOP"): those of convolutions and linear layers; a multiply-accumulate counts once.

Source: papers/vibnet.md section 5, recomputed from every printed row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from prunelab.study.cells import Numbers
from prunelab.study.results import Line, Run


@dataclass(frozen=True)
class Counts:
    """Weights, and activations and multiply-accumulates per image."""

    weights: int
    activations: int
    macs: int


@dataclass(frozen=True)
class CountedLayer:
    """A convolution or a linear layer.

    Attributes:
        reads: the place whose units it reads, or its fixed number of inputs.
        writes: the place whose units it writes, or its fixed number of outputs.
        area: number of kernel positions.
        side: height and width of its map.
        pooled: height and width after pooling; 0 = no pooling.
    """

    reads: str | int
    writes: str | int
    area: int = 1
    side: int = 1
    pooled: int = 0


@dataclass(frozen=True)
class CountedNetwork:
    """A network whose units can be pruned.

    Attributes:
        whole: place -> number of units, in the order in which the papers print widths.
        layers: its layers, from input to output.
    """

    whole: Mapping[str, int]
    layers: tuple[CountedLayer, ...]

    def counts(self, widths: Mapping[str, int] | None = None) -> Counts:
        """Counts with these widths; None = of the whole network."""
        widths = self.whole if widths is None else widths
        weights = activations = macs = 0
        for layer in self.layers:
            reads, writes = (
                widths[end] if isinstance(end, str) else end for end in (layer.reads, layer.writes)
            )
            weights += layer.area * reads * writes
            macs += layer.area * reads * writes * layer.side**2
            activations += writes * (layer.side**2 + layer.pooled**2)
        inputs = sum(widths[place] for place in self.whole if place.endswith(".inputs"))
        return Counts(weights, activations + inputs - writes, macs)

    def widths(self, widths: Mapping[str, int]) -> str:
        """Widths as the papers write them: 97-71-33."""
        return "-".join(str(widths[place]) for place in self.whole)


_SMALL = {
    "mlp-2-3-2-1": CountedNetwork(
        {"fc1": 3, "fc2": 2},
        (CountedLayer(2, "fc1"), CountedLayer("fc1", "fc2"), CountedLayer("fc2", 1)),
    ),
    "lenet-300-100": CountedNetwork(
        {"fc1.inputs": 784, "fc1": 300, "fc2": 100},
        (CountedLayer("fc1.inputs", "fc1"), CountedLayer("fc1", "fc2"), CountedLayer("fc2", 10)),
    ),
    "lenet-5-relu": CountedNetwork(
        {"conv1": 20, "conv2": 50, "fc1.inputs": 800, "fc1": 500},
        (
            CountedLayer(1, "conv1", 25, 24, 12),
            CountedLayer("conv1", "conv2", 25, 8, 4),
            CountedLayer("fc1.inputs", "fc1"),
            CountedLayer("fc1", 10),
        ),
    ),
}
# Convolutions of each stage, hidden linear layers.
_VGGS = {
    "vgg-16": ((2, 2, 3, 3, 3), 1),
    "vgg-16-fc2": ((2, 2, 3, 3, 3), 2),
    "vgg-19": ((2, 2, 4, 4, 4), 0),
}


@cache
def network(model: str, classes: int = 10) -> CountedNetwork:
    """A known network. Errors: KeyError, it is unknown."""
    if model in ("resnet-20", "preresnet-20"):
        return _resnet_20(classes, projected=model == "preresnet-20")
    model = model.removesuffix("-bn")  # norms are not counted
    return _SMALL[model] if model in _SMALL else _vgg(*_VGGS[model], classes)


def _vgg(stages: tuple[int, ...], hidden: int, classes: int) -> CountedNetwork:
    """For 32 x 32 images: 3 x 3 convolutions, 2 x 2 pooling after each stage, linear layers."""
    whole: dict[str, int] = {}
    layers, before = [], 3
    for stage, (many, units) in enumerate(zip(stages, (64, 128, 256, 512, 512))):
        side = 32 >> stage
        for number in range(many):
            name = f"features.conv{len(layers) + 1}"
            layers.append(
                CountedLayer(before, name, 9, side, side // 2 if number == many - 1 else 0)
            )
            whole[name], before = units, name
    for number in range(hidden):
        name = f"classifier.fc{number + 1}"
        layers.append(CountedLayer(before, name))
        whole[name], before = 512, name
    return CountedNetwork(whole, (*layers, CountedLayer(before, classes)))


def _resnet_20(classes: int, projected: bool) -> CountedNetwork:
    """For 32 x 32 images. Only the inner maps of blocks are pruned.

    A shortcut that changes size is a 1x1 convolution if `projected`, else it has no weights.
    """
    whole: dict[str, int] = {}
    layers, before = [CountedLayer(3, 16, 9, 32)], 16
    for stage, units in enumerate((16, 32, 64)):
        for block in range(3):
            name, side = f"layer{stage + 1}.{block}.conv1", 32 >> stage
            layers += [CountedLayer(before, name, 9, side), CountedLayer(name, units, 9, side)]
            if projected and before != units:
                layers.append(CountedLayer(before, units, 1, side))
            whole[name], before = units, units
    return CountedNetwork(whole, (*layers, CountedLayer(before, classes)))


def of(run: Run) -> CountedNetwork:
    """The unpruned network of a run."""
    return network(run.case.model, 100 if run.case.data == "cifar100" else 10)


def left(run: Run) -> Counts:
    """Counts of what is left after a run."""
    return of(run).counts(run.values["widths"])


def weights(run: Run) -> float:
    """Weights left, in percent."""
    return 100 * left(run).weights / of(run).counts().weights


def activations(run: Run) -> float:
    """Activations left, in percent."""
    return 100 * left(run).activations / of(run).counts().activations


def macs(run: Run) -> float:
    """MACs left, in percent."""
    return 100 * left(run).macs / of(run).counts().macs


def mmac(run: Run) -> float:
    """MACs left, in millions."""
    return left(run).macs / 1e6


def widths(line: Line) -> Numbers | Any:
    """A cell with the widths of all runs."""
    texts = [of(run).widths(run.values["widths"]) for run in line.runs]
    return Numbers(", ".join(texts), rows=line.keys) if texts else line.missing
