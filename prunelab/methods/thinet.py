r"""ThiNet: keep the input channels of a layer whose sum comes closest to its output.

    y = sum_j x_j,   x_j = what channel j contributes to one output number
    S = argmin_S sum (y - sum_{j in S} x_j)^2,   |S| = kept                                (ICCV)
    grow S by the j that a single factor fits best to what is left, refit all factors     (TPAMI)
    w = (X_S^T X_S)^-1 X_S^T y scales the kernels of S afterwards

Every sum is over the Gram matrix G = X^T X, channels by channels, so no example is kept.

Source: Luo, Wu, Lin. ThiNet: A Filter Level Pruning Method for Deep Neural Network Compression.
    ICCV 2017; and the authors' code for its extension in TPAMI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from prunelab import checks
from prunelab.methods.base import check_option
from prunelab.methods.reconstruction.layerwise import Layerwise, Part, write
from prunelab.methods.reconstruction.moments import solve

RULES = ("remove", "keep")


@dataclass(frozen=True)
class ThiNet(Layerwise):
    """ThiNet: greedy choice of input channels by the output of the layer that reads them.

    Attributes:
        rule: "remove", the greedy removal of the ICCV paper; "keep", the greedy choice with
            refitted factors of the TPAMI code.
        rescale: multiply the kernels of kept channels by their least-squares factors.

    Singular equations (dead or doubled channels, few rows) are solved all the same: the diagonal
    gets a ridge of 1e-10 of its mean; if that is not enough, the pseudo-inverse is taken.

    Cost: one pass over the images up to each layer; the choice takes no images.

    Source: ThiNet, section 3.2 and its code (papers/baselines.md section 1).
    Differs: the sums run over all output filters at each position; the authors draw one filter at
        random, of which this is the mean. Images are drawn over all classes together. `finetune`
        is None; the authors fine-tune after each layer.
    """

    KIND: ClassVar[str] = "thinet"
    WHOLE: ClassVar[bool] = False

    rule: str = "remove"
    rescale: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option(self, "rule", RULES)
        checks.switch("ThiNet", "rescale", self.rescale)

    def _choose(self, parts: list[Part], count: int, rng: torch.Generator) -> Tensor:
        gram = sum(part.moments.by_channel(part.weight)[0] for part in parts)
        return (removing if self.rule == "remove" else keeping)(gram, count)

    def _rebuild(self, net: nn.Module, part: Part, kept: Tensor) -> None:
        if self.rescale:
            gram, _ = part.moments.by_channel(part.weight)
            factors = torch.zeros(len(gram), dtype=gram.dtype)
            factors[kept] = solve(gram[kept][:, kept], gram[kept].sum(1))
            write(net, part.reader, part.weight * factors.repeat_interleave(part.reader.area))


def removing(gram: Tensor, count: int) -> Tensor:
    """(C,) bool: remove, one at a time, the channel that leaves the smallest sum of squares.

    Args:
        gram: (C, C) sums of x_i x_j.
        count: how many stay.
    """
    kept = torch.ones(len(gram), dtype=torch.bool)
    beside = torch.zeros_like(gram[0])  # x_j . (sum of the removed)
    for _ in range(len(gram) - count):
        growth = (2 * beside + gram.diagonal()).masked_fill(~kept, torch.inf)
        j = growth.argmin()
        kept[j] = False
        beside += gram[j]
    return kept


def keeping(gram: Tensor, count: int) -> Tensor:
    """(C,) bool: keep, one at a time, the channel that fits best to what is left, refit.

    Arguments as `removing`.
    """
    kept = torch.zeros(len(gram), dtype=torch.bool)
    left, size = gram.sum(1), gram.diagonal()
    for _ in range(count):
        gain = torch.where(size > 0, left.square() / size, 0).masked_fill(kept, -1)
        kept[gain.argmax()] = True
        factors = solve(gram[kept][:, kept], gram[kept].sum(1))
        left = gram.sum(1) - gram[:, kept] @ factors
    return kept
