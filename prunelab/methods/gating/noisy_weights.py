r"""Noisy weights: layers whose weights are drawn anew in each training step.

    w ~ N(theta, sigma^2),    one log sigma^2 per weight, learned beside theta
    y = theta x + b + sqrt(sigma^2 x^2) . eps,    eps ~ N(0, 1)    in training            (1)
    y = theta x + b                                                in evaluation

If the weights of a linear layer were drawn once an image, its outputs would be Gaussian with the
mean and the variance in (1). Drawing the outputs instead costs two products a batch, not one a
draw, and the gradients are less noisy. Outputs of a convolution share their weights between
positions; (1) draws each position on its own.

Source: Kingma, Salimans, Welling. Variational Dropout and the Local Reparameterization Trick.
NIPS 2015.
"""

from __future__ import annotations

import abc
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from prunelab.methods.gating.gates import Gated
from prunelab.scores import layers_of

K1, K2, K3 = 0.63576, 1.87320, 1.48695
TINY = 1e-16  # the least variance: the square root has no slope at 0


def log_uniform_kl(log_alpha: Tensor) -> Tensor:
    r"""KL of N(theta, alpha theta^2) from the log-uniform prior p(w) ~ 1/|w|, entry by entry.

    .. math:: k_1 (1 - \operatorname{sigmoid}(k_2 + k_3 \log\alpha)) + \frac12 \log(1 + 1/\alpha)

    The prior cannot be normalised: the constant is chosen so that the KL of pure noise is 0.

    Source: Molchanov et al. 2017 (papers/vibnet.md section 9): a fit, off by less than 0.01.
    """
    noisy = K1 * torch.sigmoid(-(K2 + K3 * log_alpha))
    return noisy + 0.5 * functional.softplus(-log_alpha)


class NoisyLayer(nn.Module, abc.ABC):
    """A linear layer or convolution with noise on its parameters; it shares them with `layer`.

    Args:
        layer: whose place it takes.
        rate: log variances learn at that many times the learning rate; see `gates.Gate`.
        names: parameters with noise, of "weight" and "bias".
        log_var: log sigma^2 to begin with.

    Attributes:
        log_vars: name -> log sigma^2 / rate, in the parameter's shape.
    """

    def __init__(self, layer: nn.Module, rate: float, names: tuple[str, ...], log_var: float):
        super().__init__()
        self.layer, self.rate = layer, rate
        present = {name: p.detach() for name in names if (p := getattr(layer, name)) is not None}
        self.log_vars = nn.ParameterDict(
            {name: torch.full_like(p, log_var / rate) for name, p in present.items()}
        )

    def log_var(self, name: str) -> Tensor:
        """Log sigma^2 of a parameter, in its shape."""
        stored = self.log_vars[name]
        return stored if self.rate == 1 else stored * self.rate

    def forward(self, x: Tensor) -> Tensor:
        """What `layer` takes -> what it gives, with noise in training."""
        if not self.training:
            return self.mean(x)
        mean = self.layer(x)
        variances = {
            name: self.log_var(name).exp().to(p) if name in self.log_vars else torch.zeros_like(p)
            for name, p in self.layer.named_parameters()
        }
        variance = functional_call(self.layer, variances, x.square())
        return torch.addcmul(mean, variance.clamp(min=TINY).sqrt(), torch.randn_like(mean))

    def mean(self, x: Tensor) -> Tensor:
        """What stands for the layer in evaluation."""
        return self.layer(x)

    @abc.abstractmethod
    def penalty(self) -> Tensor:
        """Scalar, summed over the parameters with noise."""


class NoisyNetwork(Gated):
    """A network with noise on the weights of all its layers, and with gates.

    Arguments are those of `Gated`; the method's `noise` builds what stands in a layer's place.

    Attributes:
        noisy: layer name -> its stand-in, of the layers that run.

    Raises:
        ValueError: as `Gated`; or a layer computes its weight from other parameters.
    """

    def __init__(self, net: nn.Module, example: Tensor, method: Any):
        for name, layer in layers_of(net).items():
            if other := dict(layer.named_parameters()).keys() - {"weight", "bias"}:
                raise ValueError(
                    f"noisy weights: `{name}` must have a weight and a bias only, got"
                    f" {', '.join(sorted(other))}"
                )
        stand_ins = {name: method.noise(layer) for name, layer in layers_of(net).items()}
        super().__init__(net, example, method, stand_ins)
        called = dict(self.graph.named_modules())
        self.noisy = {name: layer for name, layer in stand_ins.items() if name in called}

    def alike(self, net: nn.Module) -> dict[str, list[Tensor]]:
        found = super().alike(net)
        for name, layer in self.noisy.items():
            for own, log_var in layer.log_vars.items():
                found[f"{name}.{own}"].append(log_var)
        return found

    def penalty(self) -> Tensor:
        """The sum over all gates and layers."""
        return super().penalty() + sum(layer.penalty() for layer in self.noisy.values())
