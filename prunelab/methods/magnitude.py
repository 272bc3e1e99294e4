"""Magnitude pruning: remove the smallest weights, train what is left, and again.

    kept = { w : |w| >= q std(W_k) }            a layer's threshold by its quality parameter q
    kept = the largest (1 - ratio) n of them    or as many as are asked for

Source: Han, Pool, Tran, Dally. Learning both Weights and Connections for Efficient Neural Networks.
NIPS 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from prunelab import train
from prunelab.methods.base import (
    Method,
    Pruned,
    Ratios,
    check_budget,
    check_count,
    check_numbers,
    check_ratios,
)
from prunelab.methods.masking.weights import Masked, check_finite, keep_of, masked, per_layer
from prunelab.methods.stages import Options
from prunelab.scores import magnitudes


@dataclass(frozen=True)
class Magnitude(Method):
    """Pruning of single weights by magnitude (Han et al.), one-shot or in rounds.

    Attributes:
        ratios: fraction of a layer's weights and biases to remove, one number or by layer name
            (then other layers stay dense); or None, and `q` is given.
        q: a layer's threshold in standard deviations of its weights, one number or by layer name.
        rounds: in round r of R a layer keeps (1 - ratio)^(r/R) of its weights, or the threshold is
            r/R of the last.
        retrain: training after each round, the last one included; None = none.

    Cost: `rounds` times `retrain`.

    Source: Han et al. 2015, section 3: thresholds, rounds, survivors keep their weights.
    Differs: biases are pruned with their layer's weights, as network surgery counts them. Layers
        are retrained together (the paper freezes convolutions while linear layers are pruned, and
        the other way round), and dropout stays as it is. The standard deviation is that of the
        trained network in all rounds.
    """

    KIND: ClassVar[str] = "magnitude"
    CHOOSES: ClassVar[str] = "weights"

    ratios: Ratios | None = None
    q: float | Mapping[str, float] | None = None
    rounds: int = 1
    retrain: train.Budget | None = None

    def __post_init__(self) -> None:
        if (self.ratios is None) == (self.q is None):
            raise ValueError("Magnitude: give either `ratios` or `q`")
        if self.ratios is not None:
            check_ratios(self, self.ratios)
        else:
            check_numbers(self, "q", "a number >= 0", lambda v: v >= 0)
        check_count(self, "rounds")
        if self.retrain is not None:
            check_budget(self, "retrain")
        if self.rounds > 1 and self.retrain is None:
            raise ValueError("Magnitude: `rounds` > 1 needs `retrain`")

    def _looks_at_images(self) -> bool:
        return self.retrain is not None

    def _run(self, net: nn.Module, data: object, options: Options) -> Pruned:
        """Parameter name (`fc1.weight`, `fc1.bias`) -> its mask; zeros are left in the weights."""
        wanted = per_layer(self, "q" if self.ratios is None else "ratios", net)
        check_finite(self, net, wanted)
        if self.q is not None:  # q becomes a threshold
            weights = {name: net.get_submodule(name).weight.detach() for name in wanted}
            wanted = {name: q * weights[name].std(correction=0) for name, q in wanted.items()}
        layers: dict[str, Masked] = {}
        history = []
        with masked(layers.values()):
            for name in wanted:
                layers[name] = Masked(net.get_submodule(name), straight=False)
            if self.retrain is None:
                self._cut(layers, wanted, 1.0)
                return Pruned(keep_of(layers))
            budgets = {f"round {done}": self.retrain for done in range(1, self.rounds + 1)}
            for stage in options.stages(budgets, data, first=1):
                self._cut(layers, wanted, stage.number / self.rounds)
                history.append(stage.fit(net))
            keep = keep_of(layers)
        return Pruned(keep, tuple(history))

    def _cut(self, layers: Mapping[str, Masked], wanted: Mapping[str, float], part: float) -> None:
        for name, layer in layers.items():
            self._cut_layer(name, layer, wanted[name], part)

    def _cut_layer(self, name: str, layer: Masked, wanted: float, part: float) -> None:
        """Mask what is smallest among what is left."""
        size = magnitudes(layer.layer)  # what is masked counts as zero, so it stays masked
        if self.ratios is None:
            kept = (size >= part * wanted) & (size > 0)
        else:
            kept = largest(size, max(1, round(len(size) * (1 - wanted) ** part)))
        if not kept.any():
            raise ValueError(
                f"Magnitude: `q` would remove all {len(size):,} weights and biases of `{name}`:"
                f" its threshold is {wanted:.4g}, its largest weight {size.max():.4g}"
            )
        for mask, flags in zip(layer.masks.values(), kept.split(layer.lengths())):
            mask.kept.copy_(flags.view_as(mask.kept))
        layer.known = None


def largest(size: Tensor, count: int) -> Tensor:
    """(n,) bool, true at the `count` largest; of equal ones the first."""
    kept = torch.zeros_like(size, dtype=torch.bool)
    kept[size.argsort(descending=True, stable=True)[:count]] = True
    return kept
