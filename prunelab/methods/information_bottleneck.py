r"""VIBNet: what a layer does not need to predict the label is squeezed out of it.

    min  gamma_i I(h_i; h_{i-1}) - I(h_i; y)     layer by layer                             (1)
    h_i = (mu_i + eps . sigma_i) . f_i(h_{i-1}),   eps ~ N(0, 1)
    KL_i = 1/2 sum_j log(1 + mu_ij^2 / sigma_ij^2)     an upper bound of the first term, the best
                                                       Gaussian prior put in
    loss = cross-entropy + kl sum_i S_i KL_i
    unit j is kept if mu_ij^2 > sigma_ij^2

Noise grows on units that the label does not need, their mean falls, and in the end they carry
nothing. S_i is the side of a unit's map: S^2 positions, each with gamma / S.

Source: Dai, Zhu, Guo, Wipf. Compressing Neural Networks using the Variational Information
Bottleneck. ICML 2018.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from prunelab.methods.gated_method import GatedMethod
from prunelab.methods.gates import Gate, Place

EPSILON = 1e-8


class BottleneckGate(Gate):
    """z ~ N(mu, sigma^2), one mu and one log sigma^2 a unit.

    Source: the authors' `ib_layers.py`: starts at N(1, 0.01) and N(log_var, 0.01), 0.01 being the
        standard deviation.
    """

    def __init__(self, place: Place, rate: float = 1.0, log_var: float = -9.0):
        mu, spread = torch.randn(2, place.size) * 0.01
        super().__init__(place, rate, mu=1 + mu, log_var=log_var + spread)

    def sample(self, n: int) -> Tensor:
        """(n, size): mu + eps sigma."""
        eps = torch.randn(n, self.place.size, device=self.mu.device)
        return torch.addcmul(self.mean(), eps, (0.5 * self.value("log_var")).exp())

    def mean(self) -> Tensor:
        """(size,) mu."""
        return self.value("mu")

    def log_ratio(self) -> Tensor:
        """(size,) log sigma^2 - log mu^2: the code's log alpha, the paper's with a minus."""
        return self.value("log_var") - (self.mean().square() + EPSILON).log()

    def kept(self) -> Tensor:
        """(size,) bool: mu > sigma."""
        return (self.log_ratio() < 0) & (self.mean() > 0)

    def penalty(self) -> Tensor:
        """S times KL, of the whole place."""
        alpha = self.mean().square() / (self.value("log_var").exp() + EPSILON)
        return 0.5 * self.place.side * alpha.log1p().sum()


@dataclass(frozen=True)
class InformationBottleneck(GatedMethod):
    """The variational information bottleneck (VIBNet).

    Attributes:
        kl: weight of the KL terms beside the mean cross-entropy (the code's `kl_fac`; the paper's
            gamma is 2 kl / L of L layers, over the side of the map).
        log_var: log sigma^2 to begin with.

    Cost: `budget`, each step about 1.1 times a plain one.

    Source: Dai et al. 2018, equations of sections 2 and 3 (papers/vibnet.md); scale of the KL and
        threshold as in the authors' code.
    Differs: a unit with a negative mean is removed too, as its factor cannot pass a max pooling.
        Without a ReLU behind a layer, the gate follows the layer itself, or its batch norm.
    """

    kl: float
    log_var: float = -9.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("kl", "a number >= 0", lambda v: 0 <= v < float("inf"))
        self._number("log_var", "a number in [-30, 5]", lambda v: -30 <= v <= 5)

    def gate(self, place: Place) -> BottleneckGate:
        """See `GatedMethod.gate`."""
        return BottleneckGate(place, self.rate, self.log_var)

    def strength(self, images: int) -> float:
        """See `GatedMethod.strength`."""
        return self.kl
