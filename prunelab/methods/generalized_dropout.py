r"""Generalized dropout: Bernoulli gates whose probabilities are learned under a Beta prior.

    z ~ Bernoulli(p)
    loss = cross-entropy + 1/N sum_j [ -(a - 1) log p_j - (b - 1) log(1 - p_j) ]      N images
    in evaluation z = p where p >= 1/2, else 0

The bracket is -log Beta(p | a, b) but for a constant: b > 1 pulls p down, a < 1 makes small p go to
0. A draw has no gradient, so p gets that of z (straight through).

Source: Srinivas, Babu. Generalized Dropout. arXiv 1611.06791, 2016; as recalled in papers/vibnet.md
    section 9, where no number of it is sourced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from prunelab.methods.base import check_number
from prunelab.methods.gating.gated_method import GatedMethod
from prunelab.methods.gating.gates import Gate
from prunelab.methods.gating.places import GatePlace

EPSILON = 1e-3  # p stays that far from 0 and 1


class BernoulliGate(Gate):
    """z ~ Bernoulli(p), one p per unit."""

    def __init__(self, place: GatePlace, method: GeneralizedDropout):
        super().__init__(place, method.rate, p=torch.full((place.size,), method.start))
        self.a, self.b = method.a, method.b

    def sample(self, n: int) -> Tensor:
        """(n, size) of 0 and 1, with the gradient of p."""
        p = self.value("p")
        drawn = torch.rand(n, len(p), device=p.device) < p
        return drawn + (p - p.detach())

    def mean(self) -> Tensor:
        """(size,) p."""
        return self.value("p")

    def margin(self) -> Tensor:
        """(size,) log-odds of p."""
        return torch.logit(self.value("p"), EPSILON / 2)

    @torch.no_grad()
    def bound(self) -> None:
        self.p.clamp_(EPSILON / self.rate, (1 - EPSILON) / self.rate)

    def penalty(self) -> Tensor:
        """-log of the prior's density, summed over the units, but for its constant."""
        p = self.value("p")
        return -((self.a - 1) * p.log() + (self.b - 1) * (1 - p).log()).sum()


@dataclass(frozen=True)
class GeneralizedDropout(GatedMethod):
    """Bernoulli gates with learned probabilities (GD).

    Attributes:
        b: of the Beta prior, > 0; the larger, the fewer units stay.
        a: of the Beta prior, > 0.
        start: p to begin with.

    Cost: `budget`.

    Source: Srinivas and Babu 2016, as recalled (papers/vibnet.md section 9).
    Differs: p stays in [0.001, 0.999], where both logarithms are finite. The paper's own a, b and
        start are not public here; they are choices of ours.
    """

    KIND: ClassVar[str] = "generalized_dropout"

    b: float
    a: float = 1.0
    start: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("a", "b"):
            check_number(self, field, "a number > 0", lambda v: v > 0)
        check_number(self, "start", "a number in [0.01, 0.99]", lambda v: 0.01 <= v <= 0.99)

    def gate(self, place: GatePlace) -> BernoulliGate:
        return BernoulliGate(place, self)
