"""Feature-map pruning by activation statistics: the criteria PFEC compares itself with, and APoZ.

Over N training images, with x_j^n the map of channel j after the convolution, before batch norm:

    mean-mean  1/N sum_n mean(x_j^n)      mean-std  1/N sum_n std(x_j^n)
    mean-l1    1/N sum_n ||x_j^n||_1      mean-l2   1/N sum_n ||x_j^n||_2
    var-l2     var_n(||x_j^n||_2)
    apoz       fraction of zeros among all x_j after the ReLU; the *largest* go

Source: PFEC, section 4.5; Hu, Peng, Tai, Tang. Network Trimming. 2016 (APoZ).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, fx, nn
from tqdm import tqdm

from prunelab import scores
from prunelab.groups import Group, Groups, trace
from prunelab.groups.wiring import Wiring
from prunelab.masks import Keep
from prunelab.methods.base import (
    Method,
    Pruned,
    Ratios,
    check_count,
    check_option,
    check_ratios,
    choose,
    example_of,
)
from prunelab.methods.stages import Options

# (N, C, pixels) maps -> (N, C) numbers that are averaged over the images; of var-l2 the variance.
STATISTICS = {
    "mean-mean": lambda maps: maps.mean(2),
    "mean-std": lambda maps: maps.std(2, correction=0),
    "mean-l1": lambda maps: maps.abs().sum(2),
    "mean-l2": lambda maps: maps.norm(dim=2),
    "var-l2": lambda maps: maps.norm(dim=2),
    "apoz": lambda maps: (maps != 0).double().mean(2),
}


@dataclass(frozen=True)
class ActivationStatistic(Method):
    """Feature-map pruning by one statistic of the maps over training images.

    Attributes:
        ratios: fraction of the maps to remove, one for all groups or by group name.
        statistic: one of mean-mean (signed, as written), mean-std, mean-l1, mean-l2, var-l2, apoz.
        images: how many training images to look at, from the first on; None = all, as in the paper.
        batch: images per forward pass.

    Cost: one forward pass over the images; a few numbers per channel.

    Source: PFEC, section 4.5; APoZ of Hu et al. 2016.
    Differs: std and var are the biased ones (the paper does not say; the order is the same). A
        group with several writers (a residual stream) is ranked by the sum over them, as its norms
        are. A map of a linear layer is one number: mean-std is 0 there and cannot rank its units.
        Without a ReLU before the next layer (LeNet-5's convolutions) APoZ looks at the output.
    """

    KIND: ClassVar[str] = "activation_statistic"

    ratios: Ratios
    statistic: str = "mean-std"
    images: int | None = None
    batch: int = 250

    def __post_init__(self) -> None:
        check_ratios(self, self.ratios)
        check_option(self, "statistic", tuple(STATISTICS))
        check_count(self, "batch")
        if self.images is not None:
            check_count(self, "images")

    def _run(self, net: nn.Module, data: object, options: Options) -> Pruned:
        """Nothing is random here."""
        groups = trace(net, example_of(data))
        ratios = choose(groups, self.ratios)
        batches = data.train[: self.images].batches(self.batch)
        if options.progress:
            batches = tqdm(batches, desc=f"activations ({self.statistic})", leave=False)
        found = statistics(net, groups.select(ratios), batches, self.statistic)
        keep = {n: scores.best(found[n], scores.kept(groups[n].size, r)) for n, r in ratios.items()}
        return Pruned(Keep(keep))


def statistics(
    net: nn.Module, groups: Groups, batches: Iterable[tuple[Tensor, Tensor]], statistic: str
) -> dict[str, Tensor]:
    """Scores of all channels by a statistic, in one pass over the images.

    Args:
        net: a trained network; run in evaluation mode, left as it was.
        groups: the groups to score.
        batches: (x, y) with x (n, C, H, W), normalised.
        statistic: a name from `STATISTICS`.

    Returns:
        group name -> (size,) scores, larger = more important (for APoZ the fraction of values that
        are not zero).

    Raises:
        ValueError: there are no images, or a layer's output cannot be watched.
    """
    layers = {layer for g in groups.values() for layer in g.producers}
    sums: dict[str, Tensor] = dict.fromkeys(layers, torch.zeros(()))
    places: dict[fx.Node, list[str]] = defaultdict(list)

    def take(node: fx.Node, _: Tensor, out: Tensor) -> None:
        for layer in places[node]:
            part = STATISTICS[statistic](watched.maps(layer, out).double())
            sums[layer] = sums[layer] + torch.stack([part.sum(0), part.square().sum(0)])

    seen, watch = 0, None
    for x, _ in batches:
        if watch is None:
            watched = Wiring.of(net, x, "statistics")
            for layer in layers:
                for call in watched.calls(layer):
                    places[watched.activation(call) if statistic == "apoz" else call].append(layer)
            watch = watched.watch(places, take)
        seen += len(x)
        watch(x)
    if not seen:
        raise ValueError("statistics: there are no images to look at")
    found = {layer: total / seen for layer, total in sums.items()}
    for layer, (mean, square) in found.items():
        found[layer] = square - mean.square() if statistic == "var-l2" else mean
    return {name: _of_group(group, found) for name, group in groups.items()}


def _of_group(group: Group, found: Mapping[str, Tensor]) -> Tensor:
    """(size,) sum over the layers that write the group, and over the channels of a unit."""
    total = 0
    for s in group.slices:
        if s.role == "out" and s.tensor.endswith("weight"):
            part = found[s.layer][s.offset : s.offset + s.repeat * group.size]
            total = total + part.view(group.size, s.repeat).sum(1)
    return total.cpu()
