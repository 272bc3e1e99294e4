r"""RBP: channel noise along a Markov chain of layers, decided layer by layer.

    h_l = theta_l . f_l(h_{l-1}),   q(theta_l) = N(mu_l, sigma0^2),   sigma0 fixed: nearly a Dirac
    p(theta_l | D) = integral p(theta_l | theta_{l-1}, D) p(theta_{l-1} | D) d theta_{l-1}
                  -> p(theta_l | theta_{l-1} = mu_{l-1}, D)     as q(theta_{l-1}) -> delta(mu_{l-1})
    stage l:  min over W, mu_l of   cross-entropy + beta / N sum_c KL_c           N images
              layers before l: theta = mu where it was kept, else 0;   layers behind l: theta = 1
    KL_c = min over tau of KL(N(mu_c, sigma0^2) || N(0, tau)) = 1/2 log(1 + mu_c^2 / sigma0^2)
    channel c is kept if mu_c > t sigma0

The best width tau = mu^2 + sigma0^2 of the prior falls to sigma0^2 where a channel is not needed:
the prior becomes a spike at 0, like the noise itself.

**A reconstruction.** Of the paper no more is public than its abstract, parts of the introduction
and the caption of Figure 1. From there: noise on channels, the chain, the posterior given the layer
before, a prior like a Dirac that makes sparse, one layer after the other, no overhead. Everything
else here, the prior's formula first of all, is derived from these words (papers/rbp.md section 3).

Source: Zhou, Zhang, Wang, Tian. Accelerate CNN via Recursive Bayesian Pruning. ICCV 2019; abstract,
introduction and Figure 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from prunelab import checks, train
from prunelab.methods.base import Pruned, check_budget, check_number, check_numbers, check_option
from prunelab.methods.gating.gated_method import GatedMethod, value_at
from prunelab.methods.gating.gates import EPSILON, Gate, Gated, NormalGate, some
from prunelab.methods.gating.noisy_weights import log_uniform_kl
from prunelab.methods.gating.places import GatePlace
from prunelab.methods.stages import Options

WAITING, NOISY, DECIDED = "waiting", "noisy", "decided"
ORDERS = ("forward", "reverse", "together")
LEAST = 1e-3  # of sigma0: its square stands beside EPSILON
TINY = 1e-16  # the least alpha: root and logarithm have no slope at 0


def dirac(alpha: Tensor) -> Tensor:
    """KL from the best prior N(0, tau)."""
    return 0.5 * alpha.log1p()


def l2(alpha: Tensor) -> Tensor:
    """KL from N(0, sigma0^2): like a Dirac, but not sparse."""
    return 0.5 * alpha


def laplace(alpha: Tensor) -> Tensor:
    """|mu| / sigma0: that of a Laplace prior of scale sigma0, for a Dirac and up to a constant."""
    return alpha.clamp_min(TINY).sqrt()


def log_uniform(alpha: Tensor) -> Tensor:
    """KL from the log-uniform prior, as sparse variational dropout has it."""
    return log_uniform_kl(-alpha.clamp_min(TINY).log())


# Each a function of alpha = mu^2 / sigma0^2.
PRIORS: dict[str, Callable[[Tensor], Tensor]] = {
    "dirac": dirac,
    "l2": l2,
    "laplace": laplace,
    "log-uniform": log_uniform,
}


class ChannelNoise(NormalGate):
    """theta ~ N(mu, sigma0^2) while its stage runs; 1 before it, and mu or 0 after it."""

    phase = WAITING

    def __init__(self, place: GatePlace, method: RecursiveBayesian):
        super().__init__(place, method.rate, 2 * math.log(method.sigma), spread=0.0)
        self.threshold, self.prior = method.threshold, PRIORS[method.prior]
        self.limit = method.threshold * method.sigma
        self.beta = value_at(method, "beta", place.name) * (place.side if method.spatial else 1)
        self.register_buffer("left", torch.ones(place.size, dtype=torch.bool))
        for parameter in self.parameters():
            parameter.requires_grad_(False)

    def begin(self) -> None:
        """Its stage begins."""
        self.phase = NOISY
        self.mu.requires_grad_(True)

    def decide(self, left: Tensor) -> None:
        """Its stage is over; `left` (size,) bool stay."""
        self.phase = DECIDED
        self.left.copy_(left)
        self.mu.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return x if self.phase == WAITING and not len(self.pick) else super().forward(x)

    def sample(self, n: int) -> Tensor:
        """(n, size) noise while its stage runs, else (1, size) what stands for it."""
        return super().sample(n) if self.phase == NOISY else self.factor()[None]

    def margin(self) -> Tensor:
        """(size,) log mu^2 - log (t sigma0)^2; infinite where it is decided."""
        if self.phase == NOISY:
            return -self.log_ratio() - 2 * math.log(max(self.threshold, 1e-8))
        return torch.where(self.left, math.inf, -math.inf)

    def kept(self) -> Tensor:
        """(size,) bool: a mean above t sigma0 while its stage runs, then what was decided."""
        return self.mean() > self.limit if self.phase == NOISY else self.left

    def penalty(self) -> Tensor:
        """KL of the place, times beta, while its stage runs."""
        if self.phase != NOISY:
            return self.mu.new_zeros(())
        alpha = self.mean().square() / (self.value("log_var").exp() + EPSILON)
        return self.beta * self.prior(alpha).sum()


@dataclass(frozen=True)
class RecursiveBayesian(GatedMethod):
    """Recursive Bayesian pruning (RBP), a reconstruction, and its independent arm.

    Attributes:
        beta: weight of the KL terms, 1 in the variational bound; one number, or by place name.
        sigma: sigma0, the fixed standard deviation of the noise, from 0.001 to 1.
        threshold: t.
        prior: "dirac", or others that fit the paper's words: "l2", "laplace", "log-uniform".
        order: of the stages: "forward", "reverse", or all places by name; "together" = the
            independent arm, all layers in one stage.
        spatial: multiply the KL of a place by the side of its maps, as VIBNet does.
        budget: the training of each stage.
        finetune: training without noise after each stage, removed units staying away; None = none.

    Cost: `budget` for each place ("together": once), each step about a plain one.

    Source: papers/rbp.md section 3, derived there; see the module.
    Differs: nobody can say: what the authors did beyond their abstract is not public. A channel
        with a negative mean is removed, as its factor cannot pass a max pooling. Weights and means
        learn under one optimizer.
    """

    KIND: ClassVar[str] = "recursive_bayesian"
    BY_PLACE: ClassVar[tuple[str, ...]] = ("beta",)

    beta: float | Mapping[str, float]
    sigma: float = 0.05
    threshold: float = 1.0
    prior: str = "dirac"
    order: str | tuple[str, ...] = "forward"
    spatial: bool = False
    finetune: train.Budget | None = None
    dead: str = field(default="keep one", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, "beta", "a number >= 0", lambda v: v >= 0)
        check_number(self, "sigma", f"a number in [{LEAST}, 1]", lambda v: LEAST <= v <= 1)
        check_number(self, "threshold", "a number >= 0", lambda v: v >= 0)
        check_option(self, "prior", tuple(PRIORS))
        checks.switch(type(self).__name__, "spatial", self.spatial)
        if self.finetune is not None:
            check_budget(self, "finetune")
        listed = isinstance(self.order, list | tuple) and bool(self.order)
        if listed and all(isinstance(name, str) for name in self.order):
            object.__setattr__(self, "order", tuple(self.order))
        else:
            check_option(self, "order", ORDERS)

    def gate(self, place: GatePlace) -> ChannelNoise:
        return ChannelNoise(place, self)

    def stages(self, gates: Mapping[str, Gate]) -> dict[str, list[str]]:
        """Stage name -> its places. ValueError if `order` is no permutation of the gated places."""
        if self.order == "together":
            return {"all": list(gates)}
        order = {"forward": list(gates), "reverse": [*gates][::-1]}.get(self.order, self.order)
        checks.need(
            sorted(order) == sorted(gates), "RecursiveBayesian", "order",
            f"one of {', '.join(ORDERS)}, or name each of {', '.join(gates)} once", self.order,
        )  # fmt: skip
        return {name: [name] for name in order}

    def _run(self, net: nn.Module, data: object, options: Options) -> Pruned:
        gated = self.gated(net, data, options.seed)
        running, stages, history = self.running(gated, net), self.stages(gated.gates), []
        budgets = {}
        for name in stages:
            budgets[name] = self.budget
            if self.finetune is not None:
                budgets[f"{name}, fine-tuned"] = self.finetune
        before = 0
        for stage in options.stages(budgets, data):
            gated.stage, places = stage.name, stages.get(stage.name, [])
            for name in places:
                gated.gates[name].begin()
            running.look()
            history.append(self.train(gated, running, stage, before))
            self._decide(gated, places)
            before += stage.budget.steps(len(data.train))[1]
        running.look()
        return self.folded(gated, net, tuple(history))

    def _decide(self, gated: Gated, places: list[str]) -> None:
        kept = gated.kept()
        for name in places:
            gate = gated.gates[name]
            gate.decide(some(kept[name], gated.written(name, kept), gate.mean()))
