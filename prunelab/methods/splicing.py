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

from prunelab.methods.weights import Masked, check_finite, layers_of, magnitudes, per_layer

if TYPE_CHECKING:
    from prunelab.methods.network_surgery import NetworkSurgery


class Surgery:
    """The state of a run: masks, thresholds, and what happened. All of it is in `net`'s buffers.

    Args:
        net: the network; its layers get masks at once, and the first cut is made.
        method: the hyper-parameters.
        c: layer -> c.
        seed: of the draws.
        images: training images, which decide the number of steps.

    Attributes:
        layers: name -> `Masked`.
        due: (steps + 1, layers) bool, whether a mask is looked at when so many steps are done.
    """

    def __init__(
        self, net: nn.Module, method: NetworkSurgery, c: Mapping[str, float], seed: int, images: int
    ):
        self.splice = method.splice
        steps = method.budget.steps(images)[1]
        stop = per_layer(method, "stop", net)
        stops = [stop.get(name, 0) for name in c]
        if max(stops, default=0) > steps:
            raise ValueError(
                f"NetworkSurgery: `stop` must be at most the {steps} steps of the run;"
                f" got {method.stop!r}"
            )
        check_finite(method, net, c)
        self.due = _due(steps, stops, method, seed)
        _check_c(method, net, c)
        self.layers: dict[str, Masked] = {}
        for name in c:
            layer = net.get_submodule(name)
            at = threshold(magnitudes(layer), c[name])
            self.layers[name] = Masked(layer, straight=True)
            state = self.layers[name].masks["weight"]
            state.register_buffer("low", method.margins[0] * at)
            state.register_buffer("high", method.margins[1] * at)
            state.register_buffer("events", torch.zeros(steps + 1, 2, dtype=torch.int32))
        self.look(0)

    def look(self, done: int) -> None:
        """After `done` steps: prune and splice where a mask is due."""
        for due, layer in zip(self.due[done].tolist(), self.layers.values()):
            if due:
                self._update(layer, done)

    @torch.no_grad()
    def _update(self, layer: Masked, done: int) -> None:
        """Equation (3) on one layer; counts what was pruned and what was spliced."""
        state = layer.masks["weight"]
        before = kept = changed = 0
        for name, mask in layer.masks.items():
            size = layer.dense[name].abs()
            if self.splice:
                new = size > torch.where(mask.kept, state.low, state.high)
            else:
                new = mask.kept & (size > state.low)
            before += int(torch.count_nonzero(mask.kept))
            kept += int(torch.count_nonzero(new))
            changed += int(torch.count_nonzero(new != mask.kept))
            mask.kept.copy_(new)
        if not kept:
            largest = layer.dense["weight"].abs().argmax()
            layer.masks["weight"].kept.view(-1)[largest] = True
        pruned = (changed + before - kept) // 2
        state.events[done] = torch.tensor([pruned, changed - pruned], dtype=torch.int32)

    def events(self) -> dict[str, Tensor]:
        """Layer -> (steps + 1, 2) weights and biases pruned, spliced; row 0 is the first cut."""
        return {k: v.masks["weight"].events.cpu() for k, v in self.layers.items()}

    def kept(self) -> dict[str, int]:
        """Layer -> weights and biases that stay."""
        return {name: layer.kept() for name, layer in self.layers.items()}

    def close(self) -> None:
        """Write the zeros into the weights; nothing else is left on the network."""
        for layer in self.layers.values():
            layer.bake()


def threshold(size: Tensor, c: float) -> Tensor:
    """max(mu + c sigma, 0) of the absolute weights and biases of a layer that are not zero."""
    size = size[size > 0].double()
    if not len(size):
        return torch.zeros((), device=size.device)
    return (size.mean() + c * size.std(correction=0)).clamp(min=0).float()


def first_cut(
    net: nn.Module, c: float | Mapping[str, float], margin: float = 0.9
) -> dict[str, int]:
    """Layer -> weights and biases that the first cut would leave: above margin x threshold."""
    rates = c if isinstance(c, Mapping) else dict.fromkeys(layers_of(net), c)
    sizes = {name: magnitudes(net.get_submodule(name)) for name in rates}
    return {k: int((size > margin * threshold(size, rates[k])).sum()) for k, size in sizes.items()}


def _check_c(method: NetworkSurgery, net: nn.Module, c: Mapping[str, float]) -> None:
    for name, left in first_cut(net, c, method.margins[0]).items():
        if not left:
            size = magnitudes(net.get_submodule(name))
            most = (size.max() / method.margins[0] - threshold(size, 0)) / size.std(correction=0)
            raise ValueError(
                f"NetworkSurgery: c = {c[name]:g} would remove all {len(size):,} weights and biases"
                f" of `{name}`; it must be below {most:.2f} there"
            )


def _due(steps: int, stops: list[int], method: NetworkSurgery, seed: int) -> Tensor:
    """(steps + 1, layers) bool: one uniform draw per layer and step, all made beforehand."""
    rng = torch.Generator().manual_seed(seed)
    at = torch.arange(steps + 1).unsqueeze(1)
    chance = (1 + method.gamma * at.double()) ** -method.power
    draws = torch.rand(steps + 1, len(stops), generator=rng)
    return (chance > draws) & (at < torch.tensor(stops))
