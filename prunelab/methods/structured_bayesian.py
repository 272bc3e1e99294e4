r"""Structured Bayesian pruning: log-normal noise on units, and a prior that likes it loud.

    theta = exp(t),   q(t) = N(mu, sigma^2) cut to [a, b] = [-20, 0],   p(t) uniform on [a, b]
    loss = cross-entropy + 1/N sum KL(q || p)                                       N images
    in evaluation theta = E theta;   a unit is kept if SNR = E theta / sqrt(Var theta) > 1

p is the log-uniform prior of theta, cut so that it is one. A unit that the label does not need is
drowned in noise. With

    y = (b - t) / sigma,   x = (mu - b) / sigma,   g = (b - a) / sigma

q(y) = exp(-x y - y^2 / 2) / N(x) on [0, g], N(x) = M(x) - exp(-x g - g^2 / 2) M(x + g), where
M(x) = Phi(-x) / phi(x) is Mills' ratio. Then

    KL = log g - log N(x) - 1/2 (1 - g q(y=g) + x E y),    E y = (1 - exp(-x g - g^2/2)) / N(x) - x
    E theta^k = exp(k b) N(x + k sigma) / N(x)

which are the paper's formulas in a form that neither overflows nor cancels in the tail x >> 0.

Source: Neklyudov, Molchanov, Ashukha, Vetrov. Structured Bayesian Pruning via Log-Normal
Multiplicative Noise. NIPS 2017.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from prunelab.methods.base import check_number, check_numbers
from prunelab.methods.gating.gated_method import GatedMethod, value_at
from prunelab.methods.gating.gates import Gate
from prunelab.methods.gating.places import GatePlace

LOW, HIGH = -20.0, 0.0  # a, b
MU, LOG_SIGMA = (-20.0, 5.0), (-12.0, 5.0)  # where the parameters stay
EPSILON = 1e-12  # u stays that far from 0 and 1
FAR = 30.0  # from here on 1 / x is small enough for a series
ROOT = math.sqrt(2 * math.pi)


class LogNormal:
    """theta = exp(t), t ~ N(mu, sigma^2) cut to [LOW, HIGH]; all in double precision.

    Args:
        mu: (size,) in `MU`.
        sigma: (size,) with a logarithm in `LOG_SIGMA`.
    """

    def __init__(self, mu: Tensor, sigma: Tensor):
        mu, self.sigma = mu.double(), sigma.double()
        self.x = (mu - HIGH) / self.sigma
        self.gap = (HIGH - LOW) / self.sigma

    def kl(self) -> Tensor:
        """(size,) divergence from the log-uniform prior."""
        x, g, log_mass = self.x, self.gap, _log_mass(self.x, self.gap)
        first = torch.exp(-log_mass - x.clamp(max=0).square() / 2)  # q(y=0)
        last = torch.exp(-log_mass - torch.where(x < 0, (x + g).square() / 2, g * (x + g / 2)))
        inside = x * first - (x + g) * last
        beyond = x * _mean(_from(0.0, x), g) - g * last
        return g.log() - log_mass - 0.5 * (1 + torch.where(x < 0, inside, beyond))

    def log_moment(self, k: int) -> Tensor:
        """(size,) log E theta^k."""
        x, step = self.x, k * self.sigma
        squares = torch.where(x + step < 0, step * (x + step / 2), -x.clamp(max=0).square() / 2)
        return k * HIGH + _log_mass(x + step, self.gap) - _log_mass(x, self.gap) + squares

    def snr(self) -> Tensor:
        """(size,) E theta / sqrt(Var theta), as far as a double can tell the variance from 0."""
        ratio = self.log_moment(2) - 2 * self.log_moment(1)
        return torch.expm1(ratio.clamp(min=1e-14)).rsqrt()

    def quantile(self, u: Tensor) -> Tensor:
        """(..., size) t with distribution function u in (0, 1).

        Far in the tail, e = -log u solves x y + y^2 / 2 = e + log(M(x + y) / M(x)), here to the
        second order in v = 1 / x^2.
        """
        x = torch.where(self.x < FAR, self.x, FAR)
        low, high = _phi(-x - self.gap), _phi(-x)
        t = self.sigma * (x + torch.special.ndtri(low + u * (high - low)))
        beyond = self.x >= FAR
        if beyond.any():
            x = _from(FAR, self.x)
            v, e = x.pow(-2), -u.log()
            y = e * (1 - v + 3 * v * v + e * (-v / 2 + 2 * v * v + e * (v * v / 2))) / x
            t = torch.where(beyond, -self.sigma * y, t)
        return HIGH + t


def _from(least: float, x: Tensor) -> Tensor:
    """At least `least`; unlike `clamp` with a gradient where x = least, as it is to begin with."""
    return torch.where(x < least, least, x)


def _phi(x: Tensor) -> Tensor:
    """The normal distribution function, exact in the lower tail."""
    return 0.5 * torch.erfc(-x / math.sqrt(2))


def _mills(x: Tensor) -> Tensor:
    """M(x), x >= 0."""
    return ROOT / 2 * torch.special.erfcx(x / math.sqrt(2))


def _excess(x: Tensor) -> Tensor:
    """1 - x M(x), x >= 0."""
    v = _from(FAR, x).pow(-2)
    series = v * (1 - 3 * v * (1 - 5 * v * (1 - 7 * v * (1 - 9 * v))))
    return torch.where(x < FAR, 1 - x * _mills(x), series)


def _beyond(x: Tensor, g: Tensor) -> Tensor:
    """N(x), x >= 0: the mode of the normal lies at b or beyond."""
    return _mills(x) - torch.exp(-g * (x + g / 2)) * _mills(x + g)


def _log_mass(x: Tensor, g: Tensor) -> Tensor:
    """Log N(x) - min(x, 0)^2 / 2."""
    inner = x.clamp(max=0)
    inside = ROOT * (_phi(-inner) - _phi(-inner - g))
    return torch.where(x < 0, inside, _beyond(_from(0.0, x), g)).log()


def _mean(x: Tensor, g: Tensor) -> Tensor:
    """E y, x >= 0."""
    cut = torch.exp(-g * (x + g / 2)) * (_excess(x + g) + g * _mills(x + g))
    return (_excess(x) - cut) / _beyond(x, g)


class LogNormalGate(Gate):
    """theta, one mu and one log sigma per unit.

    Source: the authors' `layers.py`.
    Differs: parameters are clamped after each step, log sigma to [-12, 5]; the code clips to [-20,
        5] in the formulas, so that what leaves the interval has no gradient and never comes back.
    """

    def __init__(self, place: GatePlace, method: StructuredBayesian):
        start = torch.full((place.size,), float(method.log_sigma))
        super().__init__(place, method.rate, mu=torch.zeros(place.size), log_sigma=start)
        self.snr, self.scale = method.snr, value_at(method, "scale", place.name, default=1.0)

    def noise(self) -> LogNormal:
        """The distribution of theta."""
        return LogNormal(self.value("mu"), self.value("log_sigma").exp())

    def sample(self, n: int) -> Tensor:
        """(n, size) in [exp(LOW), 1]."""
        u = torch.empty(n, len(self.mu), dtype=torch.float64, device=self.mu.device)
        u.uniform_(EPSILON, 1 - EPSILON)
        return self.noise().quantile(u).exp().to(self.mu.dtype)

    def mean(self) -> Tensor:
        """(size,) E theta."""
        return self.noise().log_moment(1).exp().to(self.mu.dtype)

    def margin(self) -> Tensor:
        """(size,) logarithm of the signal-to-noise ratio over `snr`."""
        return self.noise().snr().log() - (math.log(self.snr) if self.snr else -math.inf)

    @torch.no_grad()
    def bound(self) -> None:
        self.mu.clamp_(*(v / self.rate for v in MU))
        self.log_sigma.clamp_(*(v / self.rate for v in LOG_SIGMA))

    def penalty(self) -> Tensor:
        """KL, times `scale`."""
        return self.scale * self.noise().kl().sum().to(self.mu.dtype)


@dataclass(frozen=True)
class StructuredBayesian(GatedMethod):
    """Structured Bayesian pruning (SBP).

    Attributes:
        snr: the least signal-to-noise ratio of a unit that is kept.
        scale: factor of the KL; one number, or by place name, others 1 (SBPa: 10 for the first two
            convolutions of a VGG, 5 for the next two).
        log_sigma: log sigma to begin with; mu begins at 0.

    Cost: `budget`, each step about 1.5 times a plain one of LeNet-5, 5 times of LeNet-300-100.

    Source: Neklyudov et al. 2017 (papers/vibnet.md section 9); numbers as in the authors' code.
    Differs: one draw per image and unit; the authors' code draws once per batch. Their noise stands
        right behind a convolution, before bias, batch norm and ReLU; ours behind these. As theta >
        0, a ReLU does not mind, but the bias is scaled too, and a batch norm no longer divides by
        the spread of the noise.
    """

    KIND: ClassVar[str] = "structured_bayesian"
    BY_PLACE: ClassVar[tuple[str, ...]] = ("scale",)

    snr: float = 1.0
    scale: float | Mapping[str, float] = 1.0
    log_sigma: float = -5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, "scale", "a number >= 0", lambda v: v >= 0)
        check_number(self, "snr", "a number >= 0", lambda v: v >= 0)
        check_number(self, "log_sigma", "a number in [-12, 5]", lambda v: -12 <= v <= 5)

    def gate(self, place: GatePlace) -> LogNormalGate:
        return LogNormalGate(place, self)
