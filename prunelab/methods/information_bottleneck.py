r"""VIBNet: what a layer does not need to predict the label is squeezed out of it.

    min  gamma_i I(h_i; h_{i-1}) - I(h_i; y)     layer by layer                             (1)
    h_i = (mu_i + eps . sigma_i) . f_i(h_{i-1}),   eps ~ N(0, 1)
    KL_i = 1/2 sum_j log(1 + mu_ij^2 / sigma_ij^2)     an upper bound of the first term, the best
                                                       Gaussian prior put in
    loss = cross-entropy + sum_i kl_i S_i KL_i
    unit j is kept if mu_ij^2 > sigma_ij^2

Noise grows on units that the label does not need, their mean falls, and in the end they carry
nothing. S_i is the side of a unit's map: S^2 positions, each with gamma / S.

Source: Dai, Zhu, Guo, Wipf. Compressing Neural Networks using the Variational Information
Bottleneck. ICML 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from prunelab.methods.base import check_number, check_numbers
from prunelab.methods.gating.gated_method import GatedMethod, value_at
from prunelab.methods.gating.gates import EPSILON, NormalGate
from prunelab.methods.gating.places import GatePlace


class BottleneckGate(NormalGate):
    """z ~ N(mu, sigma^2) under the best Gaussian prior."""

    def __init__(self, place: GatePlace, method: InformationBottleneck):
        super().__init__(place, method.rate, method.log_var)
        self.kl = value_at(method, "kl", place.name)

    def margin(self) -> Tensor:
        """(size,) log mu^2 - log sigma^2: the paper's log alpha, the code's with a minus."""
        return -self.log_ratio()

    def penalty(self) -> Tensor:
        """S times KL, of the whole place, by its strength."""
        alpha = self.mean().square() / (self.value("log_var").exp() + EPSILON)
        return 0.5 * self.kl * self.place.side * alpha.log1p().sum()


@dataclass(frozen=True)
class InformationBottleneck(GatedMethod):
    """The variational information bottleneck (VIBNet).

    Attributes:
        kl: weight of the KL terms beside the mean cross-entropy (the code's `kl_fac`; the paper's
            gamma is L kl / (2 S) of L layers and a map's side S); one number, or by place name.
        log_var: log sigma^2 to begin with.

    Cost: `budget`, each step about 1.1 times a plain one.

    Source: Dai et al. 2018, equations of sections 2 and 3 (papers/vibnet.md); scale of the KL and
        threshold as in the authors' code.
    Differs: a unit with a negative mean is removed too, as its factor cannot pass a max pooling.
        Without a ReLU behind a layer, the gate follows the layer itself, or its batch norm.
    """

    KIND: ClassVar[str] = "information_bottleneck"
    BY_PLACE: ClassVar[tuple[str, ...]] = ("kl",)

    kl: float | Mapping[str, float]
    log_var: float = -9.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, "kl", "a number >= 0", lambda v: v >= 0)
        check_number(self, "log_var", "a number in [-30, 5]", lambda v: -30 <= v <= 5)

    def gate(self, place: GatePlace) -> BottleneckGate:
        return BottleneckGate(place, self)

    def strength(self, images: int) -> float:
        return 1.0
