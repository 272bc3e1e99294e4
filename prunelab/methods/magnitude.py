"""Magnitude pruning: remove the smallest weights, train what is left, and again.

    kept = { w : |w| >= q std(W_k) }            a layer's threshold by its quality parameter q
    kept = the largest (1 - ratio) n of them    or as many as are asked for

Source: Han, Pool, Tran, Dally. Learning both Weights and Connections for Efficient Neural Networks.
NIPS 2015.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from prunelab import train
from prunelab.masks import Keep
from prunelab.methods.base import (
    Method,
    Ratios,
    check_budget,
    check_count,
    check_dataset,
    check_numbers,
    check_ratios,
    opened,
)
from prunelab.methods.masking.weights import Masked, Run, check_finite, keep_of, masked, per_layer
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

    def prune(self, net: nn.Module, data: object, *, seed: int = 0, progress: bool = True) -> Keep:
        """See `Method.prune`, and `run`: parameter name -> bool tensor of its shape."""
        return self.run(net, data, seed=seed, progress=progress).keep

    def run(
        self, net: nn.Module, data: object, *, seed: int = 0, progress: bool = True,
        checkpoint: str | os.PathLike | None = None,
    ) -> Run:  # fmt: skip
        """Prune and retrain `net`, and leave zeros where a weight was pruned.

        Args:
            net: a trained network.
            data: a Dataset; not looked at without `retrain`.
            seed: of the training.
            progress: show a bar.
            checkpoint: name of the files, one a round, for `train.fit`.

        Returns:
            The masks by parameter name (`fc1.weight`, `fc1.bias`), and the trainings.

        Raises:
            ValueError: a name is no layer, weights are not finite, or `q` would empty a layer.
        """
        net = opened(self, net, seed, progress, checkpoint)
        wanted = per_layer(self, "q" if self.ratios is None else "ratios", net)
        check_finite(self, net, wanted)
        if self.retrain is not None:
            check_dataset(self, data)
        if self.q is not None:  # q becomes a threshold
            weights = {name: net.get_submodule(name).weight.detach() for name in wanted}
            wanted = {name: q * weights[name].std(correction=0) for name, q in wanted.items()}
        layers: dict[str, Masked] = {}
        histories = []
        with masked(layers.values()):
            for name in wanted:
                layers[name] = Masked(net.get_submodule(name), straight=False)
            for done in range(1, self.rounds + 1):
                for name, layer in layers.items():
                    self._cut(name, layer, wanted[name], done / self.rounds)
                if self.retrain is not None:
                    path = None if checkpoint is None else Path(f"{checkpoint}.{done}")
                    fit = {"seed": seed + done, "progress": progress, "checkpoint": path}
                    histories.append(train.fit(net, data, self.retrain, **fit))
            keep = keep_of(layers)
        return Run(keep, histories)

    def _cut(self, name: str, layer: Masked, wanted: float, part: float) -> None:
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
