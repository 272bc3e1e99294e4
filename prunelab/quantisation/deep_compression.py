"""Deep Compression: prune, share values by k-means, tune the shared values; Huffman code at last.

The last stage is `save(net, path, "huffman")`: it loses nothing.

Source: Han, Mao, Dally. Deep Compression: Compressing Deep Neural Networks with Pruning, Trained
Quantization and Huffman Coding. ICLR 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.nn.utils import parametrize

from prunelab import checks, train
from prunelab.data import Dataset
from prunelab.masks import Keep
from prunelab.methods.base import Method
from prunelab.quantisation.quantiser import Quantiser, layers
from prunelab.quantisation.quantisers import check_bits


@dataclass(frozen=True)
class DeepCompression(Quantiser):
    """Deep Compression: few weights, and these of few different values.

    Attributes:
        prune: what removes single weights.
        bits: of a shared value, 1 to 8, one number or by layer name (then others stay in float).
        budget: training of the shared values, with biases and batch norms; None = none.

    Source: Han et al. 2016, sections 2 and 3: one codebook a layer, centroids spaced evenly at
        first, the gradient of a centroid the sum over its cluster.
    Differs: of 2^bits shared values one is zero, which pads distances in the file. Biases are
        pruned, and stay in float.
    """

    KIND: ClassVar[str] = "deep-compression"

    prune: Method
    bits: int | Mapping[str, int] = 5
    budget: train.Budget | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        single = isinstance(self.prune, Method) and self.prune.CHOOSES == "weights"
        checks.need(single, name, "prune", "a method that removes single weights", self.prune)
        several = isinstance(self.bits, Mapping) and self.bits
        for bits in self.bits.values() if several else [self.bits]:  # type: ignore[union-attr]
            check_bits(name, "bits", bits)
        kinds = (train.Budget, type(None))
        checks.kind(name, "budget", self.budget, kinds, "a Budget or None")

    def _quantise(self, net: nn.Module, data: Dataset, how: dict[str, Any]) -> nn.Module:
        name, found = type(self).__name__, layers(type(self).__name__, net, ends=True)
        wanted = self.bits if isinstance(self.bits, Mapping) else dict.fromkeys(found, self.bits)
        for layer in wanted:
            checks.word(name, "bits", layer, found)
            if sum(found[layer].weight is found[other].weight for other in wanted) > 1:
                raise ValueError(f"{name}: `net` must not share weights; `{layer}` has another's")
        path = how["checkpoint"]
        first = path and path.with_name(f"{path.name}-prune")
        keep = self.prune.run(net, data, **how | {"checkpoint": first}).keep
        for layer, bits in wanted.items():
            parametrize.register_parametrization(found[layer], "weight", Shared(bits))
        if self.budget is not None:
            after = held(net, keep)
            train.fit(net, data, self.budget, after_step=after, **how)
        for layer in wanted:
            parametrize.remove_parametrizations(found[layer], "weight", leave_parametrized=True)
        return net


def held(net: nn.Module, keep: Keep) -> Callable[[int], None]:
    """After a step: what was pruned is zero again, in biases and in layers that share nothing."""
    there = dict(net.named_parameters())
    pairs = [
        (there[name], kept.to(there[name].device)) for name, kept in keep.items() if name in there
    ]

    @torch.no_grad()
    def after(step: int) -> None:
        for parameter, kept in pairs:
            parameter.mul_(kept)

    return after


class Shared(nn.Module):
    """A codebook as a parametrization: the layer computes with codebook[number], 0 where pruned.

    Its parameter is the codebook (m,), m <= 2^bits - 1. Autograd gives a shared value the sum of
    the gradients of its weights.

    Attributes:
        number: the weight's shape, 0 = pruned, else one more than the place in the codebook.
    """

    number: Tensor

    def __init__(self, bits: int):
        super().__init__()
        self.most = 2**bits - 1
        self.register_buffer("number", torch.zeros(0, dtype=torch.long))

    def forward(self, codebook: Tensor) -> Tensor:
        """The weight that the layer computes with."""
        table = nn.functional.pad(codebook, (1, 0))
        return table.index_select(0, self.number.flatten()).view(self.number.shape)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The codebook of a weight, by k-means over what is not zero."""
        kept = weight != 0
        codebook, found = clusters(weight[kept], self.most)
        self.number = torch.zeros_like(weight, dtype=torch.long)
        self.number[kept] = found + 1
        return codebook


def clusters(values: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Shared values, rising, and for each value which one it shares.

    Args:
        values: (n,) on any device.
        most: how many there are; fewer where fewer values differ.

    Source: Han et al. 2016, section 3.2: linear initialisation, between least and largest value.
    """
    plain = values.detach().cpu().double().numpy()
    count = min(most, len(np.unique(plain)))
    if not count:
        return values.new_zeros(1), values.long()
    start = np.linspace(plain.min(), plain.max(), count)[:, None]
    fitted = KMeans(count, init=start, n_init=1).fit(plain[:, None])
    return values.new_tensor(fitted.cluster_centers_[:, 0]), values.new_tensor(
        fitted.labels_
    ).long()
