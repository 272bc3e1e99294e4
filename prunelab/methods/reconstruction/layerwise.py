"""Layer by layer: choose what a layer reads so that its output can be rebuilt, rebuild, go on."""

from __future__ import annotations

import abc
import functools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunelab import scores, surgery, train
from prunelab.data import Dataset, Split
from prunelab.groups import Group, Groups, trace
from prunelab.groups.group import IN, INPUTS, SELECT
from prunelab.masks import Keep
from prunelab.methods.base import (
    Method,
    Pruned,
    Ratios,
    check_budget,
    check_count,
    check_ratios,
)
from prunelab.methods.reconstruction import rows
from prunelab.methods.reconstruction.moments import Moments
from prunelab.methods.stages import Options

BATCH = 100  # images a forward pass


@dataclass(frozen=True)
class Reader:
    """A layer that reads the channels of a group.

    Attributes:
        layer: its name.
        start: the first column of `weight.flatten(1)` that belongs to the group.
        channels: size of the group.
        area: columns of each channel.
    """

    layer: str
    start: int
    channels: int
    area: int

    @property
    def columns(self) -> slice:
        """The group's columns of `weight.flatten(1)`."""
        return slice(self.start, self.start + self.channels * self.area)


def readers_of(caller: str, net: nn.Module, group: Group) -> list[Reader]:
    """The layers that read a group. ValueError if one of them cannot be rebuilt."""
    found = []
    for s in group.slices:
        if s.role in (IN, SELECT):
            area = rows.check_layer(caller, net, s.layer).weight[0, 0].numel()
            found.append(Reader(s.layer, s.offset * area, group.size, s.repeat * area))
    if not found or len({r.layer for r in found}) < len(found):
        raise ValueError(
            f"{caller}: `{group.name}` must be read by one layer or more, each of them once"
        )
    return found


def inner(groups: Groups, net: nn.Module) -> list[str]:
    """Groups off the residual streams that only convolutions read: what these papers prune."""
    return [
        name
        for name, group in groups.items()
        if group.consumers
        and not groups.writers & set(group.producers)
        and all(isinstance(net.get_submodule(c), nn.Conv2d) for c in group.consumers)
    ]


def chosen(caller: str, groups: Groups, ratios: Ratios, net: nn.Module) -> dict[str, float]:
    """Group -> ratio in order of execution; one ratio means all inner groups.

    Names may be those of groups, or `<layer>.inputs`, which leaves the writers alone.
    """
    if not isinstance(ratios, Mapping):
        found = dict.fromkeys(inner(groups, net), float(ratios))
        if not found:
            raise ValueError(
                f"{caller}: `net` must have channels that only convolutions read, off its residual"
                " streams; name groups in `ratios`"
            )
        return found
    order = list(groups.reads)  # layers in order of execution
    places = {name: order.index(name.removesuffix(INPUTS)) for name in ratios if INPUTS in name}
    for name in groups.select(set(ratios) - set(places)):
        places[name] = order.index(groups[name].consumers[0])
    return {name: float(ratios[name]) for name in sorted(places, key=places.get)}


@dataclass(frozen=True)
class Part:
    """What is known of one layer when the channels that it reads are chosen.

    Attributes:
        reader: the layer.
        moments: sums over rows of these channels; targets are less what other channels give.
        weight: (n, columns) what the layer multiplies these channels with, in float64.
    """

    reader: Reader
    moments: Moments
    weight: Tensor


@dataclass(frozen=True)
class Layerwise(Method):
    """The frame of methods that rebuild layer after layer; a subclass chooses and rebuilds.

    Attributes:
        ratios: fraction of the channels to remove: one for all channels that only convolutions read
            and no residual stream carries; or by name: a group, or `<layer>.inputs`.
        images: how many training images are looked at, drawn once; None = all.
        positions: how many output positions of each; None = all.
        finetune: training after each layer but the last; None = none.
    """

    ratios: Ratios
    images: int | None = 5000
    positions: int | None = 10
    finetune: train.Budget | None = None

    def __post_init__(self) -> None:
        check_ratios(self, self.ratios)
        for field in ("images", "positions"):
            if getattr(self, field) is not None:
                check_count(self, field)
        if self.finetune is not None:
            check_budget(self, "finetune")

    def _run(self, net: nn.Module, data: Dataset, options: Options) -> Pruned:
        caller, groups = type(self).__name__, trace(net, data.example)
        ratios = chosen(caller, groups, self.ratios, net)
        readers = {name: readers_of(caller, net, groups[name]) for name in ratios}
        whole, images, keep = surgery.masked(net, groups, {}), self._images(data, options.seed), {}
        trainings = {} if self.finetune is None else dict.fromkeys([*ratios][:-1], self.finetune)
        stages, history = options.stages(trainings, data), []
        for number, (name, ratio) in enumerate(ratios.items()):
            rng = torch.Generator().manual_seed(options.seed + number)
            parts = self._parts(net, whole, images, readers[name], rng)
            keep[name] = self._choose(parts, scores.kept(groups[name].size, ratio), rng)
            for part in parts:
                self._rebuild(net, part, keep[name])
            zero = surgery.masker(net, groups, keep)
            zero()
            if stage := next(stages, None):
                history.append(stage.fit(net, after_step=zero))
        return Pruned(Keep(keep), tuple(history))

    def _images(self, data: Dataset, seed: int) -> Split:
        size = len(data.train)
        if self.images is None or self.images >= size:
            return data.train
        order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
        return data.train[order[: self.images].sort().values.to(data.device)]

    def _parts(
        self,
        net: nn.Module,
        whole: nn.Module,
        images: Split,
        readers: list[Reader],
        rng: torch.Generator,
    ) -> list[Part]:
        """One pass over the images: x from `net`, y from `_target`, biases taken off."""
        layers = {r.layer: net.get_submodule(r.layer) for r in readers}
        sums = {name: Moments.of(layer.weight) for name, layer in layers.items()}
        source = self._target(net, whole)
        for x, _ in images.batches(BATCH):
            at = functools.cache(lambda name, shape: rows.positions(shape, self.positions, rng))
            read = wanted = rows.read(net, layers, x, at)
            if source is not net:
                wanted = rows.read(source, layers, x, at)
            for name, layer in layers.items():
                y = wanted[name][1]
                sums[name].add(read[name][0], y if layer.bias is None else y - layer.bias.detach())
        found = []
        for reader in readers:
            weight = layers[reader.layer].weight.detach().flatten(1).double().cpu()
            moments = sums[reader.layer].part(weight, reader.columns, reader.channels)
            found.append(Part(reader, moments, weight[:, reader.columns]))
        return found

    def _target(self, net: nn.Module, whole: nn.Module) -> nn.Module:
        """The network whose outputs are to be met."""
        return whole

    @abc.abstractmethod
    def _choose(self, parts: list[Part], count: int, rng: torch.Generator) -> Tensor:
        """(C,) bool: which `count` channels stay."""

    @abc.abstractmethod
    def _rebuild(self, net: nn.Module, part: Part, kept: Tensor) -> None:
        """Write new weights of the layer into `net`."""


def write(net: nn.Module, reader: Reader, weight: Tensor) -> None:
    """Replace the group's columns of a layer's weight by `weight` (n, columns)."""
    whole = net.get_submodule(reader.layer).weight
    with torch.no_grad():
        new = whole.flatten(1).clone()
        new[:, reader.columns] = weight.to(new)
        whole.copy_(new.view_as(whole))
