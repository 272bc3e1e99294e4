r"""L0 regularisation with hard concrete gates: every unit pays for the weights that hang on it.

    s = sigmoid((log u - log(1 - u) + log a) / b),    u ~ U(0, 1)                          (10)
    z = min(1, max(0, s (zeta - gam) + gam))
    P(z != 0) = sigmoid(log a - b log(-gam / zeta))
    loss = cross-entropy + 1/N sum_g lam_g |g| P(z_g != 0)       the expected L0 norm, N images
    in evaluation z = min(1, max(0, sigmoid(log a) (zeta - gam) + gam)),  kept where it is > 0

Stretched beyond [0, 1] and cut back, the noise is 0 or 1 with a probability of its own and smooth
between, so the number of units left has a gradient.

Source: Louizos, Welling, Kingma. Learning Sparse Neural Networks through L0 Regularization. ICLR
2018.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from prunelab.methods.base import check_number, check_numbers, check_pair
from prunelab.methods.gating.gated_method import GatedMethod, value_at
from prunelab.methods.gating.gates import Gate
from prunelab.methods.gating.places import GatePlace

EPSILON = 1e-6  # u stays that far from 0 and 1
BOUND = math.log(100)  # of |log a|


class HardConcreteGate(Gate):
    """z ~ hard concrete, one log a per unit.

    Source: the authors' `l0_layers.py`: log a starts with a standard deviation of 0.01, and is
        clamped to +-log 100 after each step.
    """

    def __init__(self, place: GatePlace, method: HardConcrete):
        start = value_at(method, "start", place.name)
        log_a = math.log(start / (1 - start)) + 0.01 * torch.randn(place.size)
        super().__init__(place, method.rate, log_a=log_a)
        self.lam = value_at(method, "lam", place.name)
        self.temperature, (self.low, self.high) = method.temperature, method.limits

    def sample(self, n: int) -> Tensor:
        """(n, size) in [0, 1]."""
        u = torch.rand(n, len(self.log_a), device=self.log_a.device)
        return self._stretched((torch.logit(u, EPSILON) + self.value("log_a")) / self.temperature)

    def mean(self) -> Tensor:
        """(size,) the test gate: z of the median u, at temperature 1; not E z."""
        return self._stretched(self.value("log_a"))

    def margin(self) -> Tensor:
        """(size,) log a, less the one from which on the test gate is not 0."""
        return self.value("log_a") - math.log(-self.low / self.high)

    @torch.no_grad()
    def bound(self) -> None:
        self.log_a.clamp_(-BOUND / self.rate, BOUND / self.rate)

    def alive(self) -> Tensor:
        """(size,) P(z != 0)."""
        shift = self.temperature * math.log(-self.low / self.high)
        return torch.sigmoid(self.value("log_a") - shift)

    def penalty(self) -> Tensor:
        """Price of the weights expected to be left."""
        return self.lam * self.place.weights * self.alive().sum()

    def _stretched(self, logit: Tensor) -> Tensor:
        return (torch.sigmoid(logit) * (self.high - self.low) + self.low).clamp(0, 1)


@dataclass(frozen=True)
class HardConcrete(GatedMethod):
    """L0 regularisation of units.

    Attributes:
        lam: price of one weight, before division by the number of images; one number ("L0"), or by
            place name ("L0-sep"; then it names every gated place).
        temperature: b; the smaller, the nearer to zeros and ones.
        limits: (gam, zeta).
        start: sigmoid(log a) to begin with; one number, or by place name as `lam` (the authors: 0.8
            for the pixels of a linear network, 0.5 elsewhere).

    Cost: `budget`, each step about 1.1 times a plain one of LeNet-5, 2 times of LeNet-300-100.

    Source: Louizos et al. 2018 (papers/vibnet.md section 9); numbers as in the authors' code.
    Differs: one draw per image and unit; the authors' code draws once per batch unless told so
        (`local_rep`). No running mean of the parameters (theirs: 0.999): the last ones count. No
        L2 term weighted with P(z != 0): the budget's weight decay acts on all parameters, also on
        log a: set it to 0.
    """

    KIND: ClassVar[str] = "hard_concrete"
    BY_PLACE: ClassVar[tuple[str, ...]] = ("lam", "start")

    lam: float | Mapping[str, float]
    temperature: float = 2 / 3
    limits: tuple[float, float] = (-0.1, 1.1)
    start: float | Mapping[str, float] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, "lam", "a number >= 0", lambda v: v >= 0)
        check_numbers(self, "start", "a number in [0.01, 0.99]", lambda v: 0.01 <= v <= 0.99)
        check_number(self, "temperature", "a number in [0.01, 10]", lambda v: 0.01 <= v <= 10)
        allowed = "two numbers, one < 0 and one > 1"
        check_pair(self, "limits", allowed, lambda low, high: low < 0 and high > 1)

    def gate(self, place: GatePlace) -> HardConcreteGate:
        return HardConcreteGate(place, self)
