r"""The masks of dynamic network surgery: pruned and spliced while a network trains.

    h_k(w) = 0 if |w| < a_k;   the mask it has if a_k <= |w| < b_k;   1 if b_k <= |w|        (3)
    a_k, b_k = 0.9 and 1.1 times max(mu_k + c_k sigma_k, 0), of |weights and biases| at the start
    looked at in step t with probability (1 + gamma t)^-power, until `stop`

Source: Guo, Yao, Chen. Dynamic Network Surgery for Efficient DNNs. NIPS 2016, section 3; thresholds
and draws as in the authors' Caffe code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from prunelab.methods.masking.weights import Masked, check_finite, ones, per_layer
from prunelab.scores import magnitudes, moments

if TYPE_CHECKING:
    from prunelab.methods.network_surgery import NetworkSurgery


class Splicing:
    """The state of a run: masks, thresholds, and what happened. All of it is in `net`'s buffers.

    The layers in `c` get masks at once, and the first cut is made. The number of training images
    decides the number of steps.

    Attributes:
        layers: name -> `Spliced`.
        due: (steps + 1, layers) bool, whether a mask is looked at when so many steps are done.
    """

    def __init__(
        self, net: nn.Module, method: NetworkSurgery, c: Mapping[str, float], seed: int, images: int
    ):
        stops = check_start(net, method, c, images)
        steps = method.budget.steps(images)[1]
        self.due = _due(steps, stops, method, seed)
        self.layers: dict[str, Spliced] = {}
        try:
            for name in c:
                self.layers[name] = Spliced(net.get_submodule(name), method, c[name], steps)
            self.look(0)
        except BaseException:  # also Ctrl-C
            self.close(zeros=False)
            raise

    @torch.no_grad()
    def look(self, done: int) -> None:
        """After `done` steps: equation (3) on each layer that is due; what happened is counted."""
        for layer, due in zip(self.layers.values(), self.due[done].tolist()):
            if due:
                layer.masks["weight"].events[done] = layer.renew()

    def events(self) -> dict[str, Tensor]:
        """Layer -> (steps + 1, 2) weights and biases pruned, spliced; row 0 is the first cut."""
        return {name: layer.masks["weight"].events.cpu() for name, layer in self.layers.items()}

    def close(self, zeros: bool = True) -> None:
        """Take the masks off; see `Masked.close`."""
        for layer in self.layers.values():
            layer.close(zeros)


class Spliced(Masked):
    """One layer under masks that are pruned and spliced; the arguments are those of `Splicing`."""

    def __init__(self, layer: nn.Module, method: NetworkSurgery, c: float, steps: int):
        low, high = (margin * threshold(layer, c) for margin in method.margins)
        super().__init__(layer, straight=True)
        self.splice, state = method.splice, self.masks["weight"]
        state.register_buffer("low", low)
        state.register_buffer("high", low + (high - low))  # to the bit what `renew` lifts by
        state.register_buffer("events", torch.zeros(steps + 1, 2, dtype=torch.int32))

    def renew(self) -> Tensor:
        """Equation (3) on weights and biases; (2,) how many it has pruned and spliced."""
        state, old = self.masks["weight"], self.kept()
        new = torch.cat([dense.flatten() for dense in self.dense.values()]).abs_()
        low, high = float(state.low), float(state.high)
        if self.splice:
            new.add_(old, alpha=high - low).gt_(high)  # what is kept has the limit of all
        else:
            new.mul_(old).gt_(low)
        if not ones(new):  # the largest of what was kept stays: what is masked counts as zero
            new[magnitudes(self.layer).argmax()] = 1
        self.put(new)
        stay = ones(old * new)
        return torch.stack([ones(old) - stay, ones(new) - stay])


def check_start(
    net: nn.Module, method: NetworkSurgery, c: Mapping[str, float], images: int
) -> list[int]:
    """The stop of each layer in `c`.

    Raises:
        ValueError: `stop` lies past the end or leaves a layer out, weights are not finite, or a
            layer would be emptied.
    """
    steps, stop = method.budget.steps(images)[1], per_layer(method, "stop", net)
    for name in c:
        if name not in stop:
            raise ValueError(f"NetworkSurgery: `stop` must name every layer of `c`; not `{name}`")
        if stop[name] > steps:
            raise ValueError(
                f"NetworkSurgery: `stop` must be at most the {steps} steps of the run;"
                f" got {method.stop!r}"
            )
    check_finite(method, net, c)
    _check_c(method, net, c)
    return [stop[name] for name in c]


def threshold(layer: nn.Module, c: float) -> Tensor:
    """max(mu + c sigma, 0) of the |weights and biases| of a layer that are not zero."""
    mu, sigma = moments(magnitudes(layer))
    return torch.tensor(max(mu + c * sigma, 0.0), device=layer.weight.device)


def _check_c(method: NetworkSurgery, net: nn.Module, c: Mapping[str, float]) -> None:
    for name, rate in c.items():
        layer = net.get_submodule(name)
        size, margin = magnitudes(layer), method.margins[0]
        if not (size > margin * threshold(layer, rate)).any():
            mu, sigma = moments(size)
            limit = (
                f"it must be below {(size.max().item() / margin - mu) / sigma:.2f}"
                if sigma
                else "they all have one size"
            )
            raise ValueError(
                f"NetworkSurgery: c = {rate:g} would remove all {len(size):,} weights and biases"
                f" of `{name}`; {limit} there"
            )


def _due(steps: int, stops: list[int], method: NetworkSurgery, seed: int) -> Tensor:
    """(steps + 1, layers) bool: one uniform draw per layer and step, all made beforehand."""
    rng = torch.Generator().manual_seed(seed)
    at = torch.arange(steps + 1).unsqueeze(1)
    chance = (1 + method.gamma * at.double()) ** -method.power
    draws = torch.rand(steps + 1, len(stops), generator=rng)
    return (chance > draws) & (at < torch.tensor(stops))
