"""Feature-map pruning by activation statistics: the criteria that PFEC compares itself with, and APoZ.

Over N training images, with x_j^n the map of channel j after the convolution, before batch norm:

    mean-mean  1/N sum_n mean(x_j^n)      mean-std  1/N sum_n std(x_j^n)
    mean-l1    1/N sum_n ||x_j^n||_1      mean-l2   1/N sum_n ||x_j^n||_2
    var-l2     var_n(||x_j^n||_2)
    apoz       fraction of zeros among all x_j after the ReLU; the *largest* go

Source: PFEC, section 4.5; Hu, Peng, Tai, Tang. Network Trimming. 2016 (APoZ).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from tqdm import tqdm

from prunelab import scores
from prunelab.groups import Groups, trace
from prunelab.masks import Keep
from prunelab.methods.base import Method, Ratios, check_option, check_ratios, choose, example_of

STATISTICS = ("mean-mean", "mean-std", "mean-l1", "mean-l2", "var-l2", "apoz")


@dataclass(frozen=True)
class ActivationStatistic(Method):
    """Feature-map pruning by one statistic of the maps over training images.

    Attributes:
        ratios: fraction of the maps to remove, one for all groups or by group name.
        statistic: one of mean-mean (signed, as written), mean-std, mean-l1, mean-l2, var-l2, apoz.
        images: how many training images to look at, from the first on; None = all, as the paper does.
        batch: images per forward pass.

    Cost: one forward pass over the images; a few numbers per channel.

    Source: PFEC, section 4.5; APoZ of Hu et al. 2016.
    Differs: std and var are the biased ones (the paper does not say; the order is the same). Groups
        with several writers sum over them.
    """

    ratios: Ratios
    statistic: str = "mean-std"
    images: int | None = None
    batch: int = 250

    def __post_init__(self) -> None:
        check_ratios(self, self.ratios)
        check_option(self, "statistic", STATISTICS)
        if self.images is not None and self.images < 1:
            raise ValueError(f"ActivationStatistic: `images` must be positive, got {self.images}")

    def prune(self, net: nn.Module, data: object, *, seed: int = 0, progress: bool = True) -> Keep:
        """See `Method.prune`; looks at `data.train`. Nothing is random: `seed` is not used."""
        groups = trace(net, example_of(data))
        ratios = choose(groups, self.ratios)
        batches = data.train[: self.images].batches(self.batch)
        if progress:
            batches = tqdm(batches, desc=f"activations ({self.statistic})", leave=False)
        found = statistics(net, groups.select(ratios), batches, [self.statistic])[self.statistic]
        return Keep(
            {n: scores.best(found[n], scores.kept(groups[n].size, r)) for n, r in ratios.items()}
        )


def statistics(
    net: nn.Module,
    groups: Groups,
    batches: Iterable[tuple[Tensor, Tensor]],
    wanted: Iterable[str] = STATISTICS,
) -> dict[str, dict[str, Tensor]]:
    """Scores of all channels by several statistics, in one pass over the images.

    Args:
        net: a trained network; run in evaluation mode, left as it was.
        groups: the groups to score.
        batches: (x, y) with x (n, C, H, W), normalised.
        wanted: names from `STATISTICS`.

    Returns:
        statistic -> group name -> (size,) scores, larger = more important (APoZ with its sign turned).

    Raises:
        ValueError: there are no images.
    """
    modes = {module: module.training for module in net.modules()}
    sums: dict[tuple[str, str], Tensor] = {}
    seen = 0
    try:
        watch = _Watch(net.eval(), {layer for g in groups.values() for layer in g.producers})
        with torch.inference_mode():
            for x, _ in batches:
                seen += len(x)
                for layer, (raw, active) in watch(x).items():
                    for key, value in _sums(raw.double(), active).items():
                        sums[layer, key] = sums.get((layer, key), 0) + value
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not seen:
        raise ValueError("statistics: there are no images to look at")
    return {
        name: {
            g.name: _of_group(g, lambda layer, s=name: _final(sums, layer, s, seen))
            for g in groups.values()
        }
        for name in wanted
    }


def _sums(raw: Tensor, active: Tensor) -> dict[str, Tensor]:
    """(C,) sums over the images of one batch."""
    raw, active = (t.flatten(2) if t.ndim > 2 else t.unsqueeze(2) for t in (raw, active))
    l2 = raw.norm(dim=2)
    return {
        "mean-mean": raw.mean(2).sum(0),
        "mean-std": raw.std(2, correction=0).sum(0),
        "mean-l1": raw.abs().sum(2).sum(0),
        "mean-l2": l2.sum(0),
        "squares": l2.square().sum(0),
        "nonzero": (active != 0).double().mean(2).sum(0),
    }


def _final(sums: dict, layer: str, statistic: str, n: int) -> Tensor:
    if statistic == "var-l2":
        return sums[layer, "squares"] / n - (sums[layer, "mean-l2"] / n).square()
    return sums[layer, "nonzero" if statistic == "apoz" else statistic] / n


def _of_group(group: object, score: Callable[[str], Tensor]) -> Tensor:
    """(size,) sum over the layers that write the group, and over the channels of a unit."""
    total = 0
    for s in group.slices:
        if s.role == "out" and s.tensor.endswith("weight"):
            part = score(s.layer)[s.offset : s.offset + s.repeat * group.size]
            total = total + part.view(group.size, s.repeat).sum(1)
    return total.cpu()


class _Watch(fx.Interpreter):
    """Runs the network and hands out, per layer, its output and the output of the ReLU after it."""

    def __init__(self, net: nn.Module, layers: set[str]):
        super().__init__(fx.symbolic_trace(net))
        nodes = {n: n.target for n in self.module.graph.nodes if n.target in layers}
        self.raw = dict(nodes)
        self.active: dict[fx.Node, list[str]] = {}
        for node, layer in nodes.items():
            self.active.setdefault(self._activation(node), []).append(layer)

    def _activation(self, node: fx.Node) -> fx.Node:
        """The first ReLU downstream, through normalisation and additions; the node itself if none."""
        here = node
        for _ in range(4):
            users = list(here.users)
            if len(users) != 1:
                return node
            here = users[0]
            if "relu" in self._kind(here):
                return here
        return node

    def _kind(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return type(self.module.get_submodule(node.target)).__name__.lower()
        return str(getattr(node.target, "__name__", node.target)).lower()

    def __call__(self, x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        self.found: dict[str, list[Tensor]] = {}
        self.run(x)
        return {layer: tuple(pair) for layer, pair in self.found.items()}

    def run_node(self, n: fx.Node) -> object:
        out = super().run_node(n)
        if n in self.raw:
            self.found[self.raw[n]] = [out.clone(), out]  # an in-place ReLU may follow
        for layer in self.active.get(n, ()):
            self.found[layer][1] = out
        return out
