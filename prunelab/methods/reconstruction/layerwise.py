"""Layer by layer: choose what a layer reads so that its output can be rebuilt, rebuild, go on."""

from __future__ import annotations

import abc
import functools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from prunelab import scores, surgery, train
from prunelab.data import Dataset, Split
from prunelab.groups import Group, Groups, trace
from prunelab.groups.group import IN, INPUTS, SELECT
from prunelab.masks import Keep
from prunelab.methods.base import (
    Method,
    Ratios,
    check_budget,
    check_count,
    check_dataset,
    check_ratios,
    opened,
)
from prunelab.methods.reconstruction import rows
from prunelab.methods.reconstruction.moments import Moments

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
class Layerwise(Method):
    """The frame of methods that rebuild layer after layer; a subclass chooses and rebuilds.

    Attributes:
        ratios: fraction of the channels to remove: one for all channels that only convolutions read
            and no residual stream carries; or by name: a group, or `<layer>.inputs`.
        images: how many training images are looked at, drawn once; None = all.
        positions: how many output positions an image; None = all.
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

    def prune(self, net: nn.Module, data: object, *, seed: int = 0, progress: bool = True) -> Keep:
        """See `Method.prune`. The weights of `net` that read kept channels are rebuilt in place."""
        net, caller = opened(self, net, seed, progress), type(self).__name__
        check_dataset(self, data)
        groups = trace(net, data.example)
        ratios = chosen(caller, groups, self.ratios, net)
        readers = {name: readers_of(caller, net, groups[name]) for name in ratios}
        whole, images, keep = surgery.masked(net, groups, {}), self._images(data, seed), {}
        bar = tqdm(ratios.items(), desc=caller, disable=not progress)
        for number, (name, ratio) in enumerate(bar):
            bar.set_postfix_str(name)
            moments = self._moments(net, whole, images, readers[name], seed + number)
            parts = [moments[r.layer].part(_weight(net, r.layer), r.start, r.channels, r.area)
                     for r in readers[name]]  # fmt: skip
            weights = [_weight(net, r.layer)[:, r.columns].double().cpu() for r in readers[name]]
            count = scores.kept(groups[name].size, ratio)
            keep[name] = self._choose(parts, weights, count, torch.Generator().manual_seed(seed))
            for reader, part, weight in zip(readers[name], parts, weights):
                self._rebuild(net, reader, part, weight, keep[name])
            zero = surgery.masker(net, groups, keep)
            zero()
            if self.finetune is not None and number + 1 < len(ratios):
                train.fit(net, data, self.finetune, after_step=zero, seed=seed + number,
                          progress=progress)  # fmt: skip
        return Keep(keep)

    def _images(self, data: Dataset, seed: int) -> Split:
        size = len(data.train)
        if self.images is None or self.images >= size:
            return data.train
        order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
        return data.train[order[: self.images].sort().values.to(data.device)]

    def _moments(
        self, net: nn.Module, whole: nn.Module, images: Split, readers: list[Reader], seed: int
    ) -> dict[str, Moments]:
        """Layer -> sums over rows: x from `net`, y from `_target`, biases taken off."""
        layers = list(dict.fromkeys(r.layer for r in readers))
        found = {name: _empty(net.get_submodule(name)) for name in layers}
        rng, source = torch.Generator().manual_seed(seed), self._target(net, whole)
        for x, _ in images.batches(BATCH):
            at = functools.cache(lambda name, shape: rows.positions(shape, self.positions, rng))
            reads = rows.read(net, layers, x, at)
            wanted = reads
            if source is not net:
                wanted = rows.read(source, layers, x, at)
            for name in layers:
                y, bias = wanted[name][1], net.get_submodule(name).bias
                found[name].add(reads[name][0], y if bias is None else y - bias.detach())
        return found

    def _target(self, net: nn.Module, whole: nn.Module) -> nn.Module:
        """The network whose outputs are to be met."""
        return whole

    @abc.abstractmethod
    def _choose(
        self, parts: list[Moments], weights: list[Tensor], count: int, rng: torch.Generator
    ) -> Tensor:
        """(C,) bool: which `count` channels stay."""

    @abc.abstractmethod
    def _rebuild(
        self, net: nn.Module, reader: Reader, part: Moments, weight: Tensor, kept: Tensor
    ) -> None:
        """Write new weights of the layer into `net`."""


def _empty(layer: nn.Module) -> Moments:
    return Moments(layer.weight[0].numel(), len(layer.weight), layer.weight.shape[1])


def _weight(net: nn.Module, layer: str) -> Tensor:
    """(n, D) what multiplies the patches."""
    return net.get_submodule(layer).weight.detach().flatten(1)


def write(net: nn.Module, reader: Reader, weight: Tensor) -> None:
    """Replace the group's columns of a layer's weight by `weight` (n, columns)."""
    whole = net.get_submodule(reader.layer).weight
    new = whole.detach().flatten(1).clone()
    new[:, reader.columns] = weight.to(new)
    with torch.no_grad():
        whole.copy_(new.view_as(whole))
