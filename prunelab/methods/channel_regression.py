r"""Channel pruning by regression: LASSO chooses the input channels, least squares rebuilds.

    min_{beta, W} 1/(2N) ||Y - sum_i beta_i X_i W_i^T||_F^2 + lambda ||beta||_1,   ||W_i||_F = 1
    (i)  beta with W fixed: LASSO over z_i = X_i W_i^T; channels with beta_i = 0 go
    (ii) W with beta fixed: least squares of Y on the patches of the channels that stay

X is what the layer reads in the network pruned so far, Y what it writes in the whole network, so
that later layers make up for the errors of earlier ones. The last layer of a residual branch makes
up for the error of the shortcut too (see `inherited`).

Source: He, Zhang, Sun. Channel Pruning for Accelerating Very Deep Neural Networks. ICCV 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from sklearn.linear_model import lars_path_gram
from torch import Tensor, nn

from prunelab import checks
from prunelab.methods.base import check_option
from prunelab.methods.reconstruction.layerwise import Layerwise, Part, write

SELECTS = ("lasso", "first", "random")


@dataclass(frozen=True)
class ChannelRegression(Layerwise):
    """Channel pruning by LASSO and least squares (CP).

    Attributes:
        select: "lasso"; or the controls "first" (the first channels) and "random", which are
            rebuilt in the same way.
        intercept: whether the LASSO may add one number to all outputs, as the authors' code.

    Singular equations (dead or doubled channels, few rows) are solved all the same: the diagonal
    gets a ridge of 1e-10 of its mean; if that is not enough, the pseudo-inverse is taken.

    Cost: one pass over the images of both networks up to each layer.

    Source: CP, section 3; rows, targets and bias as in the authors' code (papers/baselines.md
        section 2).
    Differs: the LASSO has no intercept by default. Its whole path is computed from the normal
        equations (LARS), and exactly the wanted number of channels stays; the code bisects lambda
        on 400 rows and allows 10% more. A layer without a bias is rebuilt without an intercept.
    """

    KIND: ClassVar[str] = "channel_regression"

    select: str = "lasso"
    intercept: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option(self, "select", SELECTS)
        checks.switch("ChannelRegression", "intercept", self.intercept)

    def _choose(self, parts: list[Part], count: int, rng: torch.Generator) -> Tensor:
        size = parts[0].reader.channels
        if self.select != "lasso":
            order = torch.randperm(size, generator=rng)
            kept = torch.zeros(size, dtype=torch.bool)
            kept[order[:count] if self.select == "random" else slice(count)] = True
            return kept
        found = [part.moments.by_channel(part.weight, self.intercept) for part in parts]
        gram, right = (sum(sums) for sums in zip(*found))
        squares = [p.weight.view(len(p.weight), size, -1).square().sum((0, 2)) for p in parts]
        return lasso(gram, right, sum(squares).sqrt(), count)

    def _unknowns(self, part: Part, kept: Tensor) -> int:
        return int(kept.sum()) * part.reader.area

    def _rebuild(self, net: nn.Module, part: Part, kept: Tensor) -> None:
        bias, sums = net.get_submodule(part.reader.layer).bias, part.moments
        new = (sums if bias is None else sums.centred()).solve(kept)
        if bias is not None:
            with torch.no_grad():
                bias += ((sums.y - new @ sums.x) / sums.rows).to(bias)
        write(net, part.reader, new)


def lasso(gram: Tensor, right: Tensor, length: Tensor, count: int) -> Tensor:
    """(C,) bool: the channels with a factor at the largest lambda that leaves `count` of them.

    Args:
        gram: (C, C) sums of z_i . z_j.
        right: (C,) sums of z_i . y.
        length: (C,) norms ||W_i||_F, by which z_i is divided first.
        count: how many stay; where the path jumps over it, the largest of the newcomers fill up.
            Of channels that never come in, as those of a dead layer, the first ones stay.
    """
    alive = (length > 0) & (gram.diagonal() > 0)
    kept = torch.zeros(len(gram), dtype=torch.bool)
    if not (right * alive).any():  # nothing is read or to be written: no channel is better
        kept[:count] = True
        return kept
    scale = torch.where(alive, 1 / length.clamp_min(1e-300), 0.0)
    scaled = gram * scale[:, None] * scale
    unit = scaled.diagonal().mean().clamp_min(1e-300)  # the path has the same knots in any unit
    xs, ys = scaled[alive][:, alive] / unit, (right * scale)[alive] / unit
    _, _, path = lars_path_gram(ys.numpy(), xs.numpy(), n_samples=1, method="lasso")
    path = torch.from_numpy(path).abs()
    active = (path > 0).sum(0)
    last = int((active <= count).nonzero()[-1])
    newcomers = path[:, min(last + 1, path.shape[1] - 1)] / path.max().clamp_min(1e-300)
    rank = torch.full((len(gram),), -1.0, dtype=torch.float64)
    rank[alive] = (path[:, last] > 0) + 0.5 * newcomers
    kept[rank.argsort(descending=True, stable=True)[:count]] = True
    return kept
