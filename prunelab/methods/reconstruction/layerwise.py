"""Layer by layer: choose what a layer reads so that its output can be rebuilt, rebuild, go on."""

from __future__ import annotations

import abc
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from prunelab import scores, surgery, train
from prunelab.data import Dataset, Split
from prunelab.groups import trace
from prunelab.groups.wiring import Wiring
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
from prunelab.methods.reconstruction.inherited import shortcut
from prunelab.methods.reconstruction.moments import Moments
from prunelab.methods.reconstruction.readers import Reader, chosen
from prunelab.methods.reconstruction.sound import check_sums, check_weights, warn_of_few
from prunelab.methods.stages import Options
from prunelab.train.as_found import taken_back

BATCH = 100  # images a forward pass


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
        ratios: fraction of the channels to remove: one for all groups off the residual streams; or
            by name: a group, or `<layer>.inputs`, what a layer picks of a stream.
        images: how many training images are looked at, drawn once; None = all.
        positions: how many output positions of each; None = all.
        finetune: training of the whole network after each layer; None = none.

    A layer that is rebuilt from fewer rows than it keeps columns is warned of.
    """

    # Whether the outputs of the whole network are met, or those of the network pruned so far.
    WHOLE: ClassVar[bool] = True

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
        ratios = chosen(caller, net, groups, self.ratios)
        check_weights(caller, net)
        now, keep = Wiring.of(net, data.example, caller), {}
        source = now
        if self.WHOLE:
            source = Wiring.of(surgery.masked(net, groups, {}), data.example, caller)
        images = drawn(data.train, self.images, options.seed)
        trainings = {} if self.finetune is None else dict.fromkeys(ratios, self.finetune)
        stages, history = options.stages(trainings, data), []
        bar = tqdm(total=len(ratios) * len(images), desc=caller, disable=not options.progress)
        for number, (name, (ratio, readers)) in enumerate(ratios.items()):
            rng = torch.Generator().manual_seed(options.seed + number)
            bar.set_postfix_str(name)
            batches = _told(images, bar)
            parts = parts_of(now, source, batches, readers, self.positions, rng, self.WHOLE)
            keep[name] = self._choose(parts, scores.kept(groups[name].size, ratio), rng)
            for part in parts:
                unknowns = self._unknowns(part, keep[name])
                warn_of_few(caller, part.reader.layer, part.moments.rows, unknowns)
            with taken_back(net.state_dict().values()):
                for part in parts:
                    self._rebuild(net, part, keep[name])
                zero = surgery.masker(net, groups, keep)
                zero()
                if stage := next(stages, None):
                    history.append(stage.fit(net, after_step=zero))
        bar.close()
        return Pruned(Keep(keep), tuple(history))

    @abc.abstractmethod
    def _choose(self, parts: list[Part], count: int, rng: torch.Generator) -> Tensor:
        """(C,) bool: which `count` channels stay."""

    def _unknowns(self, part: Part, kept: Tensor) -> int:
        """How many numbers of a row the regression of `_rebuild` has a factor for."""
        return int(kept.sum())

    @abc.abstractmethod
    def _rebuild(self, net: nn.Module, part: Part, kept: Tensor) -> None:
        """Write new weights of the layer into `net`."""


def drawn(split: Split, images: int | None, seed: int) -> Split:
    """So many images of a split, drawn once, in their order; None = all."""
    if images is None or images >= len(split):
        return split
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    return split[order[:images].sort().values.to(split.device)]


def parts_of(
    now: Wiring,
    source: Wiring,
    images: Iterable[Tensor],
    readers: list[Reader],
    positions: int | None,
    rng: torch.Generator,
    inherited: bool = False,
) -> list[Part]:
    """One pass over images: what layers read now, and write in `source` less their biases.

    Args:
        now: the network whose layers are to be rebuilt.
        source: the network whose outputs are to be met.
        images: batches (N, C, H, W).
        readers: the layers.
        positions: of each image, as `Layerwise.positions`.
        rng: draws them.
        inherited: whether layers make up for the errors of their shortcuts too.

    Raises:
        ValueError: what a layer reads or has to write is not finite.
    """
    layers = {r.layer: now.net.get_submodule(r.layer) for r in readers}
    sums = {name: Moments.of(layer.weight) for name, layer in layers.items()}
    here, there = {}, {}
    for name in layers if inherited else ():
        if (mine := shortcut(now, name)) and (its := shortcut(source, name)):
            here[name], there[name] = mine, its[0]
    nodes = {name: node for name, (node, _) in here.items()}
    for x in images:
        at = functools.cache(lambda name, shape: rows.positions(shape, positions, rng))
        read, pruned = rows.read(now, layers, x, at, nodes)
        wanted, unpruned = read, pruned
        if source is not now:
            wanted, unpruned = rows.read(source, layers, x, at, there)
        for name, layer in layers.items():
            y = wanted[name][1]
            if name in here:
                y = y + (unpruned[name] - pruned[name]) * here[name][1].to(y)
            sums[name].add(read[name][0], y if layer.bias is None else y - layer.bias.detach())
    found = []
    for reader in readers:
        check_sums(now.caller, reader.layer, sums[reader.layer])
        weight = layers[reader.layer].weight.detach().flatten(1).double().cpu()
        moments = sums[reader.layer].part(weight, reader.columns, reader.channels)
        found.append(Part(reader, moments, weight[:, reader.columns]))
    return found


def _told(images: Split, bar: tqdm) -> Iterator[Tensor]:
    """Batches of images, counted by a bar."""
    for x, _ in images.batches(BATCH):
        yield x
        bar.update(len(x))


def write(net: nn.Module, reader: Reader, weight: Tensor) -> None:
    """Replace the group's columns of a layer's weight by `weight` (n, columns)."""
    whole = net.get_submodule(reader.layer).weight
    with torch.no_grad():
        new = whole.flatten(1).clone()
        new[:, reader.columns] = weight.to(new)
        whole.copy_(new.view_as(whole))
