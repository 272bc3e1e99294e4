"""The values of a network while it is followed: activations, its own tensors, and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from torch import Tensor

from prunelab.groups.evidence import Evidence


@dataclass
class Tracked:
    """An activation: its shape (a meta tensor) and the atom at each position."""

    meta: Tensor
    labels: Tensor


class FollowError(ValueError):
    """Why a network cannot be followed, in words for its author."""


@dataclass
class Parameter:
    """A parameter, buffer or constant that the network's own code uses directly.

    Attributes:
        meta: its shape.
        name: of the network's tensor; of the operation that made it, where it is computed.
        axes: for each axis the axis of that tensor which stands there whole and in order, or None.
    """

    meta: Tensor
    name: str
    axes: tuple[int | None, ...] = ()

    @property
    def several(self) -> bool:
        """Whether it has more than one entry."""
        return self.meta.numel() > 1

    def axis(self, d: int) -> int | None:
        """The network's axis that stands on axis `d`."""
        return self.axes[d] if self.axes else None


@dataclass
class ChannelCount:
    """A number computed from a width (`x.shape[1]`): it would change with pruning.

    Attributes:
        meta: the number.
        atoms: (n,) at the positions that it counts.
        share: the number is this share of the positions that are left; None: neither more nor less.
        reads: (tensor, axis) of the network whose lengths it depends on.
    """

    meta: int | float
    atoms: np.ndarray
    share: Fraction | None = None
    reads: frozenset[tuple[str, int]] = frozenset()

    def settle(self, evidence: Evidence, why: str) -> None:
        """The number must not change: fix whatever it depends on."""
        evidence.fix(self.atoms, why)
        for tensor, axis in self.reads:
            evidence.whole(tensor, axis, why)

    def follows(self, evidence: Evidence, atoms: np.ndarray) -> bool:
        """Whether it stays the number of these positions when channels go; united if need be."""
        if self.reads or self.share is None:
            return False
        (mine, each), (theirs, times) = (
            np.unique(a, return_counts=True) for a in (self.atoms, atoms)
        )
        if np.array_equal(mine, theirs) and all(
            self.share * int(n) == int(t) for n, t in zip(each, times)
        ):
            return True
        if self.share != 1 or len(atoms) != len(self.atoms):
            return False
        evidence.unite(self.atoms, atoms)
        return True
