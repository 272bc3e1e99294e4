r"""Moments: all that the least squares of a layer need, added up over rows, once.

    A = sum x x^T,   B = sum x y^T,   c = sum y^T y     over rows (x, y)
    L_M(W) = 1/(2Q) sum ||y - W x||^2 = 1/(2Q) (c - 2 <W, B^T> + <W A, W>),   Q = rows * outputs

After one pass no image is looked at again: loss, gradient, greedy choice, LASSO and least squares
of any subset of input channels follow from A, B and c.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor

RIDGE = 1e-10  # of the mean of the diagonal, where the equations are singular


@dataclass
class Moments:
    """Sums over rows, in float64.

    Attributes:
        inputs: D, length of a row of patches.
        outputs: n, length of a row of targets.
        channels: C, input channels; D / C numbers of a row belong to each.
        rows: how many were added.
        xx: (D, D) A. xy: (D, n) B. yy: c. x: (D,) and y: (n,), plain sums.
    """

    inputs: int
    outputs: int
    channels: int
    rows: int = 0
    xx: Tensor = field(init=False)
    xy: Tensor = field(init=False)
    x: Tensor = field(init=False)
    y: Tensor = field(init=False)
    yy: Tensor = field(init=False)

    def __post_init__(self) -> None:
        d, n = self.inputs, self.outputs
        for name, shape in (("xx", (d, d)), ("xy", (d, n)), ("x", d), ("y", n), ("yy", ())):
            setattr(self, name, torch.zeros(shape, dtype=torch.float64))

    @property
    def area(self) -> int:
        """How many numbers of a row belong to one channel."""
        return self.inputs // self.channels

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add rows: x (R, D), y (R, n)."""
        x, y = x.double().cpu(), y.double().cpu()
        self.rows += len(x)
        self.xx += x.T @ x
        self.xy += x.T @ y
        self.x += x.sum(0)
        self.y += y.sum(0)
        self.yy += y.square().sum()

    def centred(self) -> Moments:
        """The same of rows less their means, as a regression with an intercept sees them."""
        out = Moments(self.inputs, self.outputs, self.channels, self.rows)
        out.xx = self.xx - torch.outer(self.x, self.x) / self.rows
        out.xy = self.xy - torch.outer(self.x, self.y) / self.rows
        out.yy = self.yy - self.y.square().sum() / self.rows
        return out

    def to(self, device: torch.device) -> Moments:
        """The same on another device."""
        out = copy(self)
        for name in ("xx", "xy", "x", "y", "yy"):
            setattr(out, name, getattr(self, name).to(device))
        return out

    @classmethod
    def of(cls, weight: Tensor) -> Moments:
        """Empty sums for a layer with this weight (n, C, ...)."""
        return cls(weight[0].numel(), len(weight), weight.shape[1])

    def part(self, weight: Tensor, columns: slice, channels: int) -> Moments:
        """The sums of some channels alone; their targets are less what the others contribute.

        Args:
            weight: (n, D) of the layer, float64.
            columns: the numbers of a row that belong to them.
            channels: how many.
        """
        mine = torch.zeros(self.inputs, dtype=torch.bool)
        mine[columns] = True
        other = weight * ~mine
        out = Moments(int(mine.sum()), self.outputs, channels, self.rows)
        out.xx, out.x = self.xx[mine][:, mine], self.x[mine]
        out.xy = (self.xy - self.xx @ other.T)[mine]
        out.y = self.y - other @ self.x
        out.yy = self.yy - 2 * (other.T * self.xy).sum() + ((other @ self.xx) * other).sum()
        return out

    def columns(self, channels: Tensor) -> Tensor:
        """(D,) bool: the numbers of a row that belong to channels (C,) bool."""
        return channels.repeat_interleave(self.area)

    def loss(self, weight: Tensor) -> Tensor:
        """L_M of a weight (n, D)."""
        weight = weight.double()
        quadratic = ((weight @ self.xx) * weight).sum() - 2 * (weight.T * self.xy).sum()
        return (quadratic + self.yy) / (2 * self.rows * self.outputs)

    def gradient(self, weight: Tensor) -> Tensor:
        """(n, D) gradient of L_M."""
        return (weight.double() @ self.xx - self.xy.T) / (self.rows * self.outputs)

    def curvature(self) -> float:
        """The largest eigenvalue of the Hessian of L_M, by power iteration."""
        vector = self.xx.diagonal().sqrt()
        for _ in range(20):
            vector = self.xx @ (vector / vector.norm().clamp_min(1e-300))
        return float(vector.norm()) / (self.rows * self.outputs)

    def by_channel(self, weight: Tensor, intercept: bool = False) -> tuple[Tensor, Tensor]:
        r"""Normal equations of one factor per channel: z_i = what channel i alone writes.

        Args:
            weight: (n, D).
            intercept: whether one number may be added to all outputs of all rows, whose best
                value is taken out.

        Returns:
            (C, C) sums of z_i . z_j, and (C,) sums of z_i . y, over rows and outputs.
        """
        weight, c, a = weight.double(), self.channels, self.area
        gram = (self.xx * (weight.T @ weight)).view(c, a, c, a).sum((1, 3))
        right = (self.xy * weight.T).sum(1).view(c, a).sum(1)
        if intercept:
            total = (self.x * weight.sum(0)).view(c, a).sum(1)  # of z_i
            mean = total / (self.rows * self.outputs)
            gram, right = gram - torch.outer(total, mean), right - mean * self.y.sum()
        return gram, right

    def solve(self, kept: Tensor) -> Tensor:
        """(n, D) least-squares weight that reads the channels `kept` (C,) bool only."""
        columns = self.columns(kept)
        weight = torch.zeros(self.outputs, self.inputs, dtype=torch.float64)
        found = solve(self.xx[columns][:, columns], self.xy[columns])
        weight[:, columns] = found.T
        return weight


def solve(gram: Tensor, right: Tensor) -> Tensor:
    """The solution of gram w = right.

    The diagonal gets 1e-10 of its mean. Where that does not make the equations definite, the
    solution is that of least norm, by the pseudo-inverse.

    Args:
        gram: (d, d) symmetric, positive semidefinite.
        right: (d,) or (d, n).
    """
    scale = gram.diagonal().mean().clamp_min(torch.finfo(gram.dtype).tiny)
    ridged = gram + RIDGE * scale * torch.eye(len(gram), dtype=gram.dtype)
    factor, failed = torch.linalg.cholesky_ex(ridged)
    if failed:
        return torch.linalg.pinv(gram, hermitian=True) @ right
    wide = right if right.ndim > 1 else right[:, None]
    return torch.cholesky_solve(wide, factor).view_as(right)
