r"""Bayesian compression: a factor on each unit and noise on each weight, under sparse priors.

    w_ij = z_i v_ij,    q(v) = N(theta, sigma^2),    p(v) = N(0, 1)
    KL(v) = 1/2 (sigma^2 + theta^2 - 1 - log sigma^2)                                        (1)
    loss = cross-entropy + (1/N) (sum KL(v) + sum KL(z))                        N images      (2)

normal-Jeffreys:  p(z) ~ 1/|z|,    q(z_i) = N(mu_i, alpha_i mu_i^2)
                  KL(z) as in variational dropout; a unit stays if log alpha_i < threshold    (3)
horseshoe:        z_i = sqrt(s_a s_b a_i b_i),    one s_a and s_b a layer
                  s_a ~ Gamma(1/2, tau0^2),  a_i ~ Gamma(1/2, 1),  s_b, b_i ~ InvGamma(1/2, 1)
                  each posterior log-normal LN(m, v), so z_i is log-normal too:
                  log z_i ~ N(sum m / 2, sum v / 4); a unit stays if log mode z_i > threshold (4)

    KL(LN(m, v) || Gamma(1/2, t)) = exp(m + v/2) / t + 1/2 (log t - m - log v - 1 - log 2)    (5)

and of an inverse Gamma the same with -m, as the inverse of LN(m, v) is LN(-m, v).

Source: Louizos, Ullrich, Welling. Bayesian Compression for Deep Learning. NIPS 2017.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from prunelab.methods.base import check_number, check_numbers, check_option
from prunelab.methods.gating.gated_method import GatedMethod, value_at
from prunelab.methods.gating.gates import Gate, NormalGate
from prunelab.methods.gating.noisy_weights import NoisyLayer, NoisyNetwork, log_uniform_kl
from prunelab.methods.gating.places import GatePlace

PRIORS = ("jeffreys", "horseshoe")
THRESHOLD = -3.0


def standard_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL of N(mean, exp(log_var)) from N(0, 1), entry by entry: equation (1)."""
    return 0.5 * (log_var.exp() + mean.square() - 1 - log_var)


def gamma_kl(mean: Tensor, log_var: Tensor, log_scale: float = 0.0) -> Tensor:
    """KL of LN(mean, exp(log_var)) from Gamma(1/2, exp(log_scale)), entry by entry: (5)."""
    expected = (mean + 0.5 * log_var.exp() - log_scale).exp()
    return expected + 0.5 * (log_scale - mean - log_var - 1 - math.log(2))


class GaussianLayer(NoisyLayer):
    """A layer with noise on its weights and biases, and with a standard normal prior on both."""

    def __init__(self, layer: nn.Module, method: BayesianCompression):
        super().__init__(layer, method.rate, ("weight", "bias"), method.log_var)

    def penalty(self) -> Tensor:
        """KL of weights and biases."""
        means = dict(self.layer.named_parameters())
        return sum(standard_kl(means[name], self.log_var(name)).sum() for name in self.log_vars)


class JeffreysGate(NormalGate):
    """z ~ N(mu, sigma^2) under the log-uniform prior."""

    def __init__(self, place: GatePlace, method: BayesianCompression):
        super().__init__(place, method.rate, method.log_var)
        self.threshold = value_at(method, "threshold", place.name, default=THRESHOLD)

    def margin(self) -> Tensor:
        """(size,) threshold - log alpha."""
        return self.threshold - self.log_ratio()

    def penalty(self) -> Tensor:
        """KL of the factors."""
        return log_uniform_kl(self.log_ratio()).sum()


class HorseshoeGate(Gate):
    """z = sqrt(s_a s_b a b), log-normal, under half-Cauchy priors.

    At the start z is about 1 and s_a has its prior's size: s_b carries the rest.
    """

    def __init__(self, place: GatePlace, method: BayesianCompression):
        scale, log_var = 2 * math.log(method.tau0), method.log_var
        start = {"units": torch.zeros(2, place.size), "layer": torch.tensor([[scale], [-scale]])}
        start |= {f"{name}_log_var": torch.full_like(m, log_var) for name, m in start.items()}
        super().__init__(place, method.rate, **start)
        self.threshold = value_at(method, "threshold", place.name, default=THRESHOLD)
        self.log_scale = scale

    def log_normal(self) -> tuple[Tensor, Tensor]:
        """(size,) mean and (size,) variance of log z."""
        means = (self.value(name).sum(0) for name in ("units", "layer"))
        variances = (self.value(f"{name}_log_var").exp().sum(0) for name in ("units", "layer"))
        return 0.5 * sum(means), 0.25 * sum(variances)

    def sample(self, n: int) -> Tensor:
        """(n, size): each z drawn as one log-normal."""
        mean, variance = self.log_normal()
        eps = torch.randn(n, len(mean), device=mean.device)
        return torch.addcmul(mean, eps, variance.sqrt()).exp()

    def mean(self) -> Tensor:
        """(size,) E z."""
        mean, variance = self.log_normal()
        return (mean + 0.5 * variance).exp()

    def margin(self) -> Tensor:
        """(size,) log of where the density of z is largest - threshold."""
        mean, variance = self.log_normal()
        return mean - variance - self.threshold

    def penalty(self) -> Tensor:
        """KL of the units' factors and of the layer's."""
        total = 0
        for name, log_scale in (("units", 0.0), ("layer", self.log_scale)):
            (a, b), (a_log_var, b_log_var) = self.value(name), self.value(f"{name}_log_var")
            total = total + gamma_kl(a, a_log_var, log_scale).sum() + gamma_kl(-b, b_log_var).sum()
        return total


@dataclass(frozen=True)
class BayesianCompression(GatedMethod):
    """Bayesian compression with group sparsity (BC-GNJ, BC-GHS).

    Attributes:
        prior: of the factors: "jeffreys" (BC-GNJ) or "horseshoe" (BC-GHS).
        threshold: a unit stays while the log alpha of its factor is below ("jeffreys"), or while
            the log mode of its factor is above ("horseshoe"); one number, or by place name (other
            places then have -3).
        tau0: scale of the half-Cauchy prior on a layer's factor; small = sparse.
        log_var: log variances to begin with, of factors and weights.

    Cost: `budget`, each step about 2.4 times a plain one (LeNet-5, batch 64).

    Source: Louizos et al. 2017, and the public code for normal-Jeffreys, both as in
        papers/vibnet.md section 9.
    Differs: gates stand behind the ReLU; the paper's on a convolution are in front, which is the
        same for a positive factor. A unit with a negative mean is removed. The public code reads
        each layer's threshold off the histogram of its units, and caps the first layer's variances
        at 0.04. For the horseshoe there is no public code: start and threshold are ours, and so is
        the choice that each unit draws its factor, with its share in s, on its own.
    """

    KIND: ClassVar[str] = "bayesian_compression"
    BY_PLACE: ClassVar[tuple[str, ...]] = ("threshold",)
    NETWORK: ClassVar[type[NoisyNetwork]] = NoisyNetwork

    prior: str = "jeffreys"
    threshold: float | Mapping[str, float] = THRESHOLD
    tau0: float = 1e-5
    log_var: float = -9.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option(self, "prior", PRIORS)
        check_number(self, "tau0", "a number in [1e-9, 1e3]", lambda v: 1e-9 <= v <= 1e3)
        check_number(self, "log_var", "a number in [-30, 5]", lambda v: -30 <= v <= 5)
        check_numbers(self, "threshold", "a number")

    def gate(self, place: GatePlace) -> Gate:
        return (JeffreysGate if self.prior == "jeffreys" else HorseshoeGate)(place, self)

    def noise(self, layer: nn.Module) -> GaussianLayer:
        """What stands in the place of a layer."""
        return GaussianLayer(layer, self)
